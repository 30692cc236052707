package io.millrace.stream;

import io.millrace.redis.Redis;
import java.time.Duration;
import reactor.core.publisher.Mono;
import reactor.util.retry.Retry;

/** Single commands that may be repeated, with the patience that scripts have: a cluster's node may still be being connected to. */
final class Calls {

    private static final int REPEATS = 4;
    private static final Duration PAUSE = Duration.ofMillis(40);

    private Calls() {}

    static Mono<Object> call(Redis redis, String name, Object... args) {
        return redis.call(name, args)
                .retryWhen(Retry.backoff(REPEATS, PAUSE)
                        .filter(Delayer::isPassing)
                        .onRetryExhaustedThrow((spec, signal) -> signal.failure()));
    }
}
