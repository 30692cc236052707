package io.millrace.redis;

import java.util.ArrayDeque;
import java.util.Queue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.LongFunction;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxSink;
import reactor.core.scheduler.Scheduler;

/**
 * Stands between a source that cannot be slowed down and a subscriber that may be slow: a bounded buffer that tells of what it had
 * to drop, in the place where it is missing.
 *
 * @param <T> what passes through
 */
final class LossyBuffer<T> {

    private final int maxElements;
    private final long maxBytes;
    private final LongFunction<T> gap;
    private final Scheduler scheduler;

    private final Queue<Sized<T>> queue = new ArrayDeque<>(); // guarded by this
    private long bytes; // guarded by this
    private long dropped; // guarded by this
    private @Nullable FluxSink<T> sink; // guarded by this
    private final AtomicInteger draining = new AtomicInteger();

    private record Sized<T>(T value, int bytes) {}

    /**
     * @param gap makes the element that stands for so many dropped ones
     * @param scheduler where the subscriber is called
     */
    LossyBuffer(int maxElements, long maxBytes, LongFunction<T> gap, Scheduler scheduler) {
        this.maxElements = maxElements;
        this.maxBytes = maxBytes;
        this.gap = gap;
        this.scheduler = scheduler;
    }

    /**
     * What is offered from the subscription on; one subscriber.
     *
     * @param onEnd may be called twice
     */
    Flux<T> flux(Runnable onStart, Runnable onEnd) {
        return Flux.create(
                emitter -> {
                    synchronized (this) {
                        sink = emitter;
                    }
                    emitter.onRequest(n -> schedule());
                    emitter.onDispose(onEnd::run);
                    onStart.run();
                    if (emitter.isCancelled()) { // before there was anything to end
                        onEnd.run();
                    }
                },
                FluxSink.OverflowStrategy.IGNORE);
    }

    /** Takes an element, or drops it and remembers that. Never blocks for long, never calls the subscriber. */
    void offer(T value, int size) {
        synchronized (this) {
            if (queue.size() >= maxElements || (bytes + size > maxBytes && !queue.isEmpty())) {
                dropped++;
                return;
            }
            if (dropped > 0) {
                queue.add(new Sized<>(gap.apply(dropped), 0));
                dropped = 0;
            }
            queue.add(new Sized<>(value, size));
            bytes += size;
        }
        schedule();
    }

    /** Ends the flux with an error. */
    void fail(Throwable error) {
        FluxSink<T> target;
        synchronized (this) {
            target = sink;
        }
        if (target != null) {
            target.error(error);
        }
    }

    private void schedule() {
        if (draining.getAndIncrement() == 0) {
            scheduler.schedule(this::drain);
        }
    }

    private void drain() {
        int missed = draining.get();
        do {
            FluxSink<T> target = sink();
            while (target != null && target.requestedFromDownstream() > 0 && !target.isCancelled()) {
                T next = poll();
                if (next == null) {
                    break;
                }
                target.next(next);
            }
            missed = draining.addAndGet(-missed);
        } while (missed != 0);
    }

    private synchronized @Nullable FluxSink<T> sink() {
        return sink;
    }

    private synchronized @Nullable T poll() {
        Sized<T> next = queue.poll();
        if (next != null) {
            bytes -= next.bytes;
            return next.value;
        }
        if (dropped > 0) {
            long lost = dropped;
            dropped = 0;
            return gap.apply(lost);
        }
        return null;
    }
}
