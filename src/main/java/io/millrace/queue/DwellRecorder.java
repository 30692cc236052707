package io.millrace.queue;

import java.util.List;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.LongAdder;

/** Counts how long the messages of one queue waited, in powers of two of milliseconds. */
final class DwellRecorder {

    /** The last one begins at about 9 hours. */
    private static final int BUCKETS = 26;

    private final AtomicLongArray counts = new AtomicLongArray(BUCKETS);
    private final LongAdder sum = new LongAdder();

    /** @param nowMs the server's time, taken once for all of them */
    void handedOut(List<Message> messages, long nowMs) {
        for (Message message : messages) {
            long ms = Math.max(0, nowMs - message.deliveredAt().toEpochMilli());
            counts.incrementAndGet(bucket(ms));
            sum.add(ms);
        }
    }

    DwellTimes snapshot() {
        long[] now = new long[BUCKETS];
        for (int i = 0; i < BUCKETS; i++) {
            now[i] = counts.get(i);
        }
        return DwellTimes.of(now, sum.sum());
    }

    private static int bucket(long ms) {
        return ms <= 1 ? 0 : Math.min(BUCKETS - 1, 64 - Long.numberOfLeadingZeros(ms - 1));
    }
}
