package io.millrace.queue;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * What a queue has to do, as plainly as it can be said: a ring of facets that take turns, one message each; inside a facet first what
 * came back, in its old order, then what is new.
 */
final class QueueModel {

    /** A message; its order is given to it when it is handed out for the first time. */
    static final class Item {

        final String id;
        final String facet;
        long order;
        int used; // attempts that count

        Item(String id, String facet) {
            this.id = id;
            this.facet = facet;
        }

        /** As the next to get it sees it. */
        String shown() {
            return id + "#" + (used + 1);
        }
    }

    /** What a facet has. */
    private static final class Facet {

        private final Deque<Item> fresh = new ArrayDeque<>();
        private final TreeSet<Item> back = new TreeSet<>(Comparator.comparingLong(item -> item.order));

        int size() {
            return fresh.size() + back.size();
        }

        Item poll() {
            return back.isEmpty() ? fresh.poll() : back.pollFirst();
        }
    }

    final List<String> ring = new ArrayList<>();
    final Map<String, List<Item>> leases = new LinkedHashMap<>(); // by any name the caller likes
    final List<Item> later = new ArrayList<>();
    final List<String> dead = new ArrayList<>();
    private final Map<String, Facet> facets = new LinkedHashMap<>();
    private final Set<String> ids = new HashSet<>();
    private final int maxAttempts;
    private long orders;

    QueueModel(int maxAttempts) {
        this.maxAttempts = maxAttempts;
    }

    /** False: it was there before. */
    boolean deliver(String id, String facet) {
        if (!ids.add(id)) {
            return false;
        }
        facet(facet).fresh.add(new Item(id, facet));
        if (facet(facet).size() == 1) {
            ring.add(facet);
        }
        return true;
    }

    /** The next messages, gone from the queue; each has its attempt counted. */
    List<Item> take(int n) {
        List<Item> taken = new ArrayList<>();
        while (taken.size() < n && !ring.isEmpty()) {
            String facet = ring.remove(0);
            Item item = facet(facet).poll();
            if (facet(facet).size() > 0) {
                ring.add(facet);
            }
            item.used++;
            if (item.order == 0) {
                item.order = ++orders;
            }
            taken.add(item);
        }
        return taken;
    }

    /** How many messages can be pulled. */
    long waiting() {
        return ring.stream().mapToLong(name -> facet(name).size()).sum();
    }

    /** What the next pull would show. */
    List<String> peek(int n) {
        List<String> shown = new ArrayList<>();
        List<String> turns = new ArrayList<>(ring);
        Map<String, List<Item>> left = new LinkedHashMap<>();
        for (String name : ring) {
            List<Item> all = new ArrayList<>(facet(name).back);
            all.addAll(facet(name).fresh);
            left.put(name, all);
        }
        while (shown.size() < n && !turns.isEmpty()) {
            String facet = turns.remove(0);
            shown.add(left.get(facet).remove(0).shown());
            if (!left.get(facet).isEmpty()) {
                turns.add(facet);
            }
        }
        return shown;
    }

    /** Back to its place; a dead letter when its attempts are used up. */
    void giveBack(Item item, boolean counted) {
        if (!bury(item, counted)) {
            if (facet(item.facet).size() == 0) {
                ring.add(item.facet);
            }
            facet(item.facet).back.add(item);
        }
    }

    /** Held back until {@link #due}; a dead letter when its attempts are used up. */
    void giveBackLater(Item item) {
        if (!bury(item, true)) {
            later.add(item);
        }
    }

    /** The time of a message that was held back has come. */
    void due(String id) {
        Item item = later.stream().filter(one -> one.id.equals(id)).findFirst().orElseThrow();
        later.remove(item);
        if (facet(item.facet).size() == 0) {
            ring.add(item.facet);
        }
        facet(item.facet).back.add(item);
    }

    /** How many messages there were, dead letters among them. */
    long destroy() {
        long size = later.size() + dead.size();
        size += leases.values().stream().mapToInt(List::size).sum();
        size += facets.values().stream().mapToInt(Facet::size).sum();
        ring.clear();
        leases.clear();
        later.clear();
        dead.clear();
        facets.clear();
        ids.clear();
        return size;
    }

    /** {@code facet=waiting/in flight/later}: those with a turn in the order of their turns, then the others by name. */
    List<String> states() {
        Map<String, int[]> counts = new LinkedHashMap<>();
        ring.forEach(name -> counts.put(name, new int[] {facet(name).size(), 0, 0}));
        Map<String, int[]> rest = new java.util.TreeMap<>();
        leases.values().forEach(items -> items.forEach(item -> count(counts, rest, item.facet)[1]++));
        later.forEach(item -> count(counts, rest, item.facet)[2]++);
        counts.putAll(rest);
        List<String> states = new ArrayList<>();
        counts.forEach((name, n) -> states.add(name + "=" + n[0] + "/" + n[1] + "/" + n[2]));
        return states;
    }

    private static int[] count(Map<String, int[]> counts, Map<String, int[]> rest, String facet) {
        int[] known = counts.get(facet);
        return known != null ? known : rest.computeIfAbsent(facet, name -> new int[3]);
    }

    private boolean bury(Item item, boolean counted) {
        if (!counted) {
            item.used--;
        } else if (item.used >= maxAttempts) {
            dead.add(item.id + "#" + item.used);
            return true;
        }
        return false;
    }

    private Facet facet(String name) {
        return facets.computeIfAbsent(name, key -> new Facet());
    }
}
