package io.millrace.queue;

import com.google.re2j.Pattern;
import io.millrace.Event;
import io.millrace.redis.Keys;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;

/** All routes at one version of the {@link Registry}. */
final class Routes {

    /** Topics whose routes are remembered; the whole memory is dropped when it is full. */
    private static final int MAX_REMEMBERED = 10_000;

    private static final int LONGEST_REMEMBERED = 512;

    /** A queue and its compiled pattern. */
    record Route(Registration registration, Pattern pattern, List<Unit> units) {

        /** Where a facet's messages go. */
        Unit unit(String facet) {
            return units.get(registration.partitionOf(facet));
        }
    }

    /**
     * What is known of one topic.
     *
     * @param routes to the queues that want it
     * @param units where it goes there
     * @param queues their names
     * @param channel it is published on
     * @param facet it is put into
     */
    record Matching(List<Route> routes, List<Unit> units, List<String> queues, byte[] channel, byte[] facet) {}

    /** What events are routed by. Comparable: a map can then keep apart those whose hashes somebody made collide. */
    private record Topic(String environment, String type, String name) implements Comparable<Topic> {

        private static final Comparator<Topic> ORDER = Comparator.comparing(Topic::name)
                .thenComparing(Topic::environment)
                .thenComparing(Topic::type);

        Topic(Event event) {
            this(event.environment(), event.type(), event.name());
        }

        @Override
        public int compareTo(Topic other) {
            return ORDER.compare(this, other);
        }
    }

    private final Keys keys;
    private final byte[] version;
    private final List<Route> all;
    private final long loadedNanos;
    private final boolean waiting;
    private final ConcurrentMap<Topic, Matching> remembered = new ConcurrentHashMap<>();
    private final Map<String, Integer> partitions;
    private final ConcurrentMap<Unit, Long> maintained = new ConcurrentHashMap<>();
    private final Set<Unit> holding = ConcurrentHashMap.newKeySet();

    Routes(Keys keys, byte[] version, List<Route> all, Map<String, Integer> partitions, long loadedNanos) {
        this.keys = keys;
        this.version = version;
        this.all = all;
        this.partitions = partitions;
        this.loadedNanos = loadedNanos;
        this.waiting =
                all.stream().anyMatch(route -> route.registration().admission().overflow() == Admission.Overflow.WAIT);
    }

    /** Whether there is a queue whose producers wait for room. */
    boolean hasWaiting() {
        return waiting;
    }

    /** When they were read, by {@link System#nanoTime()}. */
    long loadedNanos() {
        return loadedNanos;
    }

    byte[] version() {
        return version;
    }

    List<Route> all() {
        return all;
    }

    /** How many partitions a queue has, registered or not. */
    int partitions(String queue) {
        return partitions.getOrDefault(queue, 1);
    }

    /**
     * When each unit's deduplication window was last looked after. Kept per version: a queue that was destroyed and registered
     * again has a new window.
     */
    ConcurrentMap<Unit, Long> maintained() {
        return maintained;
    }

    /** Units that had delayed deliveries when last looked after: their ids may be older than the window. */
    Set<Unit> holding() {
        return holding;
    }

    /** The queues that want an event. */
    Matching matching(Event event) {
        Matching known = remembered.get(new Topic(event));
        return known != null ? known : matchingAnew(event);
    }

    private Matching matchingAnew(Event event) {
        String topic = event.topic();
        List<Route> matching = new ArrayList<>();
        for (Route route : all) {
            if (route.pattern().matches(topic)) {
                matching.add(route);
            }
        }
        if (remembered.size() >= MAX_REMEMBERED) {
            remembered.clear();
        }
        Matching result = new Matching(
                List.copyOf(matching),
                matching.stream().map(route -> route.unit(event.environment())).toList(),
                matching.stream().map(route -> route.registration().queue()).toList(),
                keys.topicChannel(topic),
                event.environment().getBytes(StandardCharsets.UTF_8));
        if (topic.length() <= LONGEST_REMEMBERED) {
            remembered.put(new Topic(event), result);
        }
        return result;
    }
}
