package io.millrace.queue;

import io.millrace.Event;
import io.millrace.MillraceException;
import io.millrace.json.EventCodec;
import io.millrace.redis.GroupCommit;
import io.millrace.redis.GroupCommit.Outcome;
import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Puts events on the queues that want them. Concurrent callers share round trips. On a single server one script does a whole batch,
 * all of it or nothing; in Cluster there is a script for each queue, and an event is done when all of its queues have it.
 */
final class Deliverer {

    static final int MAX_BATCH = 64;
    static final int MAX_IN_FLIGHT = 32;

    /** How many events one round trip carries that the caller himself put together. */
    static final int MAX_EXPLICIT_BATCH = 100;

    /** How often routing is tried again because registrations changed meanwhile. */
    private static final int MAX_STALE = 10;

    private static final long MAINTENANCE_NANOS = Duration.ofSeconds(1).toNanos();
    private static final byte[] UNCHECKED = {'-'};
    private static final byte[] NOTHING = {};

    private final Redis redis;
    private final Registry registry;
    private final QueueSettings settings;
    private final GroupCommit<Event, Delivered> commits;

    Deliverer(Redis redis, Registry registry, QueueSettings settings) {
        this.redis = redis;
        this.registry = registry;
        this.settings = settings;
        this.commits = new GroupCommit<>(MAX_BATCH, MAX_IN_FLIGHT, settings.maxWaiting(), this::deliverBatch);
    }

    Mono<Delivered> deliver(Event event) {
        return commits.submit(event);
    }

    /** A batch in one round trip, with the outcome of each event in its place. */
    Mono<List<Outcome<Delivered>>> deliverBatch(List<Event> events) {
        Batch batch = new Batch(events);
        return redis.isCluster() ? deliverToCluster(batch) : deliverChecked(batch, 0);
    }

    private Mono<List<Outcome<Delivered>>> deliverChecked(Batch batch, int stale) {
        return registry.routes().flatMap(routes -> {
            List<Part> parts = route(batch, routes);
            List<byte[]> keys = new ArrayList<>(parts.size() + 1);
            keys.add(registry.versionKey());
            parts.forEach(part -> keys.add(part.unit.prefix()));
            List<byte[]> args = arguments(routes, batch, parts);
            return run(routes, parts, keys, args).flatMap(reply -> {
                if (QueueScripts.delivered(reply)) {
                    return Mono.just(batch.outcomes(parts, duplicates(reply, parts, batch)));
                }
                if (stale >= MAX_STALE) {
                    return Mono.error(new MillraceException(
                            "registrations changed " + MAX_STALE
                                    + " times while these events were delivered; try again",
                            true,
                            null));
                }
                return registry.reload().then(Mono.defer(() -> deliverChecked(batch, stale + 1)));
            });
        });
    }

    private Mono<List<Outcome<Delivered>>> deliverToCluster(Batch batch) {
        return registry.routes().flatMap(routes -> {
            List<Part> parts = route(batch, routes);
            return Flux.fromIterable(parts)
                    .flatMap(part -> run(
                                    routes,
                                    List.of(part),
                                    List.of(part.unit.prefix()),
                                    arguments(routes, batch, List.of(part)))
                            .doOnNext(reply -> duplicates(reply, List.of(part), batch))
                            .onErrorResume(error -> {
                                part.events.forEach(event -> batch.failures[event] = error);
                                return Mono.empty();
                            }))
                    .then(Mono.defer(() -> publish(batch)))
                    .then(Mono.fromSupplier(() -> batch.outcomes(parts, batch.duplicates)));
        });
    }

    /** A call that failed may have been the one to look after the window: the next one does it again. */
    private Mono<Reply> run(Registry.Routes routes, List<Part> parts, List<byte[]> keys, List<byte[]> args) {
        return redis.run(QueueScripts.DELIVER, keys, args)
                .doOnError(error -> parts.forEach(part -> routes.maintained().remove(part.unit.queue())));
    }

    /** Live listeners of a cluster hear of events whose queues have them. */
    private Mono<Void> publish(Batch batch) {
        return Flux.range(0, batch.events.size())
                .filter(i -> batch.failures[i] == null)
                .flatMap(i -> redis.call("PUBLISH", batch.channel(i), batch.elements[i])
                        .onErrorResume(away -> Mono.empty()))
                .then();
    }

    private List<Part> route(Batch batch, Registry.Routes routes) {
        Map<String, Part> parts = new LinkedHashMap<>();
        for (int i = 0; i < batch.events.size(); i++) {
            if (batch.failures[i] != null) {
                continue;
            }
            for (Registry.Route route : routes.matching(batch.events.get(i).topic())) {
                parts.computeIfAbsent(route.unit().queue(), name -> new Part(route.unit()))
                        .events
                        .add(i);
            }
        }
        return new ArrayList<>(parts.values());
    }

    private List<byte[]> arguments(Registry.Routes routes, Batch batch, List<Part> parts) {
        boolean single = !redis.isCluster();
        int events = batch.events.size();
        List<byte[]> args = new ArrayList<>(4 + 4 * events + parts.size() * (1 + events));
        args.add(single ? routes.version() : UNCHECKED);
        args.add(number(maintenanceWindow(routes, parts)));
        args.add(number(events));
        for (int i = 0; i < events; i++) {
            args.add(single && batch.failures[i] == null ? batch.channel(i) : NOTHING);
            args.add(batch.elements[i]);
            args.add(bytes(batch.events.get(i).id()));
            args.add(bytes(batch.events.get(i).environment()));
        }
        for (Part part : parts) {
            boolean all = part.events.size() == events;
            args.add(number(all ? 0 : part.events.size()));
            if (!all) {
                part.events.forEach(event -> args.add(number(event + 1)));
            }
        }
        return args;
    }

    /** About once a second a call also looks after the deduplication windows of its queues; all others leave that out. */
    private long maintenanceWindow(Registry.Routes routes, List<Part> parts) {
        Map<String, Long> maintained = routes.maintained();
        long now = System.nanoTime();
        boolean due = false;
        for (Part part : parts) {
            Long last = maintained.get(part.unit.queue());
            due |= last == null || now - last >= MAINTENANCE_NANOS;
        }
        if (!due) {
            return 0;
        }
        parts.forEach(part -> maintained.put(part.unit.queue(), now));
        return settings.deduplicationWindow().toMillis();
    }

    private static List<List<String>> duplicates(Reply reply, List<Part> parts, Batch batch) {
        for (int i = 1; i + 1 < reply.size(); i += 2) {
            Part part = parts.get((int) reply.number(i) - 1);
            batch.duplicates.get((int) reply.number(i + 1) - 1).add(part.unit.queue());
        }
        return batch.duplicates;
    }

    private static byte[] number(long number) {
        return bytes(Long.toString(number));
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** What goes to one queue. */
    private static final class Part {

        private final Unit unit;
        private final List<Integer> events = new ArrayList<>();

        Part(Unit unit) {
            this.unit = unit;
        }
    }

    /** Events on their way: each as it is stored, or why it cannot be. */
    private final class Batch {

        private final List<Event> events;
        private final byte[][] elements;
        private final Throwable[] failures;
        private final List<List<String>> duplicates = new ArrayList<>();

        Batch(List<Event> events) {
            this.events = events;
            this.elements = new byte[events.size()][];
            this.failures = new Throwable[events.size()];
            Instant now = Instant.ofEpochMilli(redis.clock().millis());
            for (int i = 0; i < events.size(); i++) {
                duplicates.add(new ArrayList<>(0));
                try {
                    elements[i] = EventCodec.writeStored(events.get(i), now, settings.maxEventBytes());
                } catch (MillraceException e) {
                    failures[i] = e;
                    elements[i] = NOTHING;
                }
            }
        }

        byte[] channel(int event) {
            return redis.keys().topicChannel(events.get(event).topic());
        }

        List<Outcome<Delivered>> outcomes(List<Part> parts, List<List<String>> duplicateIn) {
            List<List<String>> queues = new ArrayList<>();
            for (int i = 0; i < events.size(); i++) {
                queues.add(new ArrayList<>(2));
            }
            parts.forEach(part -> part.events.forEach(event -> queues.get(event).add(part.unit.queue())));
            List<Outcome<Delivered>> outcomes = new ArrayList<>();
            for (int i = 0; i < events.size(); i++) {
                outcomes.add(
                        failures[i] != null
                                ? new Outcome.Failed<>(failures[i])
                                : new Outcome.Done<>(new Delivered(
                                        events.get(i).id(),
                                        List.copyOf(queues.get(i)),
                                        List.copyOf(duplicateIn.get(i)))));
            }
            return outcomes;
        }
    }
}
