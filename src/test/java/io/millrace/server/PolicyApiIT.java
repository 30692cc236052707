package io.millrace.server;

import static io.millrace.server.ServerRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Event;
import io.millrace.Millrace;
import io.millrace.json.Json;
import io.millrace.queue.LeaseOptions;
import io.millrace.server.HttpTester.Answer;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.net.http.HttpRequest;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** How queues hand out their messages, and their dead letters, over HTTP. */
@RedisTest
class PolicyApiIT {

    private ServerRig rig;
    private Millrace mill;
    private HttpTester http;

    @BeforeEach
    void start(RedisServer redis, @Namespace String namespace) {
        rig = ServerRig.on(redis, namespace);
        mill = rig.mill;
        http = rig.http();
        mill.queues().register("q", ".*").block(SOON);
    }

    @AfterEach
    void stop() {
        rig.close();
    }

    @Test
    @DisplayName("policies are changed and shown, and taken away by null")
    void policies() {
        Answer set =
                patch("{\"facet\":\"a/b\",\"weight\":2.5,\"cap\":{\"messages\":3,\"elastic\":true},\"rate\":\"10/s\"}");
        assertThat(set.status()).isEqualTo(200);
        Map<?, ?> facet = (Map<?, ?>) set.list("facets").get(0);
        assertThat(facet.get("facet")).isEqualTo("a/b");
        assertThat(facet.get("weight")).hasToString("2.5");
        assertThat(facet.get("cap")).isEqualTo(Map.of("messages", 3, "elastic", true));
        assertThat(facet.get("rate")).isEqualTo(Map.of("count", 10, "periodMs", 1000, "burst", 1));
        patch("{\"cap\":9,\"order\":\"strict\",\"cost\":\"time\"}");
        patch("{\"each\":true,\"cap\":4,\"rate\":\"100/m\"}");
        Answer shown = http.get("/api/queues/q/policies");
        assertThat(shown.field("cap")).isEqualTo(Map.of("messages", 9, "elastic", false));
        assertThat(shown.field("capEach")).isEqualTo(Map.of("messages", 4, "elastic", false));
        assertThat(shown.field("order")).isEqualTo("strict");
        assertThat(shown.field("cost")).isEqualTo("time");
        assertThat(patch("{\"cap\":null}").field("cap")).isNull();
        assertThat(patch("{\"facet\":\"a/b\",\"cap\":null,\"rate\":null,\"weight\":1}")
                        .list("facets"))
                .isEmpty();
    }

    @Test
    @DisplayName("a paused facet gives nothing until it is resumed")
    void pauses() {
        mill.deliver(Event.of("a", "t", "n").withId("1")).block(SOON);
        assertThat(patch("{\"facet\":\"a\",\"paused\":true}").status()).isEqualTo(200);
        assertThat(http.post("/api/queues/q/pull", HttpTester.JSON, "{}").list("messages"))
                .isEmpty();
        patch("{\"facet\":\"a\",\"paused\":false}");
        assertThat(http.post("/api/queues/q/pull", HttpTester.JSON, "{}").list("messages"))
                .hasSize(1);
    }

    @Test
    @DisplayName("dead letters are listed, redriven and dropped; delayed deliveries cancelled; the queue examined")
    void deadLetters() {
        for (String facet : List.of("a", "b", "c")) {
            mill.deliver(Event.of(facet, "t", "n").withId(facet)).block(SOON);
        }
        mill.queue("q")
                .lease(3, LeaseOptions.defaults())
                .concatMap(one -> one.bury("bad"))
                .blockLast(SOON);
        mill.queues()
                .deliverAfter(Event.of("a", "t", "n").withId("later"), Duration.ofHours(1))
                .block(SOON);

        Answer listed = http.get("/api/queues/q/dead-letters?n=2");
        assertThat(listed.list("deadLetters")).hasSize(2);
        Object entry = ((Map<?, ?>) listed.list("deadLetters").get(0)).get("entry");
        assertThat(post("dead-letters/drop", "{\"entries\":[\"" + entry + "\"]}")
                        .field("dropped"))
                .isEqualTo(1);
        assertThat(post("dead-letters/redrive", "{\"facet\":\"b\"}").field("redriven"))
                .isEqualTo(1);
        assertThat(post("dead-letters/redrive", "{\"all\":true}").field("redriven"))
                .isEqualTo(1);
        assertThat(post("dead-letters/redrive", "{}").status()).isEqualTo(400);
        assertThat(post("cancel", "{\"ids\":[\"later\",\"never\"]}").list("cancelled"))
                .isEqualTo(List.of("later"));
        Answer report = post("doctor", "{}");
        assertThat(report.field("healthy")).isEqualTo(true);
        assertThat(report.field("waiting")).isEqualTo(2);
    }

    @Test
    @DisplayName("dead letters are dropped by their age, or that died before an instant; what is neither is refused")
    void dropBefore() {
        bury("a", "b");
        awaitLaterThan(lastDead());
        bury("c");
        Instant between = lastDead();

        assertThat(post("dead-letters/drop", "{\"before\":\"1h\"}").field("dropped"))
                .isEqualTo(0);
        assertThat(post("dead-letters/drop", "{\"before\":\"" + between + "\"}").field("dropped"))
                .isEqualTo(2);
        awaitLaterThan(between);
        assertThat(post("dead-letters/drop", "{\"before\":\"0s\"}").field("dropped"))
                .isEqualTo(1);
        for (String wrong : List.of("yesterday", "2h ago", "2126-01-01T00:00:00Z", "-1h", "PT-1H", "")) {
            Answer refused = post("dead-letters/drop", "{\"before\":\"" + wrong + "\"}");
            assertThat(refused.status()).as(wrong).isEqualTo(400);
            assertThat(String.valueOf(refused.field("detail"))).contains("\"" + wrong + "\"");
        }
        assertThat(post("dead-letters/redrive", "{\"before\":\"1h\"}").status()).isEqualTo(400);
    }

    @Test
    @DisplayName(
            "a body that says in two ways which dead letters are meant is refused: nothing is dropped for one of them")
    void saysSeveral() {
        bury("a");
        String entry = mill.queue("q").deadLetters().blockLast(SOON).entry();

        for (String two : List.of(
                "\"before\":\"0s\",\"facet\":\"another\"",
                "\"entries\":[\"" + entry + "\"],\"all\":true",
                "\"facet\":\"f\",\"all\":true")) {
            assertThat(post("dead-letters/drop", "{" + two + "}").status())
                    .as(two)
                    .isEqualTo(400);
        }
        Answer redrive = post("dead-letters/redrive", "{\"facet\":\"f\",\"all\":true}");
        assertThat(redrive.status()).isEqualTo(400);
        assertThat(String.valueOf(redrive.field("detail"))).contains("facet and all");
        assertThat(mill.queue("q").deadLetters().count().block(SOON)).isEqualTo(1);
        assertThat(post("dead-letters/drop", "{\"facet\":\"f\",\"all\":false}").field("dropped"))
                .isEqualTo(1);
    }

    private void bury(String... ids) {
        for (String id : ids) {
            mill.deliver(Event.of("f", "t", "n").withId(id)).block(SOON);
        }
        mill.queue("q")
                .lease(ids.length, LeaseOptions.defaults())
                .concatMap(one -> one.bury("bad"))
                .blockLast(SOON);
    }

    private Instant lastDead() {
        return mill.queue("q").deadLetters().blockLast(SOON).at();
    }

    private void awaitLaterThan(Instant time) {
        Eventually.await("some milliseconds", SOON, () -> mill.redis().clock().millis() > time.toEpochMilli() + 20);
    }

    @Test
    @DisplayName("a registration may have partitions, which stay; looks at the queue show each of them")
    void partitions() {
        assertThat(http.put("/api/queues/parts", "{\"pattern\":\".*\",\"partitions\":4}")
                        .json())
                .isEqualTo(Map.of("queue", "parts", "pattern", ".*", "partitions", 4));
        Answer refused = http.put("/api/queues/parts", "{\"pattern\":\".*\",\"partitions\":5}");
        assertThat(refused.status()).isEqualTo(400);
        assertThat(String.valueOf(refused.field("detail"))).contains("has 4 partitions");
        assertThat(http.put("/api/queues/parts", "{\"pattern\":\".*\",\"partitions\":0}")
                        .status())
                .isEqualTo(400);
        mill.deliver(Event.of("a", "t", "n").withId("1")).block(SOON);
        assertThat(http.get("/api/queues/parts").list("partitions")).hasSize(4);
        assertThat(http.get("/api/queues/parts/load").list("partitions")).hasSize(4);
        assertThat(http.post("/api/queues/parts/doctor", HttpTester.JSON, "{}").list("partitions"))
                .hasSize(4);
        assertThat(http.get("/api/queues/q").json().containsKey("partitions")).isFalse();
    }

    @Test
    @DisplayName("caps and rates are accepted as they are shown")
    void asShown() {
        patch("{\"facet\":\"a\",\"cap\":{\"messages\":3,\"elastic\":true},\"rate\":\"10/5s burst 7\"}");
        Map<?, ?> shown =
                (Map<?, ?>) http.get("/api/queues/q/policies").list("facets").get(0);
        Answer copied = patch("{\"facet\":\"b\",\"cap\":" + Json.text(shown.get("cap")) + ",\"rate\":"
                + Json.text(shown.get("rate")) + "}");
        assertThat(copied.list("facets")).as("the one it was for").hasSize(1);
        Map<?, ?> copy = (Map<?, ?>) copied.list("facets").get(0);
        assertThat(copy.get("facet")).isEqualTo("b");
        assertThat(copy.get("cap")).isEqualTo(shown.get("cap"));
        assertThat(copy.get("rate"))
                .isEqualTo(shown.get("rate"))
                .isEqualTo(Map.of("count", 10, "periodMs", 5000, "burst", 7));
        assertThat(patch("{\"cap\":4}").list("facets")).as("of the queue: all").hasSize(2);
    }

    @Test
    @DisplayName("a change that some partition could have no part of is refused whole")
    void notForPartitions() {
        http.put("/api/queues/parts", "{\"pattern\":\".*\",\"partitions\":4}");
        Answer refused = http.send(http.request("/api/queues/parts/policies")
                .header("Content-Type", HttpTester.JSON)
                .method("PATCH", HttpRequest.BodyPublishers.ofString("{\"cap\":9,\"rate\":\"3/s\",\"paused\":true}")));
        assertThat(refused.status()).isEqualTo(400);
        assertThat(String.valueOf(refused.field("detail"))).contains("4 partitions", "12 in PT4S");
        assertThat(mill.queue("parts").policies().show().block(SOON).isPlain()).isTrue();
    }

    @Test
    @DisplayName("policies come after partitions: a queue that has some of them already is told so")
    void policiesBeforePartitions() {
        http.send(http.request("/api/queues/early/policies")
                .header("Content-Type", HttpTester.JSON)
                .method("PATCH", HttpRequest.BodyPublishers.ofString("{\"facet\":\"a\",\"weight\":2}")));
        Answer refused = http.put("/api/queues/early", "{\"pattern\":\".*\",\"partitions\":4}");
        assertThat(refused.status()).isEqualTo(400);
        assertThat(String.valueOf(refused.field("detail"))).contains("policies", "destroy");
    }

    @Test
    @DisplayName("a registration that says what happens at a limit, and has none, is refused")
    void overflowWithoutLimit() {
        for (String overflow : List.of("\"overflow\":\"oldest\"", "\"limit\":null,\"overflow\":\"wait\"")) {
            Answer refused = http.put("/api/queues/new", "{\"pattern\":\".*\"," + overflow + "}");
            assertThat(refused.status()).isEqualTo(400);
            assertThat(String.valueOf(refused.field("detail"))).contains("limit");
        }
        assertThat(http.get("/api/queues/new").status()).isEqualTo(404);
    }

    @Test
    @DisplayName("a registration may have a limit, and a delivery that it refuses says so")
    void limits() {
        Answer registered = http.put("/api/queues/q", "{\"pattern\":\".*\",\"limit\":1,\"overflow\":\"reject\"}");
        assertThat(registered.json())
                .isEqualTo(Map.of("queue", "q", "pattern", ".*", "limit", 1, "overflow", "reject"));
        mill.deliver(Event.of("a", "t", "n").withId("1")).block(SOON);
        Answer refused = http.post(
                "/api/events", HttpTester.JSON, "{\"environment\":\"a\",\"type\":\"t\",\"name\":\"n\",\"id\":\"2\"}");
        assertThat(((Map<?, ?>) refused.list("events").get(0)).get("refusedBy")).isEqualTo(List.of("q"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{}",
                "{\"weight\":2}",
                "{\"facet\":\"a\",\"weight\":\"2\"}",
                "{\"facet\":\"a\",\"weight\":-2}",
                "{\"facet\":\"a\",\"weight\":1e99}",
                "{\"cap\":{\"messages\":1,\"elastic\":true}}",
                "{\"cap\":0}",
                "{\"cap\":\"x\"}",
                "{\"rate\":\"often\"}",
                "{\"rate\":9999999999}",
                "{\"paused\":1}",
                "{\"order\":\"sideways\"}",
                "{\"cost\":3}",
                "{\"facet\":3,\"weight\":1}",
                "{\"colour\":\"red\"}",
                "[]",
                "{\"facet\":\"a\",\"limitWaiting\":-4}",
                "{\"rate\":0}",
                "{\"rate\":{\"count\":0,\"periodMs\":1000,\"burst\":0}}",
                "{\"rate\":{\"count\":5,\"periodMs\":1000}}",
                "{\"rate\":{\"count\":5,\"periodMs\":1000,\"burst\":7}}",
                "{\"rate\":{\"count\":5,\"periodMs\":1000,\"burst\":1,\"per\":\"s\"}}",
                "{\"facet\":\"a\",\"rate\":\"0/s\"}",
                "{\"facet\":null,\"cap\":5}",
                "{\"facet\":\"a\",\"weight\":0,\"paused\":false}",
                "{\"facet\":\"a\",\"cap\":{\"messages\":1,\"elastic\":\"yes\"}}",
                "{\"facet\":\"a\",\"cap\":{\"messages\":1,\"elastc\":true}}",
                "{\"each\":true,\"weight\":2}",
                "{\"cap\":5,\"order\":null}",
                "{\"cap\":5,\"cost\":null}",
                "{\"cap\":5,\"rate\":\"often\"}",
                "{\"facet\":\"a\",\"cap\":5,\"limitWaiting\":200000000}",
            })
    @DisplayName("a change that makes no sense is refused and changes nothing")
    void refused(String body) {
        Answer answer = patch(body);
        assertThat(answer.status()).isEqualTo(400);
        assertThat(String.valueOf(answer.field("detail"))).isNotBlank();
        assertThat(mill.queue("q").policies().show().block(SOON).isPlain()).isTrue();
    }

    private Answer patch(String body) {
        return http.send(http.request("/api/queues/q/policies")
                .header("Content-Type", HttpTester.JSON)
                .method("PATCH", HttpRequest.BodyPublishers.ofString(body)));
    }

    private Answer post(String path, String body) {
        return http.post("/api/queues/q/" + path, HttpTester.JSON, body);
    }
}
