package io.millrace.queue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * How long messages waited between delivery and being handed out, as a histogram. Of this process since it began, by the server's clock
 * as it is followed here; what was handed out again counts from its first delivery.
 *
 * @param buckets upper bounds, each twice the one before, and how many were at most that and above the one before
 * @param count how many in all
 * @param sum of all times
 */
public record DwellTimes(List<Bucket> buckets, long count, Duration sum) {

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

    static DwellTimes of(long[] counts, long sumMs) {
        List<Bucket> buckets = new ArrayList<>(counts.length);
        long all = 0;
        for (int i = 0; i < counts.length; i++) {
            buckets.add(new Bucket(Duration.ofMillis(1L << i), counts[i]));
            all += counts[i];
        }
        return new DwellTimes(List.copyOf(buckets), all, Duration.ofMillis(sumMs));
    }
}
