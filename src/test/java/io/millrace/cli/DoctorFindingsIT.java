package io.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Event;
import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.cli.CommandLineIT.Result;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** A queue that is not in order, examined from the command line. */
@RedisTest
class DoctorFindingsIT {

    private static final Duration SOON = Duration.ofSeconds(20);

    @Test
    @DisplayName("what was repaired is told, with exit code 1; examined again all is well, with 0")
    void findings(RedisServer redis, @Namespace String namespace) {
        Millrace mill = Millrace.connect(MillraceSettings.of(redis.settings(namespace)));
        try {
            mill.queues().register("q", ".*").block(SOON);
            mill.deliver(Event.of("a", "t", "n")).block(SOON);
            String unit = mill.redis().keys().unitText("queue", "q", 0);
            mill.redis().call("DEL", unit + "ring").block(SOON);
            mill.redis().call("RPUSH", unit + "ring", "ghost").block(SOON);
        } finally {
            mill.shutdown().block(SOON);
        }

        Result first = doctor(redis, namespace);

        assertThat(first.code()).isEqualTo(1);
        assertThat(first.line(0).get("healthy")).isEqualTo(false);
        assertThat(((List<?>) first.line(0).get("findings")))
                .extracting(Object::toString)
                .containsExactlyInAnyOrder("{kind=MISSING, where=a, count=1}", "{kind=IDLE, where=ghost, count=1}");
        assertThat(first.err()).contains("repaired: MISSING a").contains("repaired: IDLE ghost");
        Result second = doctor(redis, namespace);
        assertThat(second.code()).isZero();
        assertThat(((List<?>) second.line(0).get("findings"))).isEmpty();
    }

    private static Result doctor(RedisServer redis, String namespace) {
        return CommandLineIT.run(
                Map.of("MILLRACE_REDIS", redis.uri()), new byte[0], "--namespace", namespace, "queue", "doctor", "q");
    }
}
