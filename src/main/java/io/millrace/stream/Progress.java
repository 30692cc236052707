package io.millrace.stream;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What of a batch is done, in whatever order, and up to where everything is. Thread safe. */
final class Progress {

    /** Everything up to an id is done; what could not be is parked. */
    record Mark(EntryId upTo, List<Session.Parked> parked) {}

    private final List<StreamEntry> entries;
    private final boolean[] done;
    private final Map<Integer, Session.Parked> parked = new HashMap<>();
    private int marked; // everything before this place was given out by advance()

    Progress(List<StreamEntry> entries) {
        this.entries = entries;
        this.done = new boolean[entries.size()];
    }

    synchronized void done(List<StreamEntry> some) {
        if (some.size() == done.length) {
            Arrays.fill(done, true);
        } else {
            some.forEach(entry -> done[place(entry)] = true);
        }
    }

    synchronized void parked(Session.Parked one) {
        parked.put(place(one.entry()), one);
        done[place(one.entry())] = true;
    }

    /** The contiguous part that was done since the last call; {@code null} if there is none. */
    synchronized @Nullable Mark advance() {
        int from = marked;
        while (marked < done.length && done[marked]) {
            marked++;
        }
        if (marked == from) {
            return null;
        }
        List<Session.Parked> aside = new ArrayList<>();
        for (int i = from; i < marked; i++) {
            Session.Parked one = parked.get(i);
            if (one != null) {
                aside.add(one);
            }
        }
        return new Mark(entries.get(marked - 1).id(), aside);
    }

    /** Whether all was given out by {@link #advance}. */
    synchronized boolean isOver() {
        return marked == done.length;
    }

    private int place(StreamEntry entry) {
        return Collections.binarySearch(entries, entry, Comparator.comparing(StreamEntry::id));
    }
}
