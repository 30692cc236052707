package io.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.cli.CommandLineIT.Result;
import io.millrace.queue.LeaseOptions;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Weights, caps, rates, pauses, dead letters, delays and limits from the command line. */
@RedisTest
class QueuePoliciesCommandIT {

    private RedisServer redis;

    @Namespace
    private String namespace;

    @BeforeEach
    void register() {
        millrace("queue", "register", "q", ".*");
    }

    private Result millrace(String... args) {
        List<String> all = new ArrayList<>(List.of("--namespace", namespace));
        all.addAll(Arrays.asList(args));
        return CommandLineIT.run(Map.of("MILLRACE_REDIS", redis.uri()), new byte[0], all.toArray(String[]::new));
    }

    private Result deliver(String facet, String id, String... more) {
        List<String> args =
                new ArrayList<>(List.of("deliver", "--environment", facet, "--type", "t", "--name", "n", "--id", id));
        args.addAll(Arrays.asList(more));
        return millrace(args.toArray(String[]::new));
    }

    private List<Object> pull(int n) {
        Result result = millrace("queue", "pull", "q", "-n", String.valueOf(n), "--lease", "1m");
        List<Object> ids = new ArrayList<>();
        for (int i = 0; i < result.out().size(); i++) {
            ids.add(result.line(i).get("id"));
        }
        return ids;
    }

    @Test
    @DisplayName(
            "a queue with partitions is registered, shown, examined and kept from being given another number of them")
    void partitions() {
        Result registered = millrace("queue", "register", "parts", ".*", "--partitions", "3");
        assertThat(registered.out()).containsExactly("{\"queue\":\"parts\",\"pattern\":\".*\",\"partitions\":3}");
        assertThat(millrace("queue", "register", "parts", ".*:t:.*").line(0).get("partitions"))
                .isEqualTo(3);
        Result refused = millrace("queue", "register", "parts", ".*", "--partitions", "2");
        assertThat(refused.code()).isEqualTo(2);
        assertThat(refused.err()).contains("has 3 partitions").contains("destroy it");
        assertThat(millrace("queue", "register", "parts", ".*", "--partitions", "65")
                        .code())
                .isEqualTo(2);
        for (int i = 0; i < 9; i++) {
            deliver("f" + i, "m" + i);
        }
        Result shown = millrace("queue", "show", "parts");
        assertThat((List<?>) shown.line(0).get("partitions")).hasSize(3);
        assertThat(shown.line(0).get("waiting")).isEqualTo(9);
        assertThat((List<?>) millrace("queue", "load", "parts").line(0).get("partitions"))
                .hasSize(3);
        Result examined = millrace("queue", "doctor", "parts");
        assertThat(examined.code()).isZero();
        assertThat((List<?>) examined.line(0).get("partitions")).hasSize(3);
        Result leased = millrace("queue", "pull", "parts", "-n", "9", "--lease", "1m");
        assertThat(leased.out()).hasSize(9);
        for (int i = 0; i < 9; i++) {
            assertThat(millrace(
                                    "queue",
                                    "ack",
                                    "parts",
                                    String.valueOf(leased.line(i).get("receipt")))
                            .code())
                    .isZero();
        }
        assertThat(millrace("queue", "cap", "parts", "2").code()).isEqualTo(2);
        assertThat(millrace("queue", "destroy", "parts", "--yes").code()).isZero();
        assertThat(millrace("queue", "register", "parts", ".*", "--partitions", "2")
                        .code())
                .isZero();
    }

    @Test
    @DisplayName("weight, cap, rate, order and cost are set, shown and taken away")
    void policies() {
        Result weight = millrace("queue", "weight", "q", "env-1", "2.5");
        assertThat(weight.code()).isZero();
        assertThat(weight.keys(0))
                .containsExactly("queue", "paused", "cap", "capEach", "rate", "rateEach", "order", "cost", "facets");
        millrace("queue", "cap", "q", "100");
        millrace("queue", "cap", "q", "env-1", "5");
        millrace("queue", "cap", "q", "20", "--each", "--elastic");
        millrace("queue", "rate", "q", "500/s");
        millrace("queue", "rate", "q", "env-1", "10/m");
        millrace("queue", "order", "q", "strict");
        millrace("queue", "cost", "q", "bytes");
        assertThat(millrace("queue", "limit", "q", "env-1", "7").err()).contains("without --limit");

        assertThat(millrace("queue", "policies", "q").out())
                .containsExactly("{\"queue\":\"q\",\"paused\":false,\"cap\":{\"messages\":100,\"elastic\":false},"
                        + "\"capEach\":{\"messages\":20,\"elastic\":true},"
                        + "\"rate\":{\"count\":500,\"periodMs\":1000,\"burst\":50},\"rateEach\":null,"
                        + "\"order\":\"strict\",\"cost\":\"bytes\",\"facets\":[{\"facet\":\"env-1\",\"weight\":2.5,"
                        + "\"paused\":false,\"cap\":{\"messages\":5,\"elastic\":false},"
                        + "\"rate\":{\"count\":10,\"periodMs\":60000,\"burst\":1},\"limitWaiting\":7}]}");

        assertThat(millrace("queue", "weight", "q", "env-2", "3").out())
                .as("of the queue and of the facet it was for")
                .containsExactly("{\"queue\":\"q\",\"paused\":false,\"cap\":{\"messages\":100,\"elastic\":false},"
                        + "\"capEach\":{\"messages\":20,\"elastic\":true},"
                        + "\"rate\":{\"count\":500,\"periodMs\":1000,\"burst\":50},\"rateEach\":null,"
                        + "\"order\":\"strict\",\"cost\":\"bytes\",\"facets\":[{\"facet\":\"env-2\",\"weight\":3.0,"
                        + "\"paused\":false,\"cap\":null,\"rate\":null,\"limitWaiting\":null}]}");
        millrace("queue", "weight", "q", "env-2", "1");
        millrace("queue", "weight", "q", "env-1", "1");
        millrace("queue", "cap", "q", "env-1", "none");
        millrace("queue", "rate", "q", "env-1", "none");
        Result last = millrace("queue", "limit", "q", "env-1", "none");
        assertThat(last.line(0).get("facets")).isEqualTo(List.of());
    }

    @Test
    @DisplayName("pause and resume a facet, and the queue")
    void pauses() {
        deliver("a", "a1");
        deliver("b", "b1");
        millrace("queue", "pause", "q", "a");
        assertThat(millrace("queue", "show", "q").out().get(0)).contains("\"waiting\":2");
        assertThat(pull(5)).containsExactly("b1");
        assertThat(millrace("queue", "show", "q").out().get(0)).contains("\"standing\":\"parked\"");
        assertThat(millrace("queue", "show", "q").line(0).get("paused"))
                .as("the whole queue")
                .isEqualTo(false);
        millrace("queue", "pause", "q");
        assertThat(millrace("queue", "show", "q").line(0).get("paused")).isEqualTo(true);
        assertThat(millrace("queue", "list").line(0).get("paused")).isEqualTo(true);
        assertThat(millrace("queue", "resume", "q", "a").line(0).get("paused")).isEqualTo(true);
        assertThat(pull(5)).isEmpty();
        millrace("queue", "resume", "q");
        assertThat(millrace("queue", "list").line(0).get("paused")).isEqualTo(false);
        assertThat(pull(5)).containsExactly("a1");
    }

    @Test
    @DisplayName("delayed deliveries come later, or are taken back")
    void delays() {
        assertThat(deliver("a", "soon", "--at", "2020-01-01T00:00:00Z").code()).isZero();
        assertThat(deliver("a", "late", "--after", "2h").out())
                .containsExactly("{\"id\":\"late\",\"queues\":[\"q\"],\"duplicateIn\":[]}");
        assertThat(pull(5)).containsExactly("soon");
        Result cancelled = millrace("queue", "cancel", "q", "late", "soon");
        assertThat(cancelled.code()).isEqualTo(1);
        assertThat(cancelled.out())
                .containsExactly(
                        "{\"queue\":\"q\",\"id\":\"late\",\"cancelled\":true}",
                        "{\"queue\":\"q\",\"id\":\"soon\",\"cancelled\":false}");
    }

    @Test
    @DisplayName("a queue with a limit refuses what is too much, and says so")
    void limits() {
        assertThat(millrace("queue", "register", "q", ".*", "--limit", "1", "--overflow", "oldest")
                        .out())
                .containsExactly("{\"queue\":\"q\",\"pattern\":\".*\",\"limit\":1,\"overflow\":\"oldest\"}");
        deliver("a", "a1");
        assertThat(deliver("a", "a2").line(0).get("displaced")).isEqualTo(List.of("a1"));
        assertThat(millrace("queue", "limit", "q", "b", "7").err()).doesNotContain("without --limit");
        millrace("queue", "register", "q", ".*", "--limit", "1");
        Result refused = deliver("a", "a3");
        assertThat(refused.code()).isEqualTo(1);
        assertThat(refused.line(0).get("refusedBy")).isEqualTo(List.of("q"));
    }

    @Test
    @DisplayName("dead letters are listed, redriven and dropped")
    void deadLetters() {
        deliver("a", "a1");
        deliver("b", "b1");
        try (Millrace mill = Millrace.connect(MillraceSettings.of(redis.settings(namespace)))) {
            mill.queue("q")
                    .lease(2, LeaseOptions.defaults())
                    .concatMap(one -> one.bury("bad"))
                    .blockLast();
        }
        Result list = millrace("queue", "dead-letters", "list", "q");
        assertThat(list.out()).hasSize(2);
        assertThat(list.keys(0))
                .containsExactly(
                        "entry",
                        "queue",
                        "facet",
                        "id",
                        "attempts",
                        "reason",
                        "deliveredAt",
                        "firstHandedOutAt",
                        "deadAt",
                        "event");
        assertThat(list.line(0).get("reason")).isEqualTo("bad");

        assertThat(millrace("queue", "dead-letters", "redrive", "q", "--facet", "a")
                        .out())
                .containsExactly("{\"queue\":\"q\",\"redriven\":1}");
        String entry = String.valueOf(list.line(1).get("entry"));
        assertThat(millrace("queue", "dead-letters", "drop", "q", "--all").code())
                .isEqualTo(2);
        assertThat(millrace("queue", "dead-letters", "drop", "q", "--entry", entry)
                        .out())
                .containsExactly("{\"queue\":\"q\",\"dropped\":1}");
        assertThat(millrace("queue", "dead-letters", "drop", "q", "--entry", entry)
                        .code())
                .isEqualTo(1);
        assertThat(millrace("queue", "dead-letters", "drop", "q", "--all", "--yes")
                        .out())
                .containsExactly("{\"queue\":\"q\",\"dropped\":0}");
        assertThat(pull(5)).containsExactly("a1");
        assertThat(millrace("queue", "doctor", "q").code()).isZero();
    }

    @Test
    @DisplayName("dead letters are dropped that died so long ago, or before an instant; what is neither is told")
    void deadLettersBefore() {
        deliver("a", "a1");
        String receipt = String.valueOf(
                millrace("queue", "pull", "q", "--lease", "1m").line(0).get("receipt"));
        assertThat(millrace("queue", "bury", "q", receipt).code()).isZero();

        assertThat(millrace("queue", "dead-letters", "drop", "q", "--before", "1h")
                        .code())
                .as("without --yes nobody can be asked here")
                .isEqualTo(2);
        assertThat(millrace("queue", "dead-letters", "drop", "q", "--before", "P7D", "--yes")
                        .out())
                .containsExactly("{\"queue\":\"q\",\"dropped\":0}");
        Result wrong = millrace("queue", "dead-letters", "drop", "q", "--before", "tomorrow", "--yes");
        assertThat(wrong.code()).isEqualTo(2);
        assertThat(wrong.err()).contains("--before", "\"tomorrow\"", "168h");
        assertThat(millrace("queue", "dead-letters", "drop", "q", "--before", "1h", "--all")
                        .code())
                .isEqualTo(2);
        assertThat(millrace("queue", "dead-letters", "redrive", "q", "--before", "1h")
                        .code())
                .isEqualTo(2);
        assertThat(millrace("queue", "dead-letters", "drop", "q", "--before", "1ms", "--yes")
                        .out())
                .containsExactly("{\"queue\":\"q\",\"dropped\":1}");
    }

    @Test
    @DisplayName("leases are given back, kept back, renewed and buried by their receipts")
    void leases() {
        deliver("a", "a1");
        String receipt = String.valueOf(
                millrace("queue", "pull", "q", "--lease", "1m").line(0).get("receipt"));
        Result extended = millrace("queue", "extend", "q", receipt, "--lease", "2m");
        assertThat(extended.keys(0)).containsExactly("receipt", "done", "renewed");
        String renewed = String.valueOf(extended.line(0).get("renewed"));
        Result stale = millrace("queue", "release", "q", receipt);
        assertThat(stale.code()).isEqualTo(1);
        assertThat(stale.out()).containsExactly("{\"receipt\":\"" + receipt + "\",\"done\":false}");
        assertThat(millrace("queue", "release", "q", renewed).code()).isZero();
        Result again = millrace("queue", "pull", "q", "--lease", "1m");
        assertThat(again.line(0).get("attempt")).isEqualTo(1);
        assertThat(millrace("queue", "nack", "q", String.valueOf(again.line(0).get("receipt")), "--delay", "1h")
                        .code())
                .isZero();
        assertThat(pull(1)).isEmpty();
        deliver("b", "b1");
        Result last = millrace("queue", "pull", "q", "--lease", "1m");
        millrace("queue", "bury", "q", String.valueOf(last.line(0).get("receipt")), "--reason", "no such user");
        assertThat(millrace("queue", "dead-letters", "list", "q", "-n", "1")
                        .line(0)
                        .get("reason"))
                .isEqualTo("no such user");
        assertThat(millrace("queue", "nack", "q", "nonsense").code()).isEqualTo(1);
    }

    @Test
    @DisplayName("several queues are pulled from by weight")
    void several() {
        millrace("queue", "register", "low", ".*");
        for (int i = 0; i < 8; i++) {
            deliver("f" + i, "m" + i);
        }
        Result taken = millrace("queue", "pull", "q", "low", "-n", "8", "--weight", "q=3");
        assertThat(taken.out()).hasSize(8);
        assertThat(taken.out().stream().filter(line -> line.startsWith("{\"queue\":\"q\"")))
                .hasSize(6);
        assertThat(millrace("queue", "pull", "q", "low", "-n", "100", "--lease", "1m")
                        .out())
                .hasSize(8);
        assertThat(millrace("queue", "pull", "q", "--weight", "other=3").err()).contains("\"other\"");
    }

    @Test
    @DisplayName("lines of a file come later; a rate may have a burst and any period; each facet may have one")
    void fromNowOn() {
        Result later = CommandLineIT.run(
                Map.of("MILLRACE_REDIS", redis.uri()),
                "{\"environment\":\"a\",\"type\":\"t\",\"name\":\"n\"}\n"
                        .repeat(3)
                        .getBytes(StandardCharsets.UTF_8),
                "--namespace",
                namespace,
                "deliver",
                "--input",
                "-",
                "--after",
                "2h");
        assertThat(later.code()).isZero();
        assertThat(millrace("queue", "show", "q").line(0).get("later")).isEqualTo(3);
        assertThat(millrace("queue", "rate", "q", "10/5s burst 7", "--each")
                        .line(0)
                        .get("rateEach"))
                .isEqualTo(Map.of("count", 10, "periodMs", 5000, "burst", 7));
        for (int i = 0; i < 9; i++) {
            deliver("b", "b" + i);
        }
        assertThat(pull(20)).hasSize(7);
    }

    @Test
    @DisplayName(
            "a glance at a queue tells its noisiest and most starved facets, and how long messages waited that others pulled")
    void load() {
        for (int i = 0; i < 4; i++) {
            deliver("loud", "l" + i);
        }
        deliver("quiet", "q1");
        assertThat(pull(1)).containsExactly("l0");
        Result load = millrace("queue", "load", "q", "--top", "1");
        assertThat(load.keys(0))
                .containsExactly("queue", "facets", "waiting", "oldestAgeMs", "noisiest", "mostStarved", "dwell");
        assertThat(((Map<?, ?>) ((List<?>) load.line(0).get("noisiest")).get(0)).get("facet"))
                .isEqualTo("loud");
        assertThat((List<?>) load.line(0).get("mostStarved")).hasSize(1);
        Map<?, ?> dwell = (Map<?, ?>) load.line(0).get("dwell");
        assertThat(dwell.get("count")).isEqualTo(1);
        assertThat((List<?>) dwell.get("buckets")).hasSize(1);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "queue weight q a heavy",
                "queue pull q --weight q=0",
                "queue pull q low --weight low=much",
                "queue extend q 30000.20.1-1",
                "queue extend q 30000.20.1-1 --lease 1ms",
                "queue nack q 30000.20.1-1 --delay forever",
                "queue nack q 30000.20.1-1 --delay P366D",
                "queue nack q 30000.20.1-1 --delay PT-1H",
                "queue rate q 10/0s",
                "queue rate q 10/s_burst_0",
                "deliver --input - --after 1m --at 2027-01-01T00:00:00Z",
                "deliver --input - --after 9999999999h",
                "queue weight q a 5000",
                "queue cap q many",
                "queue cap q 3 --elastic",
                "queue cap q a 3 --each",
                "queue rate q 10/fortnight",
                "queue order q sometimes",
                "queue cost q love",
                "queue limit q a -3",
                "queue limit q a 4294967295",
                "queue dead-letters",
                "queue dead-letters redrive q",
                "queue dead-letters redrive q --all --facet a",
                "queue register q .* --limit 0",
                "queue register q .* --overflow oldest",
                "queue rate q 0",
                "queue rate q a 0/s",
                "queue rate q a 10/s burst 5",
                "queue cap q a b 5",
                "queue cap q 5 a 7",
            })
    @DisplayName("wrong usage changes nothing, names what was wrong, exit code 2")
    void wrongUsage(String command) {
        String before = millrace("queue", "policies", "q").out().get(0);
        Result result = millrace(command.split(" "));
        assertThat(result.code()).isEqualTo(2);
        assertThat(result.err()).startsWith("millrace: ").doesNotContain("unexpected failure");
        assertThat(result.out()).isEmpty();
        assertThat(millrace("queue", "policies", "q").out()).containsExactly(before);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "queue pause qq",
                "queue weight qq a 2",
                "queue policies qq",
                "queue load qq",
                "queue doctor qq",
                "queue dead-letters list qq",
                "queue dead-letters redrive qq --all",
                "queue pull qq",
            })
    @DisplayName("who names a queue that nobody knows is told so; what is set holds when there is one")
    void unknown(String command) {
        Result result = millrace(command.split(" "));
        assertThat(result.code()).isZero();
        assertThat(result.err()).contains("queue \"qq\" is not registered and holds nothing");
        millrace("queue", "register", "qq", ".*");
        assertThat(millrace(command.split(" ")).err()).doesNotContain("is not registered");
    }
}
