package io.millrace.queue;

import io.millrace.redis.Reply;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * How long messages waited between delivery and being handed out, as a histogram: by all processes, since the queue was made or had been
 * idle for a week, by the server's clock. What was handed out again counts from its first delivery. The last second may be missing.
 *
 * @param buckets upper bounds, each twice the one before, and how many were at most that and above the one before
 * @param count how many in all
 * @param sum of all times
 */
public record DwellTimes(List<Bucket> buckets, long count, Duration sum) {

    /** The last one begins at about 9 hours. */
    static final int BUCKETS = 26;

    /** Nothing was handed out. */
    static final DwellTimes NONE = of(new long[BUCKETS], 0);

    /**
     * One step of the histogram.
     *
     * @param upTo the longest time it counts; the last one counts all that are longer than the one before
     * @param count how many
     */
    public record Bucket(Duration upTo, long count) {}

    /**
     * A time that so large a part did not exceed, rounded up to a bucket's bound; zero if there were none.
     *
     * @param part 0 to 1, such as 0.99
     */
    public Duration percentile(double part) {
        long wanted = (long) Math.ceil(part * count);
        long seen = 0;
        for (Bucket bucket : buckets) {
            seen += bucket.count();
            if (seen >= wanted && seen > 0) {
                return bucket.upTo();
            }
        }
        return Duration.ZERO;
    }

    static int bucket(long ms) {
        return ms <= 1 ? 0 : Math.min(BUCKETS - 1, 64 - Long.numberOfLeadingZeros(ms - 1));
    }

    /** Reads what {@code queue/dwell.lua} keeps; a field of another version is passed over. */
    static DwellTimes read(Object hash) {
        Reply fields = Reply.of(hash);
        long[] counts = new long[BUCKETS];
        long sum = 0;
        for (int i = 0; i + 1 < fields.size(); i += 2) {
            String field = fields.text(i);
            if (field.equals("sum")) {
                sum = fields.number(i + 1);
            } else if (field.matches("\\d{1,2}") && Integer.parseInt(field) < BUCKETS) {
                counts[Integer.parseInt(field)] = fields.number(i + 1);
            }
        }
        return of(counts, sum);
    }

    /** Of two partitions. */
    DwellTimes plus(DwellTimes other) {
        long[] counts = new long[BUCKETS];
        for (int i = 0; i < BUCKETS; i++) {
            counts[i] = buckets.get(i).count() + other.buckets.get(i).count();
        }
        return of(counts, sum.plus(other.sum).toMillis());
    }

    private static DwellTimes of(long[] counts, long sumMs) {
        List<Bucket> buckets = new ArrayList<>(counts.length);
        long all = 0;
        for (int i = 0; i < counts.length; i++) {
            buckets.add(new Bucket(Duration.ofMillis(1L << i), counts[i]));
            all += counts[i];
        }
        return new DwellTimes(List.copyOf(buckets), all, Duration.ofMillis(sumMs));
    }
}
