package io.millrace.queue;

import io.millrace.queue.FairFacet.Item;
import io.millrace.queue.FairFacet.When;
import io.millrace.queue.FairFacet.Where;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.TreeMap;

/**
 * A queue with weights, pauses, caps, rates, costs and strict order, as plainly as it can be said: facets wait by virtual finish
 * time, the smallest goes first; who arrives begins at the present time. Rates are of days: what is used up comes back only when a test
 * says so, and how long something took is what {@link FairCosts} says.
 */
final class FairModel {

    private static final Comparator<FairFacet> BY_NAME =
            Comparator.comparing(facet -> facet.name.getBytes(StandardCharsets.UTF_8), Arrays::compareUnsigned);
    private static final double COME = -1e9;

    final List<Item> leased = new ArrayList<>();
    final List<Item> dead = new ArrayList<>();
    final List<Item> later = new ArrayList<>();
    final FairAdmission admission = new FairAdmission(this);
    boolean paused;
    int cap;
    Cap capEach = Cap.NONE;
    Rate rateEach = Rate.UNLIMITED;
    int burst; // of the whole queue; 0: it has no rate
    double interval;
    boolean strict;
    Cost cost = Cost.MESSAGES;
    double average; // seconds a message took
    double time;
    private final Map<String, FairFacet> facets = new TreeMap<>();
    private final List<FairFacet> ring = new ArrayList<>();
    private final int maxAttempts;
    private When used = When.NOW; // of the queue's rate
    private long arrivals;
    private long orders;
    private long dues;
    private long holds;
    private long pulls;

    /** Whether ends of leases are noticed by facets: from the first cap on. */
    boolean tracked;

    FairModel(int maxAttempts) {
        this.maxAttempts = maxAttempts;
    }

    /** A message that was held back takes its place. */
    void dueAgain(Item item) {
        later.remove(item);
        putBack(item);
    }

    /** Facets that strict order holds back, or that have used up their rates, by name. */
    List<String> heldFacets() {
        return facets.values().stream()
                .filter(facet -> facet.heldUntil.ms() > 0 || facet.used.ms() > 0)
                .map(facet -> facet.name)
                .toList();
    }

    /** Its time has come: the next pull lets it go on. */
    void dueFacet(String name) {
        FairFacet facet = facet(name);
        facet.heldUntil = When.NOW;
        facet.used = When.NOW;
        if (facet.where == Where.THROTTLED) {
            facet.throttledUntil = new When(COME + ++dues, 0);
        }
    }

    /** As if the rate of the whole queue had not been used. */
    void refill() {
        used = When.NOW;
    }

    void join(FairFacet facet, Item item) {
        if (facet.size() == 0) {
            enter(facet);
        }
        facet.fresh.add(item);
    }

    private void enter(FairFacet facet) {
        facet.where = Where.RING;
        ring.add(facet);
    }

    /** There was no room for it. */
    void buryUntried(Item item) {
        item.order = ++orders;
        dead.add(item);
    }

    /** The next messages; each has its attempt counted. */
    List<Item> take(int n, boolean lease) {
        pulls++;
        throttled().stream()
                .filter(facet -> facet.throttledUntil.ms() <= 0)
                .toList()
                .forEach(this::enter);
        int wanted = cap > 0 && (lease || cap <= leased.size()) ? Math.min(n, cap - leased.size()) : n;
        When base = base(used, interval, burst);
        if (burst > 0) {
            wanted = Math.min(wanted, may(base, interval, burst));
        }
        List<Item> taken = new ArrayList<>();
        if (paused || wanted <= 0) {
            return taken;
        }
        boolean arrived = !ring.isEmpty();
        List<FairTurn> turns = new ArrayList<>();
        facets.values().stream()
                .filter(facet -> facet.where == Where.FAIR)
                .forEach(facet -> turns.add(new FairTurn(this, facet, lease, facet.key, facet.seq)));
        for (FairFacet facet : ring) {
            if (facet.stopped()) {
                facet.where = Where.PARKED;
                facet.parkedAt = -1;
            } else {
                double from = cost == Cost.MESSAGES ? time + 1 / facet.weight : Math.max(time, facet.debt);
                turns.add(new FairTurn(this, facet, lease, from, ++arrivals));
            }
        }
        ring.clear();
        serve(turns, wanted, taken);
        if (taken.size() < wanted && tracked) {
            serveElastic(turns, wanted, taken, lease);
        }
        turns.forEach(FairTurn::commit);
        if (burst > 0 && (arrived || !taken.isEmpty())) {
            used = new When(base.ms() + taken.size() * interval, base.since());
        }
        if (lease) {
            leased.addAll(taken);
            taken.forEach(item -> facet(item.facet).inFlight++);
        }
        return taken;
    }

    private void serve(List<FairTurn> turns, int wanted, List<Item> taken) {
        PriorityQueue<FairTurn> waiting = new PriorityQueue<>(
                Comparator.<FairTurn>comparingDouble(turn -> turn.key).thenComparingLong(turn -> turn.seq));
        waiting.addAll(turns);
        while (taken.size() < wanted && !waiting.isEmpty()) {
            FairTurn turn = waiting.remove();
            if (!turn.opened) {
                turn.open(false);
            }
            if (turn.left > 0) {
                time = Math.max(time, turn.reached());
                taken.add(turn.serve(++orders));
                turn.seq = ++arrivals;
                if (turn.left > 0) {
                    waiting.add(turn);
                }
            }
        }
    }

    /** Nobody below its cap wants the rest: those above elastic ones have it, the first parked first. */
    private void serveElastic(List<FairTurn> turns, int wanted, List<Item> taken, boolean lease) {
        List<FairTurn> over =
                new ArrayList<>(turns.stream().filter(FairTurn::aside).toList());
        List<FairFacet> parked =
                parked().stream().filter(facet -> facet.parkedAt >= 0).toList();
        for (int i = 0; i < parked.size(); i++) {
            FairTurn turn = new FairTurn(this, parked.get(i), lease, parked.get(i).parkedAt, i - parked.size());
            over.add(turn);
            turns.add(turn);
        }
        over.forEach(turn -> {
            turn.open(capOf(turn.facet).elastic());
            turn.overCap = true;
        });
        serve(over.stream().filter(turn -> turn.left > 0).toList(), wanted, taken);
    }

    Cap capOf(FairFacet facet) {
        return strict ? Cap.of(1) : facet.cap.messages() > 0 ? facet.cap : capEach;
    }

    Rate rateOf(FairFacet facet) {
        return facet.rate.count() > 0 ? facet.rate : rateEach;
    }

    /** From when on a rate counts. What a slower one left behind does not matter. */
    When base(When until, double interval, int burst) {
        return until.ms() <= 0 || until.ms() > burst * interval ? new When(0, pulls) : until;
    }

    /** How many it lets through. */
    static int may(When base, double interval, int burst) {
        return (int) Math.floor((burst * interval - base.ms()) / interval + 1e-6);
    }

    /** What messages of a facet took is known, some by which their lease ended, or none: it goes on. */
    void charge(FairFacet facet, double seconds, int ended) {
        double owed = (seconds - ended * average) / facet.weight;
        if (ended > 0) {
            average = 0.9 * average + 0.1 * seconds / ended;
        }
        if (facet.weight > 0) {
            if (facet.where == Where.FAIR) {
                facet.key += owed;
            } else if (owed > 0) {
                facet.debt = Math.max(time, facet.debt) + owed;
            }
        }
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

    /** Comes again after a while: steps aside, or in strict order its facet waits. */
    void giveBackLater(Item item) {
        end(item);
        if (item.used >= maxAttempts) {
            dead.add(item);
        } else if (!strict) {
            later.add(item);
        } else {
            FairFacet facet = facet(item.facet);
            boolean waiting = facet.size() > 0;
            facet.back.add(item);
            facet.heldUntil = new When(3_600_000, ++holds);
            if (!waiting) {
                facet.where = Where.THROTTLED;
                facet.throttledUntil = facet.heldUntil;
            }
        }
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
        FairFacet facet = facet(item.facet);
        if (facet.size() == 0) {
            enter(facet);
        }
        facet.back.add(item);
    }

    private void end(Item item) {
        leased.remove(item);
        FairFacet facet = facet(item.facet);
        facet.inFlight--;
        if (tracked && facet.where == Where.PARKED) {
            enter(facet);
        }
    }

    private List<FairFacet> throttled() {
        return facets.values().stream()
                .filter(facet -> facet.where == Where.THROTTLED)
                .sorted(Comparator.<FairFacet, When>comparing(facet -> facet.throttledUntil)
                        .thenComparing(BY_NAME))
                .toList();
    }

    private List<FairFacet> parked() {
        return facets.values().stream()
                .filter(facet -> facet.where == Where.PARKED)
                .sorted(Comparator.<FairFacet>comparingDouble(facet -> facet.parkedAt)
                        .thenComparing(BY_NAME))
                .toList();
    }

    /** What holds for each facet has changed: those that stand aside are judged anew. */
    void judgeAll() {
        throttled().forEach(this::enter);
        parked().forEach(this::enter);
    }

    /** What holds for this facet has changed: it waits on where it waits for its turn. */
    void judge(FairFacet facet) {
        if (facet.where == Where.PARKED || facet.where == Where.THROTTLED) {
            enter(facet);
        }
    }

    /** Its weight was another one: so is what is left to wait for. */
    void reweigh(FairFacet facet, double old) {
        if (facet.where == Where.FAIR && cost == Cost.MESSAGES && old > 0 && facet.weight > 0 && facet.key > time) {
            facet.key = time + (facet.key - time) * old / facet.weight;
        }
    }

    /** How many messages there are, wherever. */
    long size() {
        int waiting = facets.values().stream().mapToInt(FairFacet::size).sum();
        return waiting + leased.size() + later.size() + dead.size() + admission.delayed.size();
    }

    /** {@code facet=waiting/in flight/later}, by name. */
    List<String> states() {
        Map<String, int[]> counts = new TreeMap<>();
        facets.values().forEach(facet -> counts.put(facet.name, new int[] {facet.size(), facet.inFlight, 0}));
        admission.delayed.values().forEach(item -> counts.computeIfAbsent(item.facet, name -> new int[3])[2]++);
        later.forEach(item -> counts.computeIfAbsent(item.facet, name -> new int[3])[2]++);
        List<String> states = new ArrayList<>();
        counts.forEach((name, n) -> {
            if (n[0] + n[1] + n[2] > 0) {
                states.add(name + "=" + n[0] + "/" + n[1] + "/" + n[2]);
            }
        });
        return states;
    }

    /** Up to when each facet has paid that waits for its turn, by name. */
    Map<String, Double> keys() {
        Map<String, Double> keys = new TreeMap<>();
        facets.values().stream()
                .filter(facet -> facet.where == Where.FAIR)
                .forEach(facet -> keys.put(facet.name, facet.key));
        return keys;
    }

    FairFacet facet(String name) {
        return facets.computeIfAbsent(name, FairFacet::new);
    }
}
