package io.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.cli.CommandLineIT.Result;
import io.millrace.stream.ConsumerOptions;
import io.millrace.stream.EntryId;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.core.publisher.Mono;

/** The stream commands: the shape of every line, exit codes, and that what was printed is committed. */
@RedisTest
class StreamCommandIT {

    private static final Duration SOON = Duration.ofSeconds(20);

    private RedisServer redis;

    @Namespace
    private String namespace;

    private Result millrace(String... args) {
        return withInput("", args);
    }

    private Result withInput(String input, String... args) {
        List<String> all = new ArrayList<>(List.of("--namespace", namespace));
        all.addAll(Arrays.asList(args));
        return CommandLineIT.run(
                Map.of("MILLRACE_REDIS", redis.uri()),
                input.getBytes(StandardCharsets.UTF_8),
                all.toArray(String[]::new));
    }

    @SuppressWarnings("unchecked")
    private Map<String, Object> consumer(String stream) {
        return (Map<String, Object>)
                ((List<?>) millrace("stream", "show", stream).line(0).get("consumers")).get(0);
    }

    @Test
    @DisplayName("what is produced is consumed once, in order, with its id; bad lines are named and the others go on")
    void produceAndConsume() {
        Result produced = withInput("1\n\"a\"\n{oops\n{\"id\":2,\"x\":[1]}\n", "stream", "produce", "p");
        assertThat(produced.code()).isEqualTo(Main.PARTLY);
        assertThat(produced.err()).contains("line 3: not JSON");
        assertThat(produced.out()).hasSize(3);
        assertThat(produced.keys(0)).containsExactly("stream", "line", "id");
        assertThat(produced.line(2).get("line")).isEqualTo(4);
        Result consumed = millrace("stream", "consume", "p", "c", "--batch", "2");
        assertThat(consumed.code()).isEqualTo(Main.DONE);
        assertThat(consumed.keys(0)).containsExactly("stream", "id", "payload");
        assertThat(consumed.out()).hasSize(3);
        for (int i = 0; i < 3; i++) {
            assertThat(consumed.line(i).get("id")).isEqualTo(produced.line(i).get("id"));
        }
        assertThat(consumed.line(2).get("payload")).isEqualTo(Map.of("id", 2, "x", List.of(1)));
        assertThat(millrace("stream", "consume", "p", "c").out()).isEmpty();
        assertThat(consumer("p"))
                .containsEntry("lag", 0)
                .containsEntry("offset", produced.line(2).get("id"));
    }

    @Test
    @Timeout(30)
    @DisplayName("entries that are gone are not waited for: consuming ends with the last one there is")
    void consumeWhatIsLeft() {
        withInput("1\n2\n3\n", "stream", "produce", "p");
        assertThat(millrace("stream", "trim", "p", "--before", "9000000000000").code())
                .isEqualTo(Main.DONE);
        Result consumed = millrace("stream", "consume", "p", "c");
        assertThat(consumed.code()).isEqualTo(Main.DONE);
        assertThat(consumed.out()).isEmpty();
    }

    @Test
    @DisplayName("notes, list, show, tail, register, seek, trim: each answers with what it did")
    void lookingAfter() {
        assertThat(withInput("1\n2\n1\n", "stream", "produce", "s", "--delay").out())
                .hasSize(3);
        withInput("7\n8\n9\n", "stream", "produce", "s");
        Result shown = millrace("stream", "show", "s");
        assertThat(shown.keys(0))
                .containsExactly(
                        "stream",
                        "shard",
                        "shards",
                        "length",
                        "first",
                        "last",
                        "trimmed",
                        "notes",
                        "oldestNoteMs",
                        "consumers");
        assertThat(shown.line(0).get("notes")).isEqualTo(2);
        assertThat(shown.line(0).get("length")).isEqualTo(3);
        assertThat(millrace("stream", "list").out()).isNotEmpty();
        Result all = millrace("stream", "tail", "s");
        assertThat(all.out()).hasSize(3);
        String first = String.valueOf(all.line(0).get("id"));
        Result tail = millrace("stream", "tail", "s", "-n", "2");
        assertThat(tail.out())
                .as("the last ones, oldest first")
                .isEqualTo(all.out().subList(1, 3));
        assertThat(millrace("stream", "tail", "s", "--after", "0-0", "-n", "2").out())
                .as("the first ones behind it")
                .isEqualTo(all.out().subList(0, 2));
        assertThat(millrace("stream", "tail", "s", "-n", "0").err()).contains("n must be 1 to 10000");
        assertThat(millrace("stream", "register", "s", "c").line(0).get("offset"))
                .isEqualTo("0-0");
        assertThat(consumer("s")).containsEntry("lag", 3).containsEntry("active", false);
        assertThat(millrace("stream", "trim", "s").line(0).get("heldBackBy")).isEqualTo(List.of("c"));
        assertThat(millrace("stream", "seek", "s", "c", first).line(0).get("offset"))
                .isEqualTo(first);
        assertThat(millrace("stream", "trim", "s").line(0).get("removed")).isEqualTo(1);
        assertThat(millrace("stream", "seek", "s", "c", "end").line(0).get("offset"))
                .isEqualTo(shown.line(0).get("last"));
        Result paused = millrace("stream", "pause", "s", "c");
        assertThat(paused.keys(0)).containsExactly("stream", "consumer", "paused", "changed");
        assertThat(consumer("s")).containsEntry("paused", true);
        assertThat(millrace("stream", "pause", "s", "c").code()).isEqualTo(Main.PARTLY);
        assertThat(millrace("stream", "resume", "s", "c").line(0).get("paused")).isEqualTo(false);
        assertThat(millrace("stream", "resume", "s", "c").code()).isEqualTo(Main.PARTLY);
        assertThat(consumer("s")).containsEntry("paused", false);
        Result typo = millrace("stream", "seek", "s", "typo", "end");
        assertThat(typo.code()).isEqualTo(Main.FAILED);
        assertThat(typo.err()).contains("\"typo\"").contains("not registered");
        assertThat(millrace("stream", "register", "s", "c", "--forget").code()).isEqualTo(Main.DONE);
        assertThat(millrace("stream", "register", "s", "c", "--forget").code()).isEqualTo(Main.PARTLY);
        assertThat(millrace("stream", "seek", "s", "c", "nonsense").err()).contains("no entry id");
    }

    @Test
    @DisplayName("dead letters are shown with their cause, and appended again on demand")
    void deadLetters() {
        withInput("1\n", "stream", "produce", "d");
        Millrace mill = Millrace.connect(MillraceSettings.of(redis.settings(namespace)));
        var running = mill.streams()
                .consumer("d", "c")
                .with(ConsumerOptions.builder().attempts(1).build())
                .consume(batch -> Mono.error(new IllegalStateException("no way")))
                .subscribe();
        Eventually.await(
                "a dead letter", SOON, () -> consumer("d").get("deadLetters").equals(1));
        running.dispose();
        mill.shutdown().block(SOON);
        Result shown = millrace("stream", "dead-letters", "d", "c");
        assertThat(shown.keys(0))
                .containsExactly("stream", "consumer", "letter", "shard", "id", "attempts", "cause", "payload");
        assertThat(String.valueOf(shown.line(0).get("cause"))).contains("no way");
        assertThat(millrace("stream", "dead-letters", "d", "c", "--retry", "--drop")
                        .code())
                .isEqualTo(Main.FAILED);
        assertThat(millrace("stream", "dead-letters", "d", "c", "--retry").out())
                .hasSize(1);
        assertThat(millrace("stream", "dead-letters", "d", "c").out()).isEmpty();
        assertThat(millrace("stream", "tail", "d").out()).hasSize(2);
    }

    @Test
    @DisplayName(
            "T5 a stream of several shards: created once, filled, shown by shard, read to its end, also beside others")
    void shards() {
        assertThat(millrace("stream", "create", "m", "--shards", "3").line(0).get("created"))
                .isEqualTo(true);
        assertThat(millrace("stream", "create", "m", "--shards", "3").line(0).get("created"))
                .isEqualTo(false);
        Result other = withInput("1\n", "stream", "produce", "m", "--shards", "4");
        assertThat(other.code()).isEqualTo(Main.FAILED);
        assertThat(other.err()).contains("stream \"m\" has 3 shards, not 4");
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 300; i++) {
            lines.append(i).append('\n');
        }
        assertThat(withInput(lines.toString(), "stream", "produce", "m", "--shards", "3")
                        .out())
                .hasSize(300);
        Result shown = millrace("stream", "show", "m");
        assertThat(shown.out()).hasSize(3);
        assertThat(shown.line(2).get("shard")).isEqualTo(2);
        assertThat(shown.line(2).get("shards")).isEqualTo(3);
        assertThat(millrace("stream", "tail", "m", "-n", "5").out())
                .as("the newest of all shards")
                .isEqualTo(millrace("stream", "tail", "m").out().stream()
                        .sorted(java.util.Comparator.comparing(
                                line -> EntryId.parse(line.replaceFirst(".*\"id\":\"([^\"]*)\".*", "$1"))))
                        .toList()
                        .subList(295, 300));
        assertThat(millrace("stream", "consume", "m", "alone", "--batch", "50").out())
                .hasSize(300);
        assertThat(millrace("stream", "consume", "m", "alone").out()).isEmpty();
        assertThat(millrace("stream", "members", "m", "alone").out()).isEmpty();
        Millrace mill = Millrace.connect(MillraceSettings.of(redis.settings(namespace)));
        AtomicInteger others = new AtomicInteger();
        var running = mill.streams()
                .consumer("m", "both")
                .consume(batch -> Mono.delay(Duration.ofMillis(200)).doOnNext(done -> others.addAndGet(batch.size())))
                .subscribe();
        Eventually.await(
                "a member",
                SOON,
                () -> millrace("stream", "members", "m", "both").out().size() == 1);
        Result member = millrace("stream", "members", "m", "both");
        assertThat(member.keys(0)).containsExactly("stream", "consumer", "member", "shards", "leavesMs");
        assertThat(member.line(0).get("shards")).isEqualTo(List.of(0, 1, 2));
        assertThat(millrace("stream", "consume", "m", "both").code()).isEqualTo(Main.DONE);
        running.dispose();
        mill.shutdown().block(SOON);
        assertThat(millrace("stream", "consume", "m", "both").out()).isEmpty();
    }

    @Test
    @DisplayName(
            "T6 a backfill is read from a file, handled, shown, found done when it is begun again, and cancelled by id")
    void backfill() {
        assertThat(withInput("1\n", "stream", "backfill", "b").err()).contains("has no registered consumer");
        Millrace mill = Millrace.connect(MillraceSettings.of(redis.settings(namespace)));
        AtomicInteger handled = new AtomicInteger();
        var running = mill.streams()
                .consumer("b", "c")
                .consume(batch -> Mono.fromRunnable(() -> handled.addAndGet(batch.backfill() ? batch.size() : 0)))
                .subscribe();
        Eventually.await(
                "registered",
                SOON,
                () -> mill.streams().stream("b")
                        .maxCommittedId("c")
                        .blockOptional()
                        .isPresent());
        Result first = withInput("1\n2\n{oops\n3\n", "stream", "backfill", "b", "--id", "spring");
        assertThat(first.code()).isEqualTo(Main.PARTLY);
        assertThat(first.err()).contains("line 3: not JSON").contains("begun again with --id spring");
        assertThat(first.keys(0))
                .containsExactly("stream", "backfill", "fed", "closed", "cancelled", "over", "consumers");
        assertThat(first.line(0).get("fed")).isEqualTo(3);
        assertThat(first.line(0).get("over")).isEqualTo(true);
        assertThat(handled).hasValue(3);
        assertThat(withInput("1\n2\n3\n", "stream", "backfill", "b", "--id", "spring")
                        .code())
                .isEqualTo(Main.DONE);
        assertThat(handled).hasValue(3);
        assertThat(millrace("stream", "backfill", "b", "--status").line(0).get("backfill"))
                .isEqualTo("spring");
        assertThat(millrace("stream", "backfill", "b", "--cancel").err()).contains("--cancel needs --id");
        assertThat(millrace("stream", "backfill", "b", "--cancel", "--id", "other")
                        .line(0)
                        .get("cancelled"))
                .isEqualTo(true);
        assertThat(consumer("b")).containsEntry("backfillLag", 0);
        running.dispose();
        mill.shutdown().block(SOON);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "create",
                "produce",
                "consume",
                "list",
                "show",
                "tail",
                "register",
                "members",
                "trim",
                "seek",
                "pause",
                "resume",
                "dead-letters",
                "backfill"
            })
    @DisplayName("every command has help with an example")
    void help(String command) {
        Result help = millrace("stream", command, "--help");
        assertThat(help.code()).isZero();
        assertThat(String.join("\n", help.out()))
                .contains("millrace stream " + command)
                .contains("Example");
    }
}
