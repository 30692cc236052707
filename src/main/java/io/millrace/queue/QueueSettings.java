package io.millrace.queue;

import java.time.Duration;

/**
 * What holds for all queues of one Millrace.
 *
 * @param deduplicationWindow for how long at least an event id is remembered by a queue; 10 s to 24 h
 * @param maxEventBytes how large one event may be as JSON; 1 KiB to 64 MiB
 * @param maxWaiting how many deliveries may wait in this process to be sent; more are refused
 */
public record QueueSettings(Duration deduplicationWindow, int maxEventBytes, int maxWaiting) {

    /** 2 min. */
    public static final Duration DEFAULT_DEDUPLICATION_WINDOW = Duration.ofMinutes(2);

    /** {@value} bytes. */
    public static final int DEFAULT_MAX_EVENT_BYTES = 1 << 20;

    /** {@value}. */
    public static final int DEFAULT_MAX_WAITING = 20_000;

    /** Checks each value. */
    public QueueSettings {
        Check.between("deduplicationWindow", deduplicationWindow, Duration.ofSeconds(10), Duration.ofHours(24));
        Check.between("maxEventBytes", maxEventBytes, 1 << 10, 64 << 20);
        Check.between("maxWaiting", maxWaiting, 1, 10_000_000);
    }

    /** Everything by default. */
    public static QueueSettings defaults() {
        return new QueueSettings(DEFAULT_DEDUPLICATION_WINDOW, DEFAULT_MAX_EVENT_BYTES, DEFAULT_MAX_WAITING);
    }
}
