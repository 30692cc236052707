package io.millrace.stream;

import io.millrace.stream.StreamScripts.Standing;
import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.List;
import java.util.Queue;
import org.jspecify.annotations.Nullable;

/**
 * Where a reader went on in its log, to find out what was removed before it came there although it is further by now: an id that was
 * removed from between two entries that were read one after the other was not read. Thread safe.
 */
final class Passed {

    /** So many reads are remembered; who commits so seldom is not told of what was removed before older ones. */
    private static final int MOST = 10_000;

    /** Ids after the first and up to the second were missed. */
    record Missed(EntryId after, EntryId upTo) {}

    private record Step(EntryId from, EntryId first, EntryId last) {}

    private final Queue<Step> steps = new ArrayDeque<>(); // until what was read there is committed
    private final Queue<Missed> missed = new ArrayDeque<>();

    /** Entries were read from a position on. */
    synchronized void read(EntryId from, List<StreamEntry> entries) {
        if (steps.size() == MOST) {
            steps.remove();
        }
        steps.add(new Step(
                from, entries.get(0).id(), entries.get(entries.size() - 1).id()));
    }

    /** Compares with what was found later; whether something is to be told. */
    synchronized boolean isMissing(Standing standing) {
        for (Iterator<Step> all = steps.iterator(); all.hasNext(); ) {
            Step step = all.next();
            boolean removed = standing.trimmed().isAfter(step.from) && step.first.isAfter(standing.trimmed());
            if (removed) {
                missed.add(new Missed(step.from, standing.trimmed()));
            }
            if (removed || !step.last.isAfter(standing.offset())) {
                all.remove();
            }
        }
        return !missed.isEmpty();
    }

    /** What is to be told next. */
    synchronized @Nullable Missed next() {
        return missed.peek();
    }

    /** The next one is told. */
    synchronized void told() {
        missed.remove();
    }

    /** The log is another one. */
    synchronized void clear() {
        steps.clear();
    }
}
