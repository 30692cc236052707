package io.millrace.queue;

import java.util.List;
import java.util.function.ToLongFunction;

/**
 * What an examination of a queue found.
 *
 * @param queue its name
 * @param facets facets with waiting messages
 * @param waiting messages that can be pulled
 * @param inFlight messages that are leased
 * @param later messages held back
 * @param deadLetters messages that were given up
 * @param findings what was not in order and has been repaired; should always be empty
 * @param partitions a report of each partition, in order; empty in that of one partition, or of a queue that has only one
 */
public record DoctorReport(
        String queue,
        long facets,
        long waiting,
        long inFlight,
        long later,
        long deadLetters,
        List<Finding> findings,
        List<DoctorReport> partitions) {

    /** What can be wrong. */
    public enum Kind {
        /** A facet had messages but no turn; they would never have been pulled. */
        MISSING,
        /** A facet had several turns. */
        DOUBLE,
        /** A facet had a turn but no messages. */
        IDLE,
        /** Leases nobody would have taken back. */
        UNRECORDED,
        /** Event ids that would have been kept for ever. */
        ENDLESS,
        /** A message that is not in flight counted as if it were, against the cap of its facet; or one that is did not count. */
        MISCOUNTED,
        /** A delayed delivery without a time; it takes place now. */
        TIMELESS,
        /** Facets stood aside, as at a cap, a rate or a pause, without a reason, or for longer than there was one. */
        STUCK,
        /** Facets that waited for their turn where a change of their policy would not have found them. */
        MISPLACED
    }

    /**
     * Something that was not in order.
     *
     * @param kind what was wrong
     * @param where the facet, the lease profile, or what was looked through
     * @param count how often it was found there
     */
    public record Finding(Kind kind, String where, long count) {}

    static DoctorReport together(String queue, List<DoctorReport> partitions) {
        return new DoctorReport(
                queue,
                sum(partitions, DoctorReport::facets),
                sum(partitions, DoctorReport::waiting),
                sum(partitions, DoctorReport::inFlight),
                sum(partitions, DoctorReport::later),
                sum(partitions, DoctorReport::deadLetters),
                partitions.stream().flatMap(one -> one.findings().stream()).toList(),
                List.copyOf(partitions));
    }

    private static long sum(List<DoctorReport> reports, ToLongFunction<DoctorReport> number) {
        return reports.stream().mapToLong(number).sum();
    }

    /** Whether everything was in order. */
    public boolean healthy() {
        return findings.isEmpty();
    }
}
