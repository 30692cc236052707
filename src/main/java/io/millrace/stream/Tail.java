package io.millrace.stream;

import io.millrace.stream.StreamScripts.Standing;
import java.util.List;

/** Finds out that a log is not the one it was: it has fewer entries in its history than were seen. Thread safe. */
final class Tail {

    private EntryId last = EntryId.ZERO;
    private long added;
    private long newer; // read since, and added since

    /** How many entries the log has ever had, as far as is known: what is asked from now on is answered by that many or more. */
    synchronized long seen() {
        return added + newer;
    }

    /** As the log was found to be. */
    synchronized void at(Standing standing) {
        last = standing.last();
        added = standing.added();
        newer = 0;
    }

    /** Entries were read. */
    synchronized void read(List<StreamEntry> entries) {
        for (int i = entries.size() - 1; i >= 0 && entries.get(i).id().isAfter(last); i--) {
            newer++;
        }
    }

    /**
     * Whether a log is another one.
     *
     * @param seen what {@link #seen} said before the log was asked: what was learned since may be newer than its answer
     */
    static boolean wentBack(Standing standing, long seen) {
        return standing.added() < seen;
    }
}
