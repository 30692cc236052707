package io.millrace.queue;

import io.millrace.Event;
import io.millrace.MillraceException;
import io.millrace.json.EventCodec;
import io.millrace.redis.Redis;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.IntToLongFunction;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Events that queues get later. Routed when they are asked for; on a single server all queues keep it or none. */
final class DelayedDelivery {

    private static final Logger log = LoggerFactory.getLogger(DelayedDelivery.class);

    private static final int MAX_STALE = 10;
    private static final byte[] UNCHECKED = {'-'};
    private static final byte[] NOTHING = {};

    /** What {@code queue/schedule.lua} says of a queue. */
    private static final long KNOWN = 0;

    private static final long NO_ROOM = -1;

    private enum Status {
        OK,
        STALE
    }

    private final Redis redis;
    private final Registry registry;
    private final QueueSettings settings;

    DelayedDelivery(Redis redis, Registry registry, QueueSettings settings) {
        this.redis = redis;
        this.registry = registry;
        this.settings = settings;
    }

    /** @param due epoch milliseconds, or "+" and milliseconds from now */
    Mono<Delivered> deliver(Event event, String due) {
        return Mono.defer(() -> {
            byte[] element = EventCodec.writeStored(
                    event, Instant.ofEpochMilli(redis.clock().millis()), settings.maxEventBytes());
            RoomAwaiting waiting = new RoomAwaiting(redis, registry, again -> attempt(again, due, element, 0));
            return attempt(event, due, element, 0).flatMap(first -> waiting.forRoom(event, first));
        });
    }

    /** Takes one back in the queue of these partitions; if it was to be published with it, it will be with another queue's. */
    Mono<Boolean> cancel(Partitions partitions, String id) {
        return partitions
                .each(partition -> Mono.defer(() -> redis.run(
                                QueueScripts.CANCEL,
                                List.of(partition.unit().prefix()),
                                Insight.args(id, Insight.callName())))
                        .filter(reply -> reply.number(1) == 1)
                        .flatMap(reply -> published(reply.bytes(2), id).thenReturn(true))
                        .flux())
                .count()
                .map(cancelled -> cancelled > 0);
    }

    private Mono<Void> published(byte[] element, String id) {
        return element.length == 0
                ? Mono.empty()
                : Mono.fromSupplier(() -> EventCodec.readStored(element).event())
                        .zipWith(registry.routes())
                        .flatMapMany(both -> {
                            Routes.Matching matching = both.getT2().matching(both.getT1());
                            return Flux.fromIterable(matching.units())
                                    .concatMap(unit -> redis.run(
                                            QueueScripts.CANCEL,
                                            List.of(unit.prefix()),
                                            List.of(Leases.bytes(id), NOTHING, matching.channel())))
                                    .takeUntil(reply -> reply.number(1) == 1);
                        })
                        .then()
                        .onErrorResume(
                                error -> { // it is taken back in any case
                                    log.warn(
                                            "whether delayed event {} will be published is not known: {}",
                                            id,
                                            error.getMessage());
                                    return Mono.empty();
                                });
    }

    private Mono<Delivered> attempt(Event event, String due, byte[] element, int stale) {
        return registry.routes().flatMap(routes -> {
            Routes.Matching matching = routes.matching(event);
            return redis.isCluster()
                    ? eachAlone(matching, event, due, element)
                    : checked(routes, matching, event, due, element, stale);
        });
    }

    private Mono<Delivered> checked(
            Routes routes, Routes.Matching matching, Event event, String due, byte[] element, int stale) {
        List<byte[]> keys = new ArrayList<>();
        keys.add(registry.versionKey());
        matching.units().forEach(unit -> keys.add(unit.prefix()));
        return redis.run(
                        QueueScripts.SCHEDULE,
                        keys,
                        arguments(routes.version(), event, due, element, true, matching.routes()))
                .flatMap(reply -> {
                    if (reply.status(Status.class) == Status.OK) {
                        return Mono.just(delivered(event, matching, i -> reply.number(i + 1)));
                    }
                    if (stale >= MAX_STALE) {
                        return Mono.error(new MillraceException(
                                "registrations changed " + MAX_STALE + " times while event " + event.id()
                                        + " was delivered; try again",
                                true,
                                null));
                    }
                    return registry.reload().then(Mono.defer(() -> attempt(event, due, element, stale + 1)));
                });
    }

    private Mono<Delivered> eachAlone(Routes.Matching matching, Event event, String due, byte[] element) {
        AtomicBoolean published = new AtomicBoolean(); // by a queue that has it
        return Flux.range(0, matching.routes().size())
                .concatMap(i -> redis.run(
                        QueueScripts.SCHEDULE,
                        List.of(matching.units().get(i).prefix()),
                        arguments(
                                UNCHECKED,
                                event,
                                due,
                                element,
                                !published.get(),
                                matching.routes().subList(i, i + 1))))
                .map(reply -> reply.number(1))
                .doOnNext(said -> published.compareAndSet(false, said != NO_ROOM))
                .collectList()
                .map(said -> delivered(event, matching, said::get));
    }

    private List<byte[]> arguments(
            byte[] version, Event event, String due, byte[] element, boolean publish, List<Routes.Route> routes) {
        List<byte[]> args = new ArrayList<>(List.of(
                version,
                Leases.bytes(Long.toString(settings.deduplicationWindow().toMillis())),
                Leases.bytes(due),
                publish ? redis.keys().topicChannel(event.topic()) : NOTHING,
                Leases.bytes(event.id()),
                element));
        for (Routes.Route route : routes) {
            Admission admission = route.registration().admission();
            args.add(Leases.bytes(Integer.toString(admission.limit())));
            args.add(Leases.bytes(admission.script()));
        }
        return args;
    }

    private static Delivered delivered(Event event, Routes.Matching matching, IntToLongFunction said) {
        List<String> have = new ArrayList<>();
        List<String> known = new ArrayList<>();
        List<String> refused = new ArrayList<>();
        for (int i = 0; i < matching.queues().size(); i++) {
            long word = said.applyAsLong(i);
            String queue = matching.queues().get(i);
            (word == NO_ROOM ? refused : have).add(queue);
            if (word == KNOWN) {
                known.add(queue);
            }
        }
        return new Delivered(event.id(), List.copyOf(have), List.copyOf(known), List.copyOf(refused), List.of());
    }
}
