package io.millrace.queue;

import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * What was taken from several places: what one could not give does not hide what the others gave, nor the other way round.
 *
 * @param items what was taken
 * @param failure why one of them gave nothing, or nothing more
 */
record Taken<T>(List<T> items, @Nullable Throwable failure) {

    /** Takes until there are n, or no more. */
    static <T> Flux<T> upTo(int n, IntFunction<Mono<Taken<T>>> take) {
        return Flux.defer(() -> {
            AtomicInteger left = new AtomicInteger(n);
            return Mono.defer(() -> take.apply(Math.min(left.get(), LeaseOptions.MAX_BATCH_SIZE)))
                    .doOnNext(taken -> left.set(
                            taken.failure() != null || taken.items().size() < LeaseOptions.MAX_BATCH_SIZE
                                    ? 0
                                    : left.get() - taken.items().size()))
                    .repeat(() -> left.get() > 0)
                    .concatMap(Taken::flux, 1);
        });
    }

    /** The items, then the failure if there was one. */
    Flux<T> flux() {
        Flux<T> all = Flux.fromIterable(items);
        return failure == null ? all : all.concatWith(Flux.error(failure));
    }
}
