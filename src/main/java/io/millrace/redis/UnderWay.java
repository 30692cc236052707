package io.millrace.redis;

import java.util.concurrent.atomic.AtomicInteger;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/** Counts calls that have no answer yet, for somebody who wants to end when there are none. Thread safe. */
final class UnderWay {

    private final AtomicInteger count = new AtomicInteger();
    private final Sinks.Empty<Void> none = Sinks.empty();
    private volatile boolean awaited;

    void begins() {
        count.incrementAndGet();
    }

    void ends() {
        if (count.decrementAndGet() == 0 && awaited) {
            none.tryEmitEmpty();
        }
    }

    /** Ends when there is none, now or later. */
    Mono<Void> none() {
        return Mono.defer(() -> {
            awaited = true; // before looking: who ends in this moment sees it, or is seen here
            return count.get() == 0 ? Mono.empty() : none.asMono();
        });
    }
}
