package io.millrace.redis;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.MillraceException;
import io.millrace.testing.OwnRedis;
import io.millrace.testing.Stopwatch;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;

/** What becomes of scripts under way when a Redis is closed. */
class ClosingIT {

    private static final Duration SOON = Duration.ofSeconds(20);
    private static final LuaScript<Integer> PULL = LuaScript.once("queue/pull.lua", Reply::size);

    private static Mono<Integer> pull(Redis redis) {
        List<byte[]> words = Stream.of("1", "take", "30000.20", "0")
                .map(word -> word.getBytes(StandardCharsets.UTF_8))
                .toList();
        return redis.run(PULL, List.of("c:queue:{q/0}:".getBytes(StandardCharsets.UTF_8)), words);
    }

    @Test
    @Tag("F25")
    @DisplayName("a server that hangs holds closing up for a second, and no longer; who waits is told")
    void hangs() {
        try (OwnRedis server = OwnRedis.start()) {
            Redis redis = Redis.open(RedisSettings.builder(server.uri())
                    .commandTimeout(Duration.ofSeconds(30))
                    .build());
            assertThat(pull(redis).block(SOON)).isEqualTo(4);
            server.pause();
            CompletableFuture<Object> end = pull(redis)
                    .<Object>cast(Object.class)
                    .onErrorResume(MillraceException.class, Mono::just)
                    .toFuture();
            Stopwatch closing = Stopwatch.started();
            redis.close().block(SOON);
            assertThat(closing.elapsed()).isBetween(Duration.ofMillis(900), Duration.ofSeconds(8));
            assertThat(Mono.fromFuture(end).block(SOON)).isInstanceOf(MillraceException.class);
            server.resume();
        }
    }
}
