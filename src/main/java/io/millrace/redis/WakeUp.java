package io.millrace.redis;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicReference;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;
import reactor.core.scheduler.Scheduler;

/**
 * Lets one loop wait until something may have happened. A call that comes while the loop is busy is remembered, so that none is
 * missed between looking and waiting; several are one. One waiter at a time, any number of callers.
 */
public final class WakeUp {

    private static final Object NOTHING = new Object();
    private static final Object CALLED = new Object();

    private final AtomicReference<Object> state = new AtomicReference<>(NOTHING);
    private final Scheduler scheduler;

    /** @param scheduler where the loop goes on */
    public WakeUp(Scheduler scheduler) {
        this.scheduler = scheduler;
    }

    /** Wakes the loop, or keeps it from waiting next time. */
    @SuppressWarnings("unchecked")
    public void call() {
        Object before = state.getAndUpdate(now -> now instanceof MonoSink ? NOTHING : CALLED);
        if (before instanceof MonoSink<?> waiting) {
            ((MonoSink<Boolean>) waiting).success(true);
        }
    }

    /** Forgets calls so far: the loop is about to look. */
    public void clear() {
        state.compareAndSet(CALLED, NOTHING);
    }

    /** Ends on the next call, at once if there was one since {@link #clear}, and anyhow after a time. */
    public Mono<Void> await(Duration atMost) {
        return Mono.<Boolean>create(sink -> {
                    sink.onDispose(() -> state.compareAndSet(sink, NOTHING));
                    if (!state.compareAndSet(NOTHING, sink)) {
                        state.set(NOTHING);
                        sink.success(true);
                    }
                })
                .timeout(atMost, Mono.empty(), scheduler)
                .publishOn(scheduler)
                .then();
    }
}
