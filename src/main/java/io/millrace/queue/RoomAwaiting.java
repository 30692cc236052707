package io.millrace.queue;

import io.millrace.Event;
import io.millrace.OverloadedException;
import io.millrace.redis.GroupCommit.Outcome;
import io.millrace.redis.Redis;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Producers of queues with {@link Admission.Overflow#WAIT}: tries again, with growing pauses, until there is room. */
final class RoomAwaiting {

    /** How long a producer waits before it is told; see {@link Admission.Overflow#WAIT}. */
    static final Duration PATIENCE = Duration.ofSeconds(30);

    private static final long FIRST_PAUSE_MS = 5;
    private static final long LONGEST_PAUSE_MS = 250;

    private final Redis redis;
    private final Registry registry;
    private final Function<Event, Mono<Delivered>> deliver;
    private final Duration patience;

    RoomAwaiting(Redis redis, Registry registry, Function<Event, Mono<Delivered>> deliver) {
        this(redis, registry, deliver, PATIENCE);
    }

    /** @param patience instead of {@link #PATIENCE} */
    RoomAwaiting(Redis redis, Registry registry, Function<Event, Mono<Delivered>> deliver, Duration patience) {
        this.redis = redis;
        this.registry = registry;
        this.deliver = deliver;
        this.patience = patience;
    }

    /** What becomes of an event in the end. */
    Mono<Delivered> forRoom(Event event, Delivered first) {
        return first.refusedBy().isEmpty() ? Mono.just(first) : wanted(event, first, 0, System.nanoTime());
    }

    /** The same for many, whose producer waits for all of them together. */
    Mono<List<Outcome<Delivered>>> forRoom(List<Event> events, List<Outcome<Delivered>> outcomes) {
        long began = System.nanoTime();
        return Flux.range(0, events.size())
                .concatMap(i -> outcomes.get(i) instanceof Outcome.Done<Delivered> done
                                && !done.value().refusedBy().isEmpty()
                        ? wanted(events.get(i), done.value(), 0, began)
                                .<Outcome<Delivered>>map(Outcome.Done::new)
                                .onErrorResume(error -> Mono.just(new Outcome.Failed<>(error)))
                        : Mono.just(outcomes.get(i)))
                .collectList();
    }

    private Mono<Delivered> wanted(Event event, Delivered before, int tries, long began) {
        return registry.routes().flatMap(routes -> {
            String full = waitingFor(routes, event, before);
            if (full == null) {
                return Mono.just(before);
            }
            if (System.nanoTime() - began > patience.toNanos()) {
                return Mono.error(new OverloadedException("queue \"" + full + "\" has had no room for facet \""
                        + event.environment() + "\" for " + patience.toSeconds()
                        + " s: as many messages wait as its limit allows; add consumers, or raise the limit"));
            }
            return Mono.delay(pause(tries), redis.worker())
                    .then(Mono.defer(() -> deliver.apply(event)))
                    .flatMap(again -> wanted(event, both(before, again), tries + 1, began));
        });
    }

    private static @Nullable String waitingFor(Routes routes, Event event, Delivered delivered) {
        for (Routes.Route route : routes.matching(event).routes()) {
            Registration registration = route.registration();
            if (registration.admission().overflow() == Admission.Overflow.WAIT
                    && delivered.refusedBy().contains(registration.queue())) {
                return registration.queue();
            }
        }
        return null;
    }

    /** A queue that took it at an earlier try says now that it has it already. */
    static Delivered both(Delivered before, Delivered again) {
        List<String> duplicateIn = new ArrayList<>(again.duplicateIn());
        duplicateIn.removeIf(queue ->
                before.queues().contains(queue) && !before.duplicateIn().contains(queue));
        Set<String> displaced = new LinkedHashSet<>(before.displaced());
        displaced.addAll(again.displaced());
        return new Delivered(
                again.id(), again.queues(), List.copyOf(duplicateIn), again.refusedBy(), List.copyOf(displaced));
    }

    private static Duration pause(int tries) {
        long ms = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS << Math.min(tries, 10));
        return Duration.ofMillis(ms / 2 + ThreadLocalRandom.current().nextLong(ms / 2 + 1));
    }
}
