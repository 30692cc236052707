package io.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.json.Json;
import io.millrace.stream.EntryId;
import io.millrace.testing.JvmChild;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** {@code stream consume --follow} as a process: what was committed was printed, however it ends. */
@RedisTest
class StreamProcessIT {

    private static final Duration START = Duration.ofSeconds(20);
    private static final Duration SOON = Duration.ofSeconds(20);

    private static JvmChild follow(RedisServer redis, String namespace) {
        return JvmChild.of(Main.class)
                .option("-XX:TieredStopAtLevel=1")
                .args("--redis", redis.uri(), "--namespace", namespace)
                .args("stream", "consume", "s", "c", "--follow", "--batch", "7")
                .start();
    }

    private static List<EntryId> printed(JvmChild child) {
        return child.lines().stream()
                .filter(line -> line.startsWith("{") && line.endsWith("}"))
                .map(line -> EntryId.parse(String.valueOf(((Map<?, ?>) Json.read(line)).get("id"))))
                .toList();
    }

    @Test
    @DisplayName(
            "killed in the middle, nothing is committed that was not printed; told to end, all that was printed is committed")
    void killedAndTerminated(RedisServer redis, @Namespace String namespace) {
        Millrace mill = Millrace.connect(MillraceSettings.of(redis.settings(namespace)));
        List<EntryId> all = mill.streams()
                .producer("s")
                .queueAll(IntStream.range(0, 20_000).boxed().toList())
                .block(SOON);
        EntryId killedAt;
        try (JvmChild child = follow(redis, namespace)) {
            child.awaitLine(line -> line.startsWith("{"), START);
            child.awaitLine(line -> line.contains("\"id\":\"" + all.get(300) + "\""), SOON);
            child.kill9();
            killedAt = mill.streams().stream("s").maxCommittedId("c").block(SOON);
            assertThat(killedAt).isGreaterThan(all.get(200)).isLessThan(all.get(19_999));
            assertThat(printed(child)).containsAll(all.subList(0, all.indexOf(killedAt) + 1));
        }
        try (JvmChild child = follow(redis, namespace)) {
            child.awaitLine(line -> line.startsWith("{"), START); // the dead one's lease ends
            child.terminate();
            assertThat(child.exitCode(SOON)).isZero();
            List<EntryId> printed = printed(child);
            assertThat(printed.get(0))
                    .as("it goes on behind what was committed")
                    .isEqualTo(all.get(all.indexOf(killedAt) + 1));
            assertThat(printed).isSorted().doesNotHaveDuplicates();
            assertThat(mill.streams().stream("s").maxCommittedId("c").block(SOON))
                    .isEqualTo(printed.get(printed.size() - 1));
        }
        mill.shutdown().block(SOON);
    }
}
