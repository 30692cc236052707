package io.millrace.queue;

import java.util.ArrayDeque;
import java.util.Comparator;
import java.util.Deque;
import java.util.TreeSet;

/** A facet of a {@link FairModel}. */
final class FairFacet {

    /** A message. */
    static final class Item {

        final String id;
        final String facet;
        final String name;
        final int bytes;
        long order;
        int used;
        boolean promised;
        int displacesAt;

        Item(String id, String facet, String name, int bytes) {
            this.id = id;
            this.facet = facet;
            this.name = name;
            this.bytes = bytes;
        }
    }

    /** Where a facet stands. */
    enum Where {
        NOWHERE,
        RING,
        FAIR,
        PARKED,
        THROTTLED
    }

    /**
     * A time, as long from now as real time never is in a test; not behind 0: it has come.
     *
     * @param since tells two apart that were as long from their now
     */
    record When(double ms, long since) implements Comparable<When> {

        static final When NOW = new When(0, 0);

        @Override
        public int compareTo(When other) {
            return Comparator.comparingDouble(When::ms)
                    .thenComparingLong(When::since)
                    .compare(this, other);
        }
    }

    final String name;
    final Deque<Item> fresh = new ArrayDeque<>();
    final TreeSet<Item> back = new TreeSet<>(Comparator.comparingLong(item -> item.order));
    Where where = Where.NOWHERE;
    double weight = 1;
    boolean paused;
    Cap cap = Cap.NONE;
    Rate rate = Rate.UNLIMITED;
    int ownLimit = -1;
    int inFlight;
    When heldUntil = When.NOW; // strict order
    When throttledUntil = When.NOW;
    When used = When.NOW; // of its rate: until then
    double debt;
    double parkedAt = -1; // behind an elastic cap: its virtual time
    double key;
    long seq;

    FairFacet(String name) {
        this.name = name;
    }

    int size() {
        return fresh.size() + back.size();
    }

    boolean stopped() {
        return paused || weight == 0;
    }

    /** Its next message, as an attempt. */
    Item hand(long order) {
        Item item = back.isEmpty() ? fresh.remove() : back.first();
        back.remove(item);
        item.used++;
        if (item.order == 0) {
            item.order = order;
        }
        return item;
    }
}
