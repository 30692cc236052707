package io.millrace.stream;

import java.time.Duration;

/**
 * How a producer waits until replicas have what it wrote. Not a guarantee: a failover may still choose a replica that has less.
 *
 * @param replicas how many at least; 1 to 100
 * @param atMost how long to wait for them; 1 ms to 5 s
 * @param failing whether fewer are an error, {@link NotReplicatedException}, or a warning in the log
 */
public record ReplicaWait(int replicas, Duration atMost, boolean failing) {

    /** @throws IllegalArgumentException if something is out of range */
    public ReplicaWait {
        Check.between("replicas", replicas, 1, 100);
        Check.between("atMost", atMost, Duration.ofMillis(1), Duration.ofSeconds(5));
    }
}
