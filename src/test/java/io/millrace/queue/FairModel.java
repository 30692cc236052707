package io.millrace.queue;

import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * A queue with weights, pauses, caps, strict order and limits, as plainly as it can be said: facets wait by virtual finish time, the
 * smallest goes first; who arrives begins at the present time.
 */
final class FairModel {

    /** Times up to here have come. */
    private static final long DUE = 1_000_000;

    /** A message. */
    static final class Item {

        final String id;
        final String facet;
        long order;
        int used;
        boolean promised;
        int displacesAt;

        Item(String id, String facet) {
            this.id = id;
            this.facet = facet;
        }
    }

    private enum Where {
        NOWHERE,
        RING,
        FAIR,
        PARKED,
        THROTTLED
    }

    private static final class Facet {

        private final String name;
        private final Deque<Item> fresh = new ArrayDeque<>();
        private final TreeSet<Item> back = new TreeSet<>(Comparator.comparingLong(item -> item.order));
        private Where where = Where.NOWHERE;
        private double weight = 1;
        private boolean paused;
        private int cap;
        private int ownLimit = -1;
        private long heldUntil; // strict order; in steps of its own, 0: not
        private long throttledUntil;
        private int inFlight;
        private double key;
        private long seq;
        private boolean opened;
        private boolean heldBack;
        private int have;
        private int left;
        private int quota;

        Facet(String name) {
            this.name = name;
        }

        int size() {
            return fresh.size() + back.size();
        }

        boolean stopped() {
            return paused || weight == 0;
        }
    }

    final List<Item> leased = new ArrayList<>();
    final List<Item> dead = new ArrayList<>();
    final Map<String, Item> delayed = new TreeMap<>();
    final List<Item> later = new ArrayList<>();
    boolean paused;
    int cap;
    int capEach;
    int limit;
    boolean dropOldest;
    boolean strict;
    private final Map<String, Facet> facets = new TreeMap<>();
    private final List<Facet> ring = new ArrayList<>();
    private final Set<String> ids = new HashSet<>();
    private final int maxAttempts;
    private double time;
    private long arrivals;
    private long orders;
    private long dues;
    private long holds = DUE;

    FairModel(int maxAttempts) {
        this.maxAttempts = maxAttempts;
    }

    /** What became of it: "queued", "duplicate", "refused", or the id of the one it displaced. */
    String deliver(String id, String name) {
        if (ids.contains(id)) {
            return "duplicate";
        }
        Facet facet = facet(name);
        int most = limitOf(facet);
        if (most > 0 && facet.size() + (dropOldest ? 0 : promised(name)) >= most) {
            if (!dropOldest || facet.fresh.isEmpty()) {
                return "refused";
            }
            ids.add(id);
            facet.fresh.add(new Item(id, name));
            return facet.fresh.poll().id;
        }
        ids.add(id);
        join(facet, new Item(id, name));
        return "queued";
    }

    /** As {@link #deliver}. */
    String delay(String id, String name) {
        if (ids.contains(id)) {
            return "duplicate";
        }
        Item item = new Item(id, name);
        int most = limitOf(facet(name));
        if (most > 0) {
            if (promised(name) + (dropOldest ? 0 : facet(name).size()) >= most) {
                return "refused";
            }
            item.promised = true;
            item.displacesAt = dropOldest ? most : 0;
        }
        ids.add(id);
        delayed.put(id, item);
        return "queued";
    }

    private int limitOf(Facet facet) {
        return limit > 0 && facet.ownLimit >= 0 ? facet.ownLimit : limit;
    }

    private int promised(String facet) {
        return (int) delayed.values().stream()
                .filter(item -> item.promised && item.facet.equals(facet))
                .count();
    }

    boolean cancel(String id) {
        if (delayed.remove(id) == null) {
            return false;
        }
        ids.remove(id);
        return true;
    }

    void due(String id) {
        Item item = delayed.remove(id);
        Facet facet = facet(item.facet);
        if (item.displacesAt == 0 || facet.size() < item.displacesAt) {
            join(facet, item);
        } else if (facet.fresh.isEmpty()) {
            item.order = ++orders;
            dead.add(item);
        } else {
            facet.fresh.add(item);
            facet.fresh.poll();
        }
    }

    /** A message that was held back takes its place. */
    void dueAgain(Item item) {
        later.remove(item);
        putBack(item);
    }

    /** Facets that strict order holds back, by name. */
    List<String> heldFacets() {
        return facets.values().stream()
                .filter(facet -> facet.heldUntil > DUE)
                .map(facet -> facet.name)
                .toList();
    }

    /** Its time has come. The next pull lets it go on. */
    void dueFacet(String name) {
        Facet facet = facet(name);
        facet.heldUntil = 0;
        if (facet.where == Where.THROTTLED) {
            facet.throttledUntil = ++dues;
        }
    }

    private void join(Facet facet, Item item) {
        if (facet.size() == 0) {
            enter(facet);
        }
        facet.fresh.add(item);
    }

    private void enter(Facet facet) {
        facet.where = Where.RING;
        ring.add(facet);
    }

    /** The next messages; each has its attempt counted. */
    List<Item> take(int n, boolean lease) {
        List<Item> taken = new ArrayList<>();
        throttled().filter(facet -> facet.throttledUntil <= DUE).forEach(this::enter);
        int wanted = cap > 0 && (lease || cap <= leased.size()) ? Math.min(n, cap - leased.size()) : n;
        if (paused || wanted <= 0) {
            return taken;
        }
        PriorityQueue<Facet> heap = new PriorityQueue<>(
                Comparator.<Facet>comparingDouble(facet -> facet.key).thenComparingLong(facet -> facet.seq));
        facets.values().stream().filter(facet -> facet.where == Where.FAIR).forEach(heap::add);
        for (Facet facet : ring) {
            if (facet.stopped()) {
                facet.where = Where.PARKED;
            } else {
                facet.where = Where.FAIR;
                facet.seq = ++arrivals;
                facet.key = time + 1 / facet.weight;
                heap.add(facet);
            }
        }
        ring.clear();
        facets.values().forEach(facet -> facet.opened = false);
        while (taken.size() < wanted && !heap.isEmpty()) {
            Facet facet = heap.poll();
            if (!facet.opened) {
                open(facet, lease);
            }
            if (facet.left > 0) {
                taken.add(hand(facet, lease));
                time = Math.max(time, facet.key);
                facet.left--;
                facet.quota++;
                facet.key += 1 / facet.weight;
                facet.seq = ++arrivals;
                if (facet.left > 0) {
                    heap.add(facet);
                } else {
                    facet.where = facet.quota == facet.have ? Where.NOWHERE : Where.PARKED;
                }
            } else if (facet.heldBack) {
                facet.where = Where.THROTTLED;
                facet.throttledUntil = facet.heldUntil;
            } else {
                facet.where = Where.PARKED;
            }
        }
        return taken;
    }

    private void open(Facet facet, boolean lease) {
        facet.opened = true;
        facet.quota = 0;
        facet.have = facet.size();
        int most = strict ? 1 : facet.cap > 0 ? facet.cap : capEach;
        int room = most > 0 ? Math.max(0, most - facet.inFlight) : Integer.MAX_VALUE;
        if (!lease && room > 0) {
            room = Integer.MAX_VALUE; // what is taken for good is never in flight
        }
        facet.heldBack = strict && !facet.stopped() && facet.heldUntil > DUE;
        facet.left = facet.stopped() || facet.heldBack ? 0 : Math.min(facet.have, room);
    }

    private Item hand(Facet facet, boolean lease) {
        Item item = facet.back.isEmpty() ? facet.fresh.poll() : facet.back.pollFirst();
        item.used++;
        if (item.order == 0) {
            item.order = ++orders;
        }
        if (lease) {
            leased.add(item);
        }
        return item;
    }

    /** Counted in flight only after the whole pull. */
    void counted(List<Item> items) {
        items.forEach(item -> facet(item.facet).inFlight++);
    }

    void acknowledge(Item item) {
        end(item);
    }

    void giveBack(Item item, boolean counted) {
        end(item);
        if (!counted) {
            item.used--;
        } else if (item.used >= maxAttempts) {
            dead.add(item);
            return;
        }
        putBack(item);
    }

    /** Comes again after a while: steps aside, or in strict order its facet waits. False: its attempts are used up. */
    boolean giveBackLater(Item item) {
        end(item);
        if (item.used >= maxAttempts) {
            dead.add(item);
            return false;
        }
        if (!strict) {
            later.add(item);
            return true;
        }
        Facet facet = facet(item.facet);
        boolean waiting = facet.size() > 0;
        facet.back.add(item);
        facet.heldUntil = ++holds;
        if (!waiting) {
            facet.where = Where.THROTTLED;
            facet.throttledUntil = facet.heldUntil;
        }
        return true;
    }

    /** One lease of several: these come again, the others are acknowledged. */
    void endBatch(List<Item> all, List<Item> again) {
        all.forEach(this::end);
        for (Item item : again) {
            if (item.used >= maxAttempts) {
                dead.add(item);
            } else {
                putBack(item);
            }
        }
    }

    /** All of these, in their order. */
    void expire(List<Item> items) {
        items.forEach(item -> giveBack(item, true));
    }

    void bury(Item item) {
        end(item);
        dead.add(item);
    }

    void redrive(Item item) {
        dead.remove(item);
        item.used = 0;
        putBack(item);
    }

    private void putBack(Item item) {
        Facet facet = facet(item.facet);
        if (facet.size() == 0) {
            enter(facet);
        }
        facet.back.add(item);
    }

    private void end(Item item) {
        leased.remove(item);
        Facet facet = facet(item.facet);
        facet.inFlight--;
        if (tracked && facet.where == Where.PARKED) {
            enter(facet);
        }
    }

    /** Whether ends of leases are noticed by facets: from the first cap on. */
    boolean tracked;

    void weight(String name, double weight) {
        boolean changed = facet(name).weight != weight;
        facet(name).weight = weight;
        judgeAnew(facet(name), changed);
    }

    void pause(String name, boolean paused) {
        Facet facet = facet(name);
        boolean changed = facet.paused != paused || (!paused && facet.weight == 0);
        facet.paused = paused;
        if (!paused && facet.weight == 0) {
            facet.weight = 1;
        }
        judgeAnew(facet, changed);
    }

    void cap(String name, int cap) {
        boolean changed = facet(name).cap != cap;
        facet(name).cap = cap;
        judgeAnew(facet(name), changed);
    }

    void capEach(int cap) {
        capEach = cap;
        judgeAll();
    }

    void order(boolean strict) {
        this.strict = strict;
        judgeAll();
    }

    void ownLimit(String name, int limit) {
        boolean changed = facet(name).ownLimit != limit;
        facet(name).ownLimit = limit;
        judgeAnew(facet(name), changed);
    }

    private Stream<Facet> throttled() {
        return facets.values().stream()
                .filter(facet -> facet.where == Where.THROTTLED)
                .sorted(Comparator.comparingLong(facet -> facet.throttledUntil))
                .toList()
                .stream();
    }

    private void judgeAll() {
        throttled().forEach(this::enter);
        facets.values().stream()
                .filter(facet -> facet.where == Where.PARKED)
                .sorted(Comparator.comparing(
                        facet -> facet.name.getBytes(StandardCharsets.UTF_8), Arrays::compareUnsigned))
                .forEach(this::enter);
    }

    private void judgeAnew(Facet facet, boolean changed) {
        if (!changed) {
            return;
        }
        if (facet.where == Where.FAIR || facet.where == Where.PARKED || facet.where == Where.THROTTLED) {
            enter(facet);
        }
    }

    boolean mayServe() {
        return !paused && facets.values().stream().anyMatch(facet -> facet.size() > 0 && !facet.stopped());
    }

    /** {@code facet=waiting/in flight/later}, by name. */
    List<String> states() {
        Map<String, int[]> counts = new TreeMap<>();
        facets.values().forEach(facet -> counts.put(facet.name, new int[] {facet.size(), facet.inFlight, 0}));
        delayed.values().forEach(item -> counts.computeIfAbsent(item.facet, name -> new int[3])[2]++);
        later.forEach(item -> counts.computeIfAbsent(item.facet, name -> new int[3])[2]++);
        List<String> states = new ArrayList<>();
        counts.forEach((name, n) -> {
            if (n[0] + n[1] + n[2] > 0) {
                states.add(name + "=" + n[0] + "/" + n[1] + "/" + n[2]);
            }
        });
        return states;
    }

    private Facet facet(String name) {
        return facets.computeIfAbsent(name, Facet::new);
    }
}
