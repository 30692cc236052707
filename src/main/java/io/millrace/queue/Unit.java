package io.millrace.queue;

import io.millrace.redis.Keys;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Where a queue, or one of its partitions, is kept: the prefix of its keys, and the channel on which idle readers are woken.
 *
 * @param queue the queue's name
 * @param partition which of its partitions, from 0
 * @param prefix of all its keys; they share its slot
 * @param wake channel
 */
record Unit(String queue, int partition, byte[] prefix, byte[] wake) {

    private static final String KIND = "queue";

    static Unit of(Keys keys, String queue, int partition) {
        if (queue.isEmpty()) {
            throw new IllegalArgumentException("a queue needs a name; it was empty");
        }
        String prefix = keys.unitText(KIND, queue, partition);
        return new Unit(
                queue,
                partition,
                prefix.getBytes(StandardCharsets.UTF_8),
                (prefix + "wake").getBytes(StandardCharsets.UTF_8));
    }

    /** A key, such as {@code dead}. */
    byte[] part(String name) {
        byte[] part = name.getBytes(StandardCharsets.UTF_8);
        byte[] key = Arrays.copyOf(prefix, prefix.length + part.length);
        System.arraycopy(part, 0, key, prefix.length, part.length);
        return key;
    }

    /** Units are the same when their queue and partition are; the rest follows from them. */
    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof Unit unit && partition == unit.partition && queue.equals(unit.queue);
    }

    @Override
    public int hashCode() {
        return 31 * queue.hashCode() + partition;
    }
}
