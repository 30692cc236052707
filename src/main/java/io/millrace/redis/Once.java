package io.millrace.redis;

import java.time.Duration;
import java.util.function.Supplier;
import reactor.core.publisher.Mono;

/** A value that is made when first wanted, and then kept; a failure is not kept. */
final class Once {

    private Once() {}

    static <T> Mono<T> of(Supplier<Mono<T>> make) {
        return Mono.defer(make).cache(value -> Duration.ofDays(36_500), error -> Duration.ZERO, () -> Duration.ZERO);
    }
}
