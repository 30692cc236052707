package io.millrace.queue;

import io.millrace.Event;
import io.millrace.MillraceException;
import io.millrace.redis.GroupCommit;
import io.millrace.redis.GroupCommit.Outcome;
import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Puts events on the queues that want them. Concurrent callers share round trips. On a single server one script does a whole batch,
 * all of it or nothing; in Cluster there is a script for each queue, and an event is done when all of its queues have it.
 */
final class Deliverer {

    static final int MAX_BATCH = 128;
    static final int MAX_IN_FLIGHT = 8;

    /** How many events one round trip carries that the caller himself put together. */
    static final int MAX_EXPLICIT_BATCH = 100;

    /** How often routing is tried again because registrations changed meanwhile. */
    private static final int MAX_STALE = 10;

    private static final long MAINTENANCE_NANOS = Duration.ofSeconds(1).toNanos();
    private static final long LOOK_AMONG_DELAYED = -1;
    private static final byte[] UNCHECKED = {'-'};
    private static final byte[] NOTHING = {};

    private final Redis redis;
    private final Registry registry;
    private final QueueSettings settings;
    private final GroupCommit<Event, Delivered> commits;
    private final RoomAwaiting waiting;

    Deliverer(Redis redis, Registry registry, QueueSettings settings) {
        this.redis = redis;
        this.registry = registry;
        this.settings = settings;
        this.commits = GroupCommit.inLanes(
                MAX_BATCH, MAX_IN_FLIGHT, settings.maxWaiting(), Event::environment, this::deliverBatch);
        this.waiting = new RoomAwaiting(redis, registry, commits::submit);
    }

    Mono<Delivered> deliver(Event event) {
        return commits.submit(event).flatMap(first -> waiting.forRoom(event, first));
    }

    /** As {@link #deliverBatch}; where producers have to wait for room, those events wait. */
    Mono<List<Outcome<Delivered>>> deliverAll(List<Event> events) {
        return deliverBatch(events)
                .flatMap(outcomes -> registry.mayWait() ? waiting.forRoom(events, outcomes) : Mono.just(outcomes));
    }

    /** A batch in one round trip, with the outcome of each event in its place. */
    Mono<List<Outcome<Delivered>>> deliverBatch(List<Event> events) {
        OutgoingBatch batch =
                new OutgoingBatch(events, Instant.ofEpochMilli(redis.clock().millis()), settings.maxEventBytes());
        return (redis.isCluster() ? deliverToCluster(batch) : deliverChecked(batch, 0))
                .flatMap(outcomes -> withRest(events, batch.untried(), outcomes));
    }

    /** What one call did not get to, because queues had too much to look through, goes with the next. */
    private Mono<List<Outcome<Delivered>>> withRest(
            List<Event> events, List<Integer> untried, List<Outcome<Delivered>> outcomes) {
        return untried.isEmpty()
                ? Mono.just(outcomes)
                : deliverBatch(untried.stream().map(events::get).toList()).map(rest -> {
                    List<Outcome<Delivered>> all = new ArrayList<>(outcomes);
                    for (int i = 0; i < rest.size(); i++) {
                        all.set(untried.get(i), both(all.get(untried.get(i)), rest.get(i)));
                    }
                    return all;
                });
    }

    private static Outcome<Delivered> both(Outcome<Delivered> before, Outcome<Delivered> again) {
        return before instanceof Outcome.Done<Delivered> one && again instanceof Outcome.Done<Delivered> other
                ? new Outcome.Done<>(RoomAwaiting.both(one.value(), other.value()))
                : before instanceof Outcome.Failed<Delivered> ? before : again;
    }

    private Mono<List<Outcome<Delivered>>> deliverChecked(OutgoingBatch batch, int stale) {
        return registry.routes().flatMap(routes -> {
            List<OutgoingBatch.Part> parts = batch.route(routes);
            List<byte[]> keys = new ArrayList<>(parts.size() + 1);
            keys.add(registry.versionKey());
            parts.forEach(part -> keys.add(part.unit().prefix()));
            long window = maintenanceWindow(routes, parts);
            List<byte[]> args = arguments(routes.version(), window, batch, parts, true);
            return run(routes, parts, keys, args, window).flatMap(reply -> {
                if (QueueScripts.delivered(reply)) {
                    note(reply, parts, batch, true);
                    return Mono.just(batch.outcomes());
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

    private Mono<List<Outcome<Delivered>>> deliverToCluster(OutgoingBatch batch) {
        return registry.routes()
                .flatMap(routes -> Flux.fromIterable(batch.route(routes))
                        .flatMap(part -> deliverToQueue(batch, routes, part))
                        .then(Mono.defer(() -> publish(batch)))
                        .then(Mono.fromSupplier(batch::outcomes)));
    }

    private Mono<Void> deliverToQueue(OutgoingBatch batch, Routes routes, OutgoingBatch.Part part) {
        List<OutgoingBatch.Part> alone = List.of(part);
        long window = maintenanceWindow(routes, alone);
        List<byte[]> args = arguments(UNCHECKED, window, batch, alone, false);
        return run(routes, alone, List.of(part.unit().prefix()), args, window)
                .doOnNext(reply -> note(reply, alone, batch, false))
                .onErrorResume(error -> {
                    batch.fail(part, error);
                    return Mono.empty();
                })
                .then();
    }

    /** A call that failed may have been the one to look after the windows: the next one does it again. */
    private Mono<Reply> run(
            Routes routes, List<OutgoingBatch.Part> parts, List<byte[]> keys, List<byte[]> args, long window) {
        Mono<Reply> running = redis.run(limited(parts) ? QueueScripts.ADMIT : QueueScripts.DELIVER, keys, args);
        return (window > 0 ? running.doOnNext(reply -> noteHolding(routes, parts, reply)) : running)
                .doOnError(error -> parts.forEach(part -> routes.maintained().remove(part.unit())));
    }

    private static void noteHolding(Routes routes, List<OutgoingBatch.Part> parts, Reply reply) {
        boolean holding = QueueScripts.holding(reply);
        for (OutgoingBatch.Part part : parts) {
            if (holding) {
                routes.holding().add(part.unit());
            } else {
                routes.holding().remove(part.unit());
            }
        }
    }

    /** Live listeners of a cluster hear of events once all of their queues have them; of one queue the script has told already. */
    private Mono<Void> publish(OutgoingBatch batch) {
        return Flux.range(0, batch.size())
                .filter(i -> !batch.alone(i) && !batch.failed(i) && !batch.unwelcome(i))
                .flatMap(i -> redis.call("PUBLISH", batch.channel(i), batch.element(i))
                        .onErrorResume(away -> Mono.empty()))
                .then();
    }

    /** @param whole whether the whole batch is sent, and published; else what goes to the only part, and what goes nowhere else published */
    private static List<byte[]> arguments(
            byte[] version, long window, OutgoingBatch batch, List<OutgoingBatch.Part> parts, boolean whole) {
        int events = whole ? batch.size() : parts.get(0).size();
        List<byte[]> args = new ArrayList<>(3 + 4 * events + parts.size() * (1 + events));
        args.add(version);
        args.add(number(window));
        args.add(number(events));
        for (int n = 0; n < events; n++) {
            int i = whole ? n : parts.get(0).event(n);
            args.add((whole || batch.alone(i)) && !batch.failed(i) ? batch.channel(i) : NOTHING);
            args.add(batch.element(i));
            args.add(bytes(batch.event(i).id()));
            args.add(batch.facet(i));
        }
        boolean limited = limited(parts);
        for (OutgoingBatch.Part part : parts) {
            if (limited) {
                args.add(number(part.admission().limit()));
                args.add(bytes(part.admission().script()));
            }
            boolean all = part.size() == events; // of one alone it is always so
            args.add(number(all ? 0 : part.size()));
            for (int i = 0; i < part.size() && !all; i++) {
                args.add(number(part.event(i) + 1));
            }
        }
        return args;
    }

    /**
     * About once a second a call also looks after the deduplication windows of its queues, and whether they have delayed deliveries; only
     * where it found some do the others look for their ids.
     */
    private long maintenanceWindow(Routes routes, List<OutgoingBatch.Part> parts) {
        long now = System.nanoTime();
        boolean due = false;
        for (OutgoingBatch.Part part : parts) {
            Long last = routes.maintained().get(part.unit());
            due |= last == null || now - last >= MAINTENANCE_NANOS;
        }
        if (!due) {
            return parts.stream().anyMatch(part -> routes.holding().contains(part.unit())) ? LOOK_AMONG_DELAYED : 0;
        }
        parts.forEach(part -> routes.maintained().put(part.unit(), now));
        return settings.deduplicationWindow().toMillis();
    }

    /** Queues without limits are spared what limits cost. */
    private static boolean limited(Collection<OutgoingBatch.Part> parts) {
        for (OutgoingBatch.Part part : parts) {
            if (part.admission().limit() > 0) {
                return true;
            }
        }
        return false;
    }

    private static void note(Reply reply, List<OutgoingBatch.Part> parts, OutgoingBatch batch, boolean whole) {
        if (limited(parts)) {
            noteAdmission(reply, parts, batch, whole);
        } else {
            noteDuplicates(reply, parts, batch, whole);
        }
    }

    private static void noteAdmission(Reply reply, List<OutgoingBatch.Part> parts, OutgoingBatch batch, boolean whole) {
        for (int i = 1; i + 3 < reply.size(); i += 4) {
            OutgoingBatch.Part part = parts.get((int) reply.number(i + 1) - 1);
            int event = event(reply, i + 2, part, whole);
            switch (reply.word(i, QueueScripts.Admitted.class)) {
                case DUPLICATE -> batch.duplicate(event, part.queue());
                case REFUSED -> batch.refused(event, part.queue());
                case DISPLACED -> batch.displaced(event, reply.text(i + 3));
                case UNTRIED -> {
                    if (whole) {
                        batch.untried(event);
                    } else {
                        batch.untried(event, part.queue());
                    }
                }
            }
        }
    }

    private static void noteDuplicates(
            Reply reply, List<OutgoingBatch.Part> parts, OutgoingBatch batch, boolean whole) {
        for (int i = 1; i + 1 < reply.size(); i += 2) {
            OutgoingBatch.Part part = parts.get((int) reply.number(i) - 1);
            batch.duplicate(event(reply, i + 1, part, whole), part.queue());
        }
    }

    private static int event(Reply reply, int position, OutgoingBatch.Part part, boolean whole) {
        int sent = (int) reply.number(position) - 1;
        return whole ? sent : part.event(sent);
    }

    private static byte[] number(long number) {
        return bytes(Long.toString(number));
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
