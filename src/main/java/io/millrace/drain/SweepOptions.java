package io.millrace.drain;

import java.time.Duration;
import java.util.Objects;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;

/**
 * How a dirty map is swept. Immutable.
 *
 * @param limit how many URLs at most, 1 or more
 * @param concurrency how many at a time, 1 to 1,024
 * @param lease how long a URL stays with its sweeper, extended while it works; 100 ms to 1 h. What a crash left behind comes back then
 * @param scheduler where cleaners are called
 */
public record SweepOptions(long limit, int concurrency, Duration lease, Scheduler scheduler) {

    /** 30 s. */
    public static final Duration DEFAULT_LEASE = Duration.ofSeconds(30);

    /** {@value}. */
    public static final int DEFAULT_CONCURRENCY = 4;

    /** Checks each value. */
    public SweepOptions {
        Objects.requireNonNull(scheduler, "scheduler");
        if (limit < 1) {
            throw new IllegalArgumentException("limit must be 1 or more, was " + limit);
        }
        if (concurrency < 1 || concurrency > 1_024) {
            throw new IllegalArgumentException("concurrency must be 1 to 1024, was " + concurrency);
        }
        if (lease.toMillis() < 100 || lease.toHours() > 1) {
            throw new IllegalArgumentException("lease must be 100 ms to 1 h, was " + lease);
        }
    }

    /** All that is dirty, {@value #DEFAULT_CONCURRENCY} at a time, leased for 30 s, on a thread that may block. */
    public static SweepOptions defaults() {
        return new SweepOptions(Long.MAX_VALUE, DEFAULT_CONCURRENCY, DEFAULT_LEASE, Schedulers.boundedElastic());
    }

    /** With another limit. */
    public SweepOptions withLimit(long newLimit) {
        return new SweepOptions(newLimit, concurrency, lease, scheduler);
    }

    /** With another concurrency. */
    public SweepOptions withConcurrency(int newConcurrency) {
        return new SweepOptions(limit, newConcurrency, lease, scheduler);
    }

    /** With another lease. */
    public SweepOptions withLease(Duration newLease) {
        return new SweepOptions(limit, concurrency, newLease, scheduler);
    }
}
