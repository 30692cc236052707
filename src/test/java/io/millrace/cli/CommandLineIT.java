package io.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.json.Json;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What scripts rely on: the shape of every line, what goes where, exit codes. */
@RedisTest
class CommandLineIT {

    private static final String EVENT = "{\"environment\":\"%s\",\"type\":\"page\",\"name\":\"google\",\"id\":\"%s\"}";

    private RedisServer redis;

    @Namespace
    private String namespace;

    /** How a command ended, and what it wrote. */
    record Result(int code, List<String> out, String err) {

        Map<?, ?> line(int number) {
            return (Map<?, ?>) Json.read(out.get(number));
        }

        List<String> keys(int number) {
            return line(number).keySet().stream().map(String::valueOf).toList();
        }
    }

    static Result run(Map<String, String> environment, byte[] input, String... args) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        Console console = new Console(
                new ByteArrayInputStream(input),
                new PrintStream(out, true, StandardCharsets.UTF_8),
                new PrintStream(err, true, StandardCharsets.UTF_8),
                Terminal.NONE);
        int code = Main.run(console, environment, args);
        return new Result(
                code, out.toString(StandardCharsets.UTF_8).lines().toList(), err.toString(StandardCharsets.UTF_8));
    }

    private Result millrace(String... args) {
        return withInput("", args);
    }

    private Result withInput(String input, String... args) {
        List<String> all = new ArrayList<>(List.of("--namespace", namespace));
        all.addAll(Arrays.asList(args));
        return run(
                Map.of("MILLRACE_REDIS", redis.uri()),
                input.getBytes(StandardCharsets.UTF_8),
                all.toArray(String[]::new));
    }

    @Test
    void goodLinesAreDeliveredAndBadOnesReportedByNumber() {
        assertThat(millrace("queue", "register", "q", ".*").line(0)).isEqualTo(Map.of("queue", "q", "pattern", ".*"));
        String input = EVENT.formatted("a", "1") + "\r\n\nnonsense\n{\"type\":\"t\"}\n" + EVENT.formatted("a", "1")
                + "\n[1]\n" + EVENT.formatted("b", "2");
        Result result = withInput(input, "deliver");
        assertThat(result.code()).isEqualTo(1);
        assertThat(result.out())
                .containsExactly(
                        "{\"id\":\"1\",\"queues\":[\"q\"],\"duplicateIn\":[]}",
                        "{\"id\":\"1\",\"queues\":[\"q\"],\"duplicateIn\":[\"q\"]}",
                        "{\"id\":\"2\",\"queues\":[\"q\"],\"duplicateIn\":[]}");
        assertThat(result.err().lines())
                .satisfiesExactly(
                        line -> assertThat(line).startsWith("line 3: not JSON"),
                        line -> assertThat(line).startsWith("line 4: environment is missing"),
                        line -> assertThat(line).startsWith("line 6: an event is a JSON object"),
                        line -> assertThat(line).isEqualTo("3 events delivered (1 known already), 3 bad lines"));
    }

    @Test
    void invalidUtf8AndOverlongLinesAreBadLines() throws IOException {
        ByteArrayOutputStream input = new ByteArrayOutputStream();
        input.writeBytes("{\"environment\":\"a\",\"type\":\"t\",\"name\":\"".getBytes(StandardCharsets.UTF_8));
        input.writeBytes(new byte[] {(byte) 0xc3, (byte) 0x28});
        input.writeBytes("\"}\n{\"x\":\"".getBytes(StandardCharsets.UTF_8));
        input.writeBytes("y".repeat(2 << 20).getBytes(StandardCharsets.UTF_8));
        input.writeBytes(("\"}\n" + EVENT.formatted("a", "3")).getBytes(StandardCharsets.UTF_8));
        Result result =
                run(Map.of("MILLRACE_REDIS", redis.uri()), input.toByteArray(), "deliver", "--namespace", namespace);
        assertThat(result.code()).isEqualTo(1);
        assertThat(result.out()).hasSize(1);
        assertThat(result.err()).contains("line 1: ").contains("line 2: longer than 1048576 bytes");
    }

    @Test
    void aFileIsDeliveredInItsOrder(@TempDir Path folder) throws IOException {
        millrace("queue", "register", "q", ".*");
        Path file = folder.resolve("events.ndjson");
        Files.write(
                file,
                IntStream.range(0, 5_000)
                        .mapToObj(i -> EVENT.formatted("env", "n" + i))
                        .toList());
        Result result = millrace("deliver", "--input", file.toString());
        assertThat(result.code()).isZero();
        assertThat(result.out()).hasSize(5_000);
        assertThat(result.err()).isEqualTo("5000 events delivered\n");
        Result pulled = millrace("queue", "pull", "q", "-n", "6000");
        assertThat(pulled.out().stream().map(line -> ((Map<?, ?>) Json.read(line)).get("id")))
                .isEqualTo(IntStream.range(0, 5_000).mapToObj(i -> "n" + i).collect(Collectors.toList()));
        assertThat(millrace("deliver", "--input", "/nowhere").err()).contains("\"/nowhere\"", "no such file");
    }

    @Test
    void oneEventComesFromOptions() {
        millrace("queue", "register", "q", "env-1:page:.*");
        Result result = millrace(
                "deliver", "--environment", "env-1", "--type", "page", "--name", "n", "--data", "{\"a\":1.10}");
        assertThat(result.code()).isZero();
        assertThat(result.keys(0)).containsExactly("id", "queues", "duplicateIn");
        assertThat(millrace("queue", "pull", "q").out().get(0)).contains("\"data\":{\"a\":1.10}");
    }

    @Test
    void anEventInALineHasItsDataAndAttributesInTheirPlaces() {
        millrace("queue", "register", "q", ".*");
        withInput(
                "{\"attributes\":{\"x\":1},\"source\":\"s\",\"time\":\"2026-01-02T03:04:05Z\",\"id\":\"1\",\"name\":\"n\","
                        + "\"data\":{\"b\":[1,2.50]},\"type\":\"t\",\"environment\":\"e\"}",
                "deliver",
                "--input",
                "-");
        assertThat(millrace("queue", "pull", "q").out())
                .containsExactly("{\"queue\":\"q\",\"facet\":\"e\",\"id\":\"1\",\"attempt\":1,\"event\":{"
                        + "\"environment\":\"e\",\"type\":\"t\",\"name\":\"n\",\"id\":\"1\",\"time\":\"2026-01-02T03:04:05.000Z\","
                        + "\"data\":{\"b\":[1,2.50]},\"attributes\":{\"x\":1},\"source\":\"s\"}}");
    }

    @Test
    void linesOfQueueCommandsKeepTheirShape() {
        millrace("queue", "register", "q", ".*");
        withInput(
                EVENT.formatted("a", "1") + "\n" + EVENT.formatted("b", "2") + "\n" + EVENT.formatted("a", "3"),
                "deliver");

        assertThat(millrace("queue", "list").keys(0))
                .containsExactly(
                        "queue",
                        "pattern",
                        "waiting",
                        "facets",
                        "inFlight",
                        "later",
                        "oldestAgeMs",
                        "deadLetters",
                        "paused");
        Result peeked = millrace("queue", "peek", "q");
        assertThat(peeked.out()).hasSize(3);
        assertThat(peeked.keys(0)).containsExactly("queue", "facet", "id", "attempt", "event");

        Result leased = millrace("queue", "pull", "q", "-n", "2", "--lease", "30s");
        assertThat(leased.out()).hasSize(2);
        assertThat(leased.keys(0)).containsExactly("queue", "facet", "id", "attempt", "receipt", "event");
        assertThat(leased.line(0).get("facet")).isEqualTo("a");
        assertThat(leased.line(1).get("facet")).isEqualTo("b");
        assertThat(((Map<?, ?>) leased.line(0).get("event")).keySet().stream().map(String::valueOf))
                .containsExactly("environment", "type", "name", "id", "time");

        Result shown = millrace("queue", "show", "q");
        assertThat(shown.keys(0))
                .containsExactly("queue", "pattern", "waiting", "inFlight", "later", "facets", "deadLetters", "paused");
        assertThat(shown.line(0).get("inFlight")).isEqualTo(2);

        String receipt = String.valueOf(leased.line(0).get("receipt"));
        Result acknowledged = millrace("queue", "ack", "q", receipt);
        assertThat(acknowledged.code()).isZero();
        assertThat(acknowledged.out()).containsExactly("{\"receipt\":\"" + receipt + "\",\"acknowledged\":true}");
        Result again = millrace("queue", "ack", "q", receipt, "nonsense");
        assertThat(again.code()).isEqualTo(1);
        assertThat(again.out())
                .containsExactly(
                        "{\"receipt\":\"" + receipt + "\",\"acknowledged\":false}",
                        "{\"receipt\":\"nonsense\",\"acknowledged\":false}");

        Result doctor = millrace("queue", "doctor", "q");
        assertThat(doctor.code()).isZero();
        assertThat(doctor.line(0).get("healthy")).isEqualTo(true);

        Result pulled = millrace("queue", "pull", "q", "-n", "10");
        assertThat(pulled.keys(0)).containsExactly("queue", "facet", "id", "attempt", "event");
        assertThat(millrace("queue", "unregister", "q").line(0)).isEqualTo(Map.of("queue", "q", "unregistered", true));
        Result refused = millrace("queue", "destroy", "q");
        assertThat(refused.code()).isEqualTo(2);
        assertThat(refused.err()).contains("--yes");
        assertThat(millrace("queue", "destroy", "q", "--yes").line(0)).isEqualTo(Map.of("queue", "q", "removed", 1));
        Result gone = millrace("queue", "show", "q");
        assertThat(gone.code()).isEqualTo(1);
        assertThat(gone.err()).contains("\"q\" is not registered");
    }

    @Test
    void doctorSaysWhatItFoundAndItsExitCodeHowBadThatIs() {
        Result result = millrace("doctor");
        assertThat(result.code()).isBetween(0, 1);
        assertThat(result.out()).hasSize(10);
        assertThat(result.keys(0)).startsWith("check", "level", "value", "meaning");
        assertThat(result.err()).contains("maxmemory-policy", "noeviction", "ACL SETUSER");
        Result away = run(Map.of(), new byte[0], "--redis", "redis://127.0.0.1:1", "doctor");
        assertThat(away.code()).isEqualTo(2);
        assertThat(away.line(0).get("level")).isEqualTo("error");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "nonsense",
                "queue",
                "queue pull",
                "queue pull q -n 0",
                "queue pull q -n x",
                "queue pull q --lease x",
                "queue pull q --lease 1ms",
                "queue register q (",
                "deliver --type t",
                "deliver --input x --type t",
                "deliver --environment e --type t --name n --data {",
                "listen * --count 0",
                "queue peek q -n 257",
                "queue list --redis foo",
                "serve --host 0.0.0.0 --port 0",
                "serve --port 70000",
                "serve --token-file /nowhere",
                "--data-dir /tmp/x queue list"
            })
    void whatCannotBeDoneIsOneLineAndExitCode2(String arguments) {
        Result result = millrace(arguments.isEmpty() ? new String[0] : arguments.split(" "));
        assertThat(result.code()).isEqualTo(2);
        assertThat(result.out()).isEmpty();
        assertThat(result.err().lines().filter(line -> !line.startsWith("See: ")))
                .singleElement()
                .asString()
                .startsWith("millrace: ")
                .hasSizeGreaterThan(20);
    }

    @Test
    void aPasswordIsNeverShown() {
        Result result =
                run(Map.of(), new byte[0], "--redis", "redis://u:hunter2@127.0.0.1:1", "--verbose", "queue", "list");
        assertThat(result.code()).isEqualTo(2);
        assertThat(result.err()).contains("MILLRACE_REDIS").doesNotContain("hunter2");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "", "demo", "deliver", "queue", "queue register", "queue unregister", "queue list", "queue show",
                "queue pull", "queue ack", "queue peek", "queue destroy", "queue doctor", "listen", "doctor", "serve",
                "completion"
            })
    void everyCommandHasHelpWithAnExample(String command) {
        String secret = "redis://u:hunter2@127.0.0.1:1";
        Result result = run(
                Map.of("MILLRACE_REDIS", secret),
                new byte[0],
                ("--redis " + secret + " " + command + " --help")
                        .replaceAll(" +", " ")
                        .split(" "));
        assertThat(result.code()).isZero();
        assertThat(String.join("\n", result.out()))
                .contains("Example")
                .contains("millrace " + command)
                .doesNotContain("hunter2");
        assertThat(result.err()).doesNotContain("hunter2");
    }

    @Test
    void anEmbeddedServerKeepsItsDataOnlyInAFolder(@TempDir Path folder) {
        String data = folder.resolve("data").toString();
        Result kept = run(Map.of(), new byte[0], "--data-dir", data, "queue", "register", "q", ".*");
        assertThat(kept.err()).isEmpty();
        assertThat(run(Map.of(), new byte[0], "--data-dir", data, "queue", "list")
                        .out())
                .hasSize(1);
        Result forgotten = run(Map.of(), new byte[0], "queue", "list");
        assertThat(forgotten.out()).isEmpty();
        assertThat(forgotten.err()).containsOnlyOnce("forgets everything");
    }

    @Test
    void theDemoTellsItsStoryLosesNothingAndCleansUp() {
        Result result = run(Map.of("MILLRACE_REDIS", redis.uri()), new byte[0], "demo");
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(result.line(0).get("lost")).isEqualTo(0);
        assertThat(result.line(0).get("cameBack")).isEqualTo(12);
        assertThat(((Number) result.line(0).get("millis")).longValue()).isLessThan(30_000);
        assertThat(result.err()).contains("megastore", "dr-lindqvist", "attempt 2", "none lost", "Try next");
    }
}
