package io.millrace.redis;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.RedisUnavailableException;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;
import reactor.test.StepVerifier;

@RedisTest
class RunInTurnIT {

    private static final Duration SOON = Duration.ofSeconds(20);

    private RedisServer server;

    @Namespace
    private String namespace;

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    @Test
    @DisplayName(
            "L10 a script that must run in turn is not sent as a whole when the server has forgotten it: it fails for now, having done nothing")
    void forgotten() {
        Redis redis = Redis.open(server.settings(namespace));
        LuaScript<Integer> pull = LuaScript.once("queue/pull.lua", Reply::size);
        List<byte[]> keys = List.of(bytes(namespace + ":queue:{q/0}:"));
        List<byte[]> args = List.of(bytes("1"), bytes("take"), bytes("30000.20"), bytes("0"));
        Mono<Integer> inTurn = redis.runInTurn(pull, keys, args);

        redis.call("SCRIPT", "FLUSH").block(SOON);
        StepVerifier.create(inTurn)
                .expectErrorSatisfies(error -> assertThat(error)
                        .isInstanceOfSatisfying(RedisUnavailableException.class, away -> {
                            assertThat(away.retryable()).isTrue();
                            assertThat(away.indeterminate()).isFalse();
                        })
                        .hasMessageContaining("NOSCRIPT"))
                .verify(SOON);
        assertThat(redis.run(pull, keys, args).block(SOON)).isEqualTo(4);
        assertThat(inTurn.block(SOON)).isEqualTo(4);
        redis.close().block(SOON);
    }
}
