package io.millrace.stream;

import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;

/**
 * What of a lane was read and is not committed yet: handed out, or left out since something newer had overtaken it. What was left out
 * needs nobody to handle it and is committed together with what is before it. Thread safe.
 */
final class LaneParts {

    /**
     * A part, which is all of one backfill.
     *
     * @param last its last entry
     * @param skipped how many of it were left out
     */
    record Part(String backfill, EntryId last, long skipped) {}

    private record Open(Part part, boolean handedOut) {}

    private final TreeMap<EntryId, Open> open = new TreeMap<>(); // by what of it was handed out last, else by its last

    /** @param shown what of it was handed out last; what follows there was left out */
    synchronized void handedOut(EntryId shown, Part part) {
        open.put(shown, new Open(part, true));
    }

    synchronized void leftOut(Part part) {
        open.put(part.last(), new Open(part, false));
    }

    /** What can be committed when everything handed out up to an id is handled: one part a backfill, in turn. */
    synchronized List<Part> upTo(EntryId id) {
        List<Part> parts = new ArrayList<>();
        open.headMap(id, true).values().forEach(one -> add(one.part, parts));
        if (!open.containsKey(id)) { // in the middle of a part; of which backfill makes no difference
            parts.add(new Part("", id, 0));
        }
        addLeftOut(open.tailMap(id, false).values(), parts);
        return parts;
    }

    /** What can be committed as it is: nothing before it is being handled. */
    synchronized List<Part> leading() {
        List<Part> parts = new ArrayList<>();
        addLeftOut(open.values(), parts);
        return parts;
    }

    private static void addLeftOut(Iterable<Open> some, List<Part> parts) {
        for (Open one : some) {
            if (one.handedOut) {
                return;
            }
            add(one.part, parts);
        }
    }

    private static void add(Part part, List<Part> parts) {
        Part before = parts.isEmpty() ? part : parts.get(parts.size() - 1);
        if (!parts.isEmpty() && before.backfill().equals(part.backfill())) {
            parts.set(parts.size() - 1, new Part(part.backfill(), part.last(), before.skipped() + part.skipped()));
        } else {
            parts.add(part);
        }
    }

    /** Everything up to the end of a part is committed. */
    synchronized void committed(Part part) {
        open.headMap(part.last(), true).clear();
    }
}
