package io.millrace.stream;

import io.millrace.OverloadedException;
import io.millrace.redis.Detached;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/**
 * Something every caller needs, asked for once. Who comes meanwhile waits, and goes on in the order in which he came: none that comes
 * later overtakes him. A failure is told to all who wait, and the next one asks again. Thread safe.
 */
final class Door<T> {

    private static final int MAX_WAITING = 20_000;

    private final Mono<T> ask;
    private final Queue<Sinks.One<T>> waiting = new ArrayDeque<>(); // guarded by this
    private boolean asking; // guarded by this
    private volatile @Nullable T open;

    Door(Mono<T> ask) {
        this.ask = ask;
    }

    /** Each subscription takes its place when it is made. */
    Mono<T> pass() {
        T now = open;
        return now != null ? Mono.just(now) : Mono.defer(this::queued);
    }

    private Mono<T> queued() {
        Sinks.One<T> mine = Sinks.one();
        synchronized (this) {
            if (open != null) {
                return Mono.just(open);
            }
            if (waiting.size() >= MAX_WAITING) {
                return Mono.error(
                        new OverloadedException("already " + MAX_WAITING + " calls wait for Redis; slow down"));
            }
            waiting.add(mine);
            if (asking) {
                return mine.asMono();
            }
            asking = true;
        }
        // What the first one asks for belongs to all: his cancel must not end it.
        Mono<T> asked = Detached.run(ask.doOnNext(this::opened).doOnError(this::failed), unwanted -> {});
        return Flux.merge(mine.asMono(), asked.ignoreElement().onErrorComplete())
                .next();
    }

    private void opened(T value) {
        while (true) {
            Sinks.One<T> next;
            synchronized (this) {
                next = waiting.poll();
                if (next == null) {
                    open = value;
                    return;
                }
            }
            next.tryEmitValue(value);
        }
    }

    private void failed(Throwable error) {
        List<Sinks.One<T>> all;
        synchronized (this) {
            all = new ArrayList<>(waiting);
            waiting.clear();
            asking = false;
        }
        all.forEach(one -> one.tryEmitError(error));
    }
}
