package io.millrace.server;

import static io.millrace.server.ServerRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Event;
import io.millrace.Millrace;
import io.millrace.json.Json;
import io.millrace.queue.Admission;
import io.millrace.queue.LeaseOptions;
import io.millrace.queue.QueueOptions;
import io.millrace.server.HttpTester.Answer;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.net.http.HttpRequest;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Messages, leases and deliveries that come later, over HTTP. */
@RedisTest
class MessageApiIT {

    private ServerRig rig;
    private Millrace mill;
    private HttpTester http;

    @BeforeEach
    void start(RedisServer redis, @Namespace String namespace) {
        rig = ServerRig.on(redis, namespace);
        mill = rig.mill;
        http = rig.http();
        mill.queues().register("q", ".*:t:.*").block(SOON);
    }

    @AfterEach
    void stop() {
        rig.close();
    }

    private Answer post(String path, String body) {
        return http.post(path, HttpTester.JSON, body);
    }

    private void deliver(String environment, String type, String id) {
        mill.deliver(Event.of(environment, type, "n").withId(id)).block(SOON);
    }

    private static List<Object> each(Answer pulled, String field) {
        List<Object> values = new ArrayList<>();
        pulled.list("messages").forEach(one -> values.add(((Map<?, ?>) one).get(field)));
        return values;
    }

    private static Map<?, ?> only(Answer treated) {
        assertThat(treated.status()).isEqualTo(200);
        assertThat(treated.list("receipts")).hasSize(1);
        return (Map<?, ?>) treated.list("receipts").get(0);
    }

    private String receipts(Object... receipts) {
        return "\"receipts\":" + Json.text(List.of(receipts));
    }

    private Object leased(int attempt) {
        Answer pulled = post("/api/queues/q/pull", "{\"lease\":\"30s\"}");
        assertThat(each(pulled, "attempt")).containsExactly(attempt);
        return each(pulled, "receipt").get(0);
    }

    @Test
    @DisplayName("leases are given back, kept back, renewed and buried by their receipts")
    void leases() {
        deliver("a", "t", "1");
        Object first = leased(1);
        Map<?, ?> extended = only(post("/api/queues/q/extend", "{\"lease\":\"1m\"," + receipts(first) + "}"));
        assertThat(extended.get("done")).isEqualTo(true);
        Object renewed = extended.get("renewed");
        assertThat(renewed).isNotEqualTo(first).asString().startsWith("60000.20.");
        assertThat(only(post("/api/queues/q/release", "{" + receipts(first) + "}")))
                .isEqualTo(Map.of("receipt", first, "done", false));
        assertThat(only(post("/api/queues/q/release", "{" + receipts(renewed) + "}")))
                .isEqualTo(Map.of("receipt", renewed, "done", true));

        Object second = leased(1); // a release is no attempt
        assertThat(only(post("/api/queues/q/nack", "{\"delay\":\"1h\"," + receipts(second) + "}"))
                        .get("done"))
                .isEqualTo(true);
        assertThat(post("/api/queues/q/pull", "{}").list("messages")).isEmpty();
        assertThat(http.get("/api/queues/q").field("later")).isEqualTo(1);

        deliver("b", "t", "2");
        Object third = leased(1);
        post("/api/queues/q/nack", "{" + receipts(third) + "}");
        Object fourth = leased(2);
        post("/api/queues/q/bury", "{\"reason\":\"no such user\"," + receipts(fourth) + "}");
        Map<?, ?> letter = (Map<?, ?>)
                http.get("/api/queues/q/dead-letters").list("deadLetters").get(0);
        assertThat(letter.get("id")).isEqualTo("2");
        assertThat(letter.get("reason")).isEqualTo("no such user");
        assertThat(letter.get("attempts")).isEqualTo(2);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            value = {
                "nack;{\"receipts\":[\"nonsense\",\"30000.999999999.1-1\"]};200",
                "extend;{\"lease\":\"1m\",\"receipts\":[\"nonsense\",\"30000.999999999.1-1.63\"]};200",
                "bury;{\"receipts\":[\"\",\"30000.20.1790000000000-0.7\"]};200",
                "release;{\"receipts\":[]};200",
                "release;{\"receipts\":[3]};400",
                "release;{};400",
                "nack;{\"receipts\":[\"30000.20.1-1\"],\"delay\":\"forever\"};400",
                "nack;{\"receipts\":[\"30000.20.1-1\"],\"delay\":\"100000h\"};400",
                "extend;{\"receipts\":[\"30000.20.1-1\"]};400",
                "extend;{\"receipts\":[\"30000.20.1-1\"],\"lease\":\"1ms\"};400",
                "pull;{\"lease\":\"100h\"};400",
            })
    @DisplayName("what is no receipt was never held; what makes no sense is refused")
    void strangeReceipts(String what, String body, int status) {
        Answer answer = post("/api/queues/q/" + what, body);
        assertThat(answer.status()).isEqualTo(status);
        if (status == 200) {
            assertThat(answer.list("receipts"))
                    .allSatisfy(one -> assertThat(((Map<?, ?>) one).get("done")).isEqualTo(false));
        } else {
            assertThat(String.valueOf(answer.field("detail"))).isNotBlank();
        }
    }

    @Test
    @DisplayName("several queues are pulled from by weight, for good and under leases")
    void several() {
        mill.queues().register("low", ".*:l:.*").block(SOON);
        for (int i = 0; i < 40; i++) {
            deliver("f" + i, "t", "h" + i);
            deliver("f" + i, "l", "l" + i);
        }
        Answer taken = post("/api/pull", "{\"queues\":{\"q\":3,\"low\":1},\"n\":20}");
        assertThat(each(taken, "queue")).filteredOn("q"::equals).hasSize(15);
        assertThat(each(taken, "queue")).filteredOn("low"::equals).hasSize(5);
        Answer leased = post("/api/pull", "{\"queues\":{\"q\":1,\"low\":1},\"n\":60,\"lease\":\"30s\"}");
        assertThat(each(leased, "id"))
                .hasSize(60)
                .doesNotHaveDuplicates()
                .doesNotContainAnyElementsOf(each(taken, "id"));
        Map<?, ?> one = (Map<?, ?>) leased.list("messages").get(0);
        assertThat(post("/api/queues/" + one.get("queue") + "/ack", "{" + receipts(one.get("receipt")) + "}")
                        .list("acknowledged"))
                .hasSize(1);
        assertThat(http.get("/api/queues/q").field("inFlight")).isIn(24, 25);
        for (String wrong : List.of("{}", "{\"queues\":{}}", "{\"queues\":{\"q\":0}}", "{\"queues\":[\"q\"]}")) {
            assertThat(post("/api/pull", wrong).status()).isEqualTo(400);
        }
    }

    @Test
    @DisplayName("who pulls from several queues one message a request is given something of each")
    void severalOneByOne() {
        mill.queues().register("low", ".*:l:.*").block(SOON);
        for (int i = 0; i < 30; i++) {
            deliver("f", "t", "h" + i);
            deliver("f", "l", "l" + i);
        }
        Set<Object> heard = new HashSet<>();
        for (int i = 0; i < 30 && heard.size() < 2; i++) {
            heard.addAll(each(post("/api/pull", "{\"queues\":{\"q\":1,\"low\":1}}"), "queue"));
        }
        assertThat(heard).containsExactlyInAnyOrder("q", "low");
    }

    @Test
    @DisplayName("events come later: after a time, at an instant, one, many, and as lines")
    void later() {
        String event = "{\"environment\":\"e\",\"type\":\"t\",\"name\":\"n\",\"id\":\"%s\"}";
        assertThat(post("/api/events?after=1h", event.formatted("1")).field("delivered"))
                .isEqualTo(1);
        assertThat(post("/api/events?at=2199-01-01T00:00:00Z", "[]").status()).isEqualTo(400);
        assertThat(post("/api/events?at=2027-01-01T00:00:00Z", "[" + event.formatted("2") + "]")
                        .field("delivered"))
                .isEqualTo(1);
        assertThat(http.post(
                                "/api/events?after=PT1M",
                                HttpTester.NDJSON,
                                event.formatted("3") + "\nnonsense\n" + event.formatted("4"))
                        .field("delivered"))
                .isEqualTo(2);
        assertThat(http.get("/api/queues/q").field("later")).isEqualTo(4);
        assertThat(post("/api/queues/q/pull", "{\"n\":10}").list("messages")).isEmpty();
        post("/api/events?at=2020-01-01T00:00:00Z", event.formatted("5"));
        assertThat(each(post("/api/queues/q/pull", "{\"n\":10}"), "id")).containsExactly("5");
        assertThat(post("/api/queues/q/cancel", "{\"ids\":[\"1\",\"2\",\"3\",\"4\"]}")
                        .list("cancelled"))
                .hasSize(4);
        for (String wrong : List.of(
                "after=soon",
                "after=PT-5S",
                "after=999999999999h",
                "at=tomorrow",
                "after=1m&at=2027-01-01T00:00:00Z")) {
            assertThat(post("/api/events?" + wrong, event.formatted("6")).status())
                    .as(wrong)
                    .isEqualTo(400);
        }
    }

    @Test
    @DisplayName("lines that a limit refuses, and messages that had to make room, are told and counted")
    void limits() {
        mill.queues()
                .register(
                        "q",
                        ".*",
                        QueueOptions.builder()
                                .admission(Admission.of(1, Admission.Overflow.REJECT))
                                .build())
                .block(SOON);
        Answer refused = http.post("/api/events", HttpTester.NDJSON, lines("r"));
        assertThat(refused.field("delivered")).isEqualTo(3);
        assertThat(refused.field("refused")).isEqualTo(2);
        assertThat(refused.list("limited"))
                .isEqualTo(List.of(
                        Map.of("line", 2, "id", "r1", "refusedBy", List.of("q")),
                        Map.of("line", 3, "id", "r2", "refusedBy", List.of("q"))));
        mill.queues()
                .register("q", ".*", Admission.of(1, Admission.Overflow.OLDEST))
                .block(SOON);
        Answer displaced = http.post("/api/events", HttpTester.NDJSON, lines("d"));
        assertThat(displaced.field("displaced")).isEqualTo(3);
        assertThat(displaced.list("limited")).hasSize(3);
        assertThat(post("/api/events", "{\"environment\":\"e\",\"type\":\"t\",\"name\":\"n\",\"id\":\"last\"}")
                        .field("displaced"))
                .isEqualTo(1);
        String metrics = new String(http.get("/metrics").response().body(), StandardCharsets.UTF_8);
        assertThat(metrics)
                .contains("millrace_events_refused_total 2.0")
                .contains("millrace_messages_displaced_total 4.0");
    }

    private static String lines(String prefix) {
        return String.join(
                "\n",
                IntStream.range(0, 3)
                        .mapToObj(i ->
                                "{\"environment\":\"e\",\"type\":\"t\",\"name\":\"n\",\"id\":\"" + prefix + i + "\"}")
                        .toList());
    }

    @Test
    @DisplayName("a limit, a rate and a cap are in force for pulls over HTTP")
    void inForce() {
        for (int i = 0; i < 6; i++) {
            deliver("a", "t", "a" + i);
            deliver("b", "t", "b" + i);
        }
        patch("{\"each\":true,\"cap\":1}");
        Answer leased = post("/api/queues/q/pull", "{\"n\":10,\"lease\":\"30s\"}");
        assertThat(each(leased, "id")).containsExactlyInAnyOrder("a0", "b0");
        patch("{\"each\":true,\"cap\":null}");
        patch("{\"facet\":\"a\",\"rate\":\"1/h\"}");
        assertThat(each(post("/api/queues/q/pull", "{\"n\":10}"), "id"))
                .containsExactlyInAnyOrder("a1", "b1", "b2", "b3", "b4", "b5");
    }

    private void patch(String body) {
        Answer answer = http.send(http.request("/api/queues/q/policies")
                .header("Content-Type", HttpTester.JSON)
                .method("PATCH", HttpRequest.BodyPublishers.ofString(body)));
        assertThat(answer.status()).isEqualTo(200);
    }

    @Test
    @DisplayName("how long messages waited is a histogram of all processes, for scrapes and for looks")
    void dwell() {
        deliver("a", "t", "1");
        deliver("b", "t", "2");
        mill.queue("q").pull(2).blockLast(SOON);
        Eventually.await(
                "both to be counted",
                SOON,
                () -> Integer.valueOf(2)
                        .equals(((Map<?, ?>) http.get("/api/queues/q/load").field("dwell")).get("count")));
        String metrics = new String(http.get("/metrics").response().body(), StandardCharsets.UTF_8);
        assertThat(metrics)
                .contains("# TYPE millrace_queue_dwell_seconds histogram")
                .contains("millrace_queue_dwell_seconds_bucket{queue=\"q\",le=\"+Inf\"} 2")
                .contains("millrace_queue_dwell_seconds_count{queue=\"q\"} 2");
        Map<?, ?> load = http.get("/api/queues/q/load").json();
        assertThat(load.keySet().stream().map(String::valueOf)).contains("noisiest", "mostStarved", "oldestAgeMs");
    }

    @ParameterizedTest
    @CsvSource({"1", "4"})
    @DisplayName("dead letters are listed page by page, none twice, none left out")
    void pagesOfDeadLetters(int partitions) {
        mill.queues()
                .register(
                        "dead",
                        ".*:d:.*",
                        QueueOptions.builder().partitions(partitions).build())
                .block(SOON);
        for (int i = 0; i < 25; i++) {
            deliver("f" + i, "d", "d" + i);
        }
        mill.queue("dead")
                .lease(25, LeaseOptions.defaults())
                .flatMap(one -> one.bury("bad")) // many in one millisecond
                .blockLast(SOON);
        List<Object> entries = new ArrayList<>();
        String after = "";
        for (Object next = ""; next != null; ) {
            Answer page = http.get("/api/queues/dead/dead-letters?n=4" + after);
            page.list("deadLetters").forEach(one -> entries.add(((Map<?, ?>) one).get("entry")));
            next = page.field("next");
            after = "&after=" + next;
        }
        assertThat(entries).hasSize(25).doesNotHaveDuplicates();
        assertThat(mill.queue("dead")
                        .deadLetters()
                        .map(letter -> (Object) letter.entry())
                        .collectList()
                        .block(SOON))
                .isEqualTo(entries);
        assertThat(http.get("/api/queues/dead/dead-letters?after=nonsense").status())
                .isEqualTo(400);
    }
}
