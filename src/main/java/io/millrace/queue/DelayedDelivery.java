package io.millrace.queue;

import io.millrace.Event;
import io.millrace.MillraceException;
import io.millrace.json.EventCodec;
import io.millrace.redis.Redis;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntPredicate;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Events that queues get later. Routed when they are asked for; on a single server all queues keep it or none. */
final class DelayedDelivery {

    /** How far ahead. */
    static final Duration LONGEST = Duration.ofDays(3650);

    private static final int MAX_STALE = 10;
    private static final byte[] UNCHECKED = {'-'};
    private static final byte[] NOTHING = {};

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
            return attempt(event, due, element, 0);
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
        return redis.run(QueueScripts.SCHEDULE, keys, arguments(routes.version(), event, due, element, true))
                .flatMap(reply -> {
                    if (reply.status(Status.class) == Status.OK) {
                        return Mono.just(delivered(event, matching, i -> reply.number(i + 1) == 1));
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
        return Flux.range(0, matching.routes().size())
                .concatMap(i -> redis.run(
                        QueueScripts.SCHEDULE,
                        List.of(matching.units().get(i).prefix()),
                        arguments(UNCHECKED, event, due, element, i == 0)))
                .map(reply -> reply.number(1) == 1)
                .collectList()
                .map(kept -> delivered(event, matching, kept::get));
    }

    private List<byte[]> arguments(byte[] version, Event event, String due, byte[] element, boolean publish) {
        return List.of(
                version,
                Leases.bytes(Long.toString(settings.deduplicationWindow().toMillis())),
                Leases.bytes(due),
                publish ? redis.keys().topicChannel(event.topic()) : NOTHING,
                Leases.bytes(event.id()),
                element);
    }

    private static Delivered delivered(Event event, Routes.Matching matching, IntPredicate kept) {
        List<String> known = new ArrayList<>();
        for (int i = 0; i < matching.queues().size(); i++) {
            if (!kept.test(i)) {
                known.add(matching.queues().get(i));
            }
        }
        return new Delivered(event.id(), matching.queues(), List.copyOf(known), List.of(), List.of());
    }
}
