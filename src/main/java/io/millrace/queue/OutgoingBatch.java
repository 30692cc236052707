package io.millrace.queue;

import io.millrace.Event;
import io.millrace.MalformedEventException;
import io.millrace.MillraceException;
import io.millrace.json.EventCodec;
import io.millrace.redis.GroupCommit.Outcome;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedSet;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** Events on their way into queues: each as it is stored, where it goes, or why it cannot. One call's, but for failures of a cluster. */
final class OutgoingBatch {

    private static final byte[] NOTHING = {};

    private final List<Event> events;
    private final byte[][] elements;
    private final byte[][] channels;
    private final byte[][] facets;
    private final @Nullable Throwable[] failures;
    private final List<List<String>> queues;
    private final boolean[] alone;
    private final @Nullable List<String>[] duplicates;
    private final Map<Integer, Admitted> admitted = new HashMap<>(0); // of those about whom there is something to say
    private final SortedSet<Integer> untried = new TreeSet<>();

    /** What goes to one queue, or to one partition of it: indexes of events. */
    static final class Part {

        private final Unit unit;
        private final Admission admission;
        private int[] events = new int[8];
        private int size;

        private Part(Routes.Route route, Unit unit) {
            this.unit = unit;
            this.admission = route.registration().admission();
        }

        Admission admission() {
            return admission;
        }

        Unit unit() {
            return unit;
        }

        String queue() {
            return unit.queue();
        }

        int size() {
            return size;
        }

        int event(int i) {
            return events[i];
        }

        private void add(int event) {
            if (size == events.length) {
                events = Arrays.copyOf(events, 2 * size);
            }
            events[size++] = event;
        }
    }

    /** An event that cannot be written fails alone. */
    @SuppressWarnings({"unchecked", "rawtypes"})
    OutgoingBatch(List<Event> events, Instant now, int maxEventBytes) {
        this.events = events;
        this.elements = new byte[events.size()][];
        this.channels = new byte[events.size()][];
        this.facets = new byte[events.size()][];
        this.failures = new Throwable[events.size()];
        this.queues = new ArrayList<>(events.size());
        this.alone = new boolean[events.size()];
        this.duplicates = new List[events.size()];
        for (int i = 0; i < events.size(); i++) {
            queues.add(List.of());
            try {
                elements[i] = EventCodec.writeStored(events.get(i), now, maxEventBytes);
            } catch (RuntimeException | StackOverflowError e) { // a getter of a user's type may throw anything
                failures[i] = e instanceof MillraceException
                        ? e
                        : new MalformedEventException("event " + events.get(i).id() + " cannot be written: " + e, e);
                elements[i] = NOTHING;
            }
        }
    }

    /** Decides, or decides anew, where each event goes. */
    List<Part> route(Routes routes) {
        Map<Unit, Part> parts = new LinkedHashMap<>();
        Part last = null; // most often the next event's, too
        for (int i = 0; i < events.size(); i++) {
            if (failures[i] == null) {
                Routes.Matching matching = routes.matching(events.get(i));
                queues.set(i, matching.queues());
                channels[i] = matching.channel();
                facets[i] = matching.facet();
                alone[i] = matching.units().size() == 1;
                for (int r = 0; r < matching.routes().size(); r++) {
                    Unit unit = matching.units().get(r);
                    if (last == null || !last.unit.equals(unit)) {
                        Routes.Route route = matching.routes().get(r);
                        last = parts.computeIfAbsent(unit, one -> new Part(route, one));
                    }
                    last.add(i);
                }
            }
        }
        return new ArrayList<>(parts.values());
    }

    int size() {
        return events.size();
    }

    Event event(int i) {
        return events.get(i);
    }

    byte[] element(int i) {
        return elements[i];
    }

    byte[] channel(int i) {
        return channels[i];
    }

    /** Whether it goes to one queue only: its script can publish it too. */
    boolean alone(int i) {
        return alone[i];
    }

    byte[] facet(int i) {
        byte[] facet = facets[i];
        return facet == null ? NOTHING : facet; // of what failed before it was routed
    }

    boolean failed(int i) {
        return failures[i] != null;
    }

    /** Parts of a cluster end at the same time; an event has failed when one of its queues has. */
    synchronized void fail(Part part, Throwable error) {
        for (int i = 0; i < part.size(); i++) {
            failures[part.event(i)] = error;
        }
    }

    synchronized void duplicate(int i, String queue) {
        List<String> known = duplicates[i];
        if (known == null) {
            known = new ArrayList<>(1);
            duplicates[i] = known;
        }
        known.add(queue);
    }

    synchronized void refused(int i, String queue) {
        admitted(i).refusedBy.add(queue);
    }

    /** A queue has not tried it. */
    synchronized void untried(int i, String queue) {
        admitted(i).refusedBy.add(queue);
        untried.add(i);
    }

    /** No queue has tried it. */
    synchronized void untried(int i) {
        queues.get(i).forEach(queue -> untried(i, queue));
    }

    /** Events that are to be delivered once more, in order. */
    synchronized List<Integer> untried() {
        return List.copyOf(untried);
    }

    synchronized void displaced(int i, String id) {
        admitted(i).displaced.add(id);
    }

    private Admitted admitted(int i) {
        return admitted.computeIfAbsent(i, event -> new Admitted());
    }

    /** Whether a queue refuses it, or has not tried it, and none newly has it: then live listeners do not hear of it either, or not again. */
    synchronized boolean unwelcome(int i) {
        Admitted of = admitted.get(i);
        List<String> known = duplicates[i];
        return untried.contains(i)
                || (of != null
                        && !of.refusedBy.isEmpty()
                        && of.refusedBy.size() + (known == null ? 0 : known.size())
                                == queues.get(i).size());
    }

    private Delivered delivered(int i) {
        List<String> known = duplicates[i];
        List<String> duplicate = known == null ? List.of() : List.copyOf(known);
        Admitted of = admitted.isEmpty() ? null : admitted.get(i);
        if (of == null) {
            return new Delivered(events.get(i).id(), queues.get(i), duplicate, List.of(), List.of());
        }
        List<String> having = new ArrayList<>(queues.get(i));
        having.removeAll(of.refusedBy);
        return new Delivered(
                events.get(i).id(), having, duplicate, List.copyOf(of.refusedBy), List.copyOf(of.displaced));
    }

    /** What admission did about one event. */
    private static final class Admitted {

        private final List<String> refusedBy = new ArrayList<>(1);
        private final List<String> displaced = new ArrayList<>(1);
    }

    synchronized List<Outcome<Delivered>> outcomes() {
        List<Outcome<Delivered>> outcomes = new ArrayList<>(events.size());
        for (int i = 0; i < events.size(); i++) {
            Throwable failure = failures[i];
            outcomes.add(failure != null ? new Outcome.Failed<>(failure) : new Outcome.Done<>(delivered(i)));
        }
        return outcomes;
    }
}
