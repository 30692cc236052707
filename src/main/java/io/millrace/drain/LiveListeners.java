package io.millrace.drain;

import io.millrace.MillraceException;
import java.util.List;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxSink;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;
import reactor.core.scheduler.Scheduler;

/**
 * Subscribers to {@link Drain#batches}. Each gets every batch, as it asks for them; a batch counts as taken when the subscriber's
 * {@code onNext} has returned and it is still there. One that throws has cancelled: its batch was not taken.
 */
final class LiveListeners {

    private final Scheduler scheduler;
    private final Set<Listener> all = ConcurrentHashMap.newKeySet();
    private final Runnable onArrival;

    LiveListeners(Scheduler scheduler, Runnable onArrival) {
        this.scheduler = scheduler;
        this.onArrival = onArrival;
    }

    boolean any() {
        return !all.isEmpty();
    }

    /**
     * What {@link #hand} hands out from the subscription on.
     *
     * @param onThere is called when that is so
     */
    Flux<DrainBatch> flux(Runnable onThere) {
        return Flux.create(
                sink -> {
                    Listener listener = new Listener(sink);
                    sink.onRequest(n -> listener.schedule());
                    sink.onDispose(() -> {
                        all.remove(listener);
                        listener.schedule();
                    });
                    all.add(listener);
                    onArrival.run();
                    onThere.run();
                },
                FluxSink.OverflowStrategy.IGNORE);
    }

    /**
     * Hands a batch to everyone; completes when all have taken it, fails when one went away over it.
     *
     * @param needed whether somebody has to be there: the batch is for nobody else
     */
    Mono<Void> hand(DrainBatch batch, boolean needed) {
        List<Listener> there = List.copyOf(all);
        if (needed && there.isEmpty()) {
            return Mono.error(new MillraceException("nobody listens any more", true, null));
        }
        return Flux.fromIterable(there)
                .flatMap(listener -> listener.hand(batch))
                .then();
    }

    private final class Listener {

        private final FluxSink<DrainBatch> sink;
        private final Queue<Handing> waiting = new ConcurrentLinkedQueue<>();
        private final AtomicInteger draining = new AtomicInteger();

        /** A batch and who waits until it is taken. */
        private record Handing(DrainBatch batch, MonoSink<Void> taken) {}

        Listener(FluxSink<DrainBatch> sink) {
            this.sink = sink;
        }

        Mono<Void> hand(DrainBatch batch) {
            return Mono.create(taken -> {
                Handing handing = new Handing(batch, taken);
                taken.onCancel(() -> waiting.remove(handing));
                waiting.add(handing);
                schedule();
            });
        }

        void schedule() {
            if (draining.getAndIncrement() == 0) {
                scheduler.schedule(this::drain);
            }
        }

        private void drain() {
            int missed = draining.get();
            do {
                while (sink.isCancelled() || sink.requestedFromDownstream() > 0) {
                    @Nullable Handing next = waiting.poll();
                    if (next == null) {
                        break;
                    }
                    if (!sink.isCancelled()) {
                        sink.next(next.batch);
                    }
                    if (sink.isCancelled()) {
                        next.taken.error(new MillraceException("a listener went away over this batch", true, null));
                    } else {
                        next.taken.success();
                    }
                }
                missed = draining.addAndGet(-missed);
            } while (missed != 0);
        }
    }
}
