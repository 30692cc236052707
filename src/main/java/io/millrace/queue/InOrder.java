package io.millrace.queue;

import io.millrace.Event;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/**
 * What one producer delivers, where queues make it wait for room: one after another of each facet, so that none overtakes one that waits.
 * All else is delivered at the same time and keeps its order by itself. One subscription's.
 */
final class InOrder {

    private final Registry registry;
    private final Function<Event, Mono<Delivered>> deliver;
    private final Map<String, Mono<Void>> last = new ConcurrentHashMap<>(); // end of what is under way, by facet

    InOrder(Registry registry, Function<Event, Mono<Delivered>> deliver) {
        this.registry = registry;
        this.deliver = deliver;
    }

    /** Called for one event after another. */
    Mono<Delivered> deliver(Event event) {
        String facet = event.environment();
        @Nullable Mono<Void> before = last.get(facet);
        if (before == null && !registry.mayWait(event)) {
            return deliver.apply(event);
        }
        Sinks.Empty<Void> end = Sinks.empty();
        Mono<Void> ended = end.asMono();
        last.put(facet, ended);
        return (before == null ? Mono.<Void>empty() : before)
                .then(Mono.defer(() -> deliver.apply(event)))
                .doFinally(how -> {
                    last.remove(facet, ended);
                    end.tryEmitEmpty();
                });
    }
}
