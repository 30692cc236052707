package io.millrace.drain;

import io.millrace.MillraceException;
import io.millrace.json.Notifications;
import java.time.Instant;
import java.util.List;
import java.util.function.Function;
import java.util.function.Supplier;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;

/** What a drain does with a stored batch: its stages one after the other, then its listeners. */
final class Pipeline {

    /** One step; its own steps need no thread that may block. */
    record Step(Stage stage, boolean ours) {}

    private final List<Step> steps;
    private final List<Function<? super DrainBatch, ? extends Publisher<?>>> listeners;
    private final LiveListeners live;
    private final Scheduler scheduler;
    private final int maxEvents;

    Pipeline(
            List<Step> steps,
            List<Function<? super DrainBatch, ? extends Publisher<?>>> listeners,
            LiveListeners live,
            Scheduler scheduler,
            int maxEvents) {
        this.steps = steps;
        this.listeners = listeners;
        this.live = live;
        this.scheduler = scheduler;
        this.maxEvents = maxEvents;
    }

    /** Whether processing has any effect now; a drain that nobody listens to keeps its batches until somebody does. */
    boolean hasPurpose() {
        return !steps.isEmpty() || !listeners.isEmpty() || live.any();
    }

    Mono<Void> process(String id, int attempt, byte[] body) {
        return Mono.defer(() -> through(batch(id, attempt, body))).flatMap(this::tell);
    }

    private DrainBatch batch(String id, int attempt, byte[] body) {
        List<DrainEvent> events = Notifications.read(body, Math.max(maxEvents, 100_000)).stream()
                .map(DrainEvent::of)
                .toList();
        Instant at = Instant.ofEpochMilli(Long.parseLong(id.substring(0, id.indexOf('-'))));
        return new DrainBatch(id, attempt, at, events, List.of());
    }

    private Mono<DrainBatch> through(DrainBatch batch) {
        Mono<DrainBatch> result = Mono.just(batch);
        for (Step step : steps) {
            result = result.flatMap(now -> step.ours()
                    ? Mono.from(step.stage().apply(now))
                    : called(() -> step.stage().apply(now)).subscribeOn(scheduler));
        }
        return result;
    }

    private Mono<Void> tell(DrainBatch batch) {
        if (batch.events().isEmpty()) {
            return Mono.empty();
        }
        return Flux.fromIterable(listeners)
                .concatMap(listener ->
                        Mono.when(called(() -> listener.apply(batch)).subscribeOn(scheduler)))
                .then(Mono.defer(() -> live.hand(batch, steps.isEmpty() && listeners.isEmpty())));
    }

    /** Reactor takes these errors for the end of the process and lets them pass; here they are a handler's that failed. */
    static <T> Mono<T> called(Supplier<? extends Publisher<? extends T>> call) {
        return Mono.defer(() -> {
            try {
                return Flux.<T>from(call.get()).takeLast(1).next();
            } catch (LinkageError | StackOverflowError e) {
                return Mono.error(new MillraceException("a handler failed: " + e, false, e));
            }
        });
    }
}
