package io.millrace.server;

import static io.millrace.server.ServerRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Millrace;
import io.millrace.server.HttpTester.Answer;
import io.millrace.stream.ConsumerOptions;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;

/** Change streams over HTTP. */
@RedisTest
class StreamsApiIT {

    private ServerRig rig;
    private Millrace mill;
    private HttpTester http;

    @BeforeEach
    void start(RedisServer redis, @Namespace String namespace) {
        rig = ServerRig.on(redis, namespace);
        mill = rig.mill;
        http = rig.http();
    }

    @AfterEach
    void stop() {
        rig.close();
    }

    private Answer post(String path, String body) {
        return http.post(path, HttpTester.JSON, body);
    }

    @Test
    @DisplayName(
            "records go in, are seen, are trimmed only when every registered consumer has them; metrics tell the lag")
    void wholeLife() {
        List<?> ids = post("/api/streams/a%2Fb/entries", "{\"records\":[1,\"x\",{\"id\":3}]}")
                .list("ids");
        assertThat(ids).hasSize(3);
        assertThat(post("/api/streams/a%2Fb/entries", "{\"records\":[1,1],\"delay\":true}")
                        .field("noted"))
                .isEqualTo(2);
        assertThat(http.put("/api/streams/a%2Fb/consumers/c", "{}").field("offset"))
                .isEqualTo("0-0");
        Map<?, ?> shard =
                (Map<?, ?>) http.get("/api/streams/a%2Fb").list("shards").get(0);
        assertThat(shard.get("length")).isEqualTo(3);
        assertThat(shard.get("notes")).isEqualTo(1);
        assertThat(((Map<?, ?>) http.get("/api/streams").list("streams").get(0)).get("stream"))
                .isEqualTo("a/b");
        assertThat(http.get("/api/streams/a%2Fb/entries?n=2&after=" + ids.get(0))
                        .list("entries"))
                .extracting(entry -> ((Map<?, ?>) entry).get("id"))
                .isEqualTo(ids.subList(1, 3));
        assertThat(post("/api/streams/a%2Fb/trim", "{}").field("removed")).isEqualTo(0);
        String of = "{consumer=\"c\",shard=\"0\",stream=\"a/b\"} ";
        String shown = "{shard=\"0\",stream=\"a/b\"} ";
        assertThat(post("/api/streams/a%2Fb/consumers/c/pause", "{}").field("changed"))
                .isEqualTo(true);
        assertThat(metrics().lines())
                .contains(
                        "millrace_stream_lag" + of + "3.0",
                        "millrace_stream_length" + shown + "3.0",
                        "millrace_stream_notes" + shown + "1.0",
                        "millrace_stream_backfill_lag" + of + "0.0",
                        "millrace_stream_dead" + of + "0.0",
                        "millrace_stream_active" + of + "0.0",
                        "millrace_stream_paused" + of + "1.0",
                        "millrace_streams_left_out 0.0",
                        "millrace_redis_up 1.0")
                .anyMatch(line ->
                        line.matches("millrace_stream_lag_age_seconds" + java.util.regex.Pattern.quote(of) + "\\d.*"))
                .anyMatch(line -> line.matches(
                        "millrace_stream_notes_oldest_age_seconds" + java.util.regex.Pattern.quote(shown) + "\\d.*"));
        assertThat(post("/api/streams/a%2Fb/consumers/c/seek", "{\"to\":\"end\"}")
                        .field("offset"))
                .isEqualTo(ids.get(2));
        assertThat(post("/api/streams/a%2Fb/trim", "{\"before\":\"" + ids.get(2) + "\"}")
                        .field("removed"))
                .isEqualTo(2);
        assertThat(post("/api/streams/a%2Fb/trim", "{}").field("removed")).isEqualTo(1);
        assertThat(post("/api/streams/a%2Fb/consumers/c/resume", "{}").field("changed"))
                .isEqualTo(true);
        assertThat(http.delete("/api/streams/a%2Fb/consumers/c").field("unregistered"))
                .isEqualTo(true);
    }

    @Test
    @DisplayName("dead letters are listed, appended again, dropped")
    void deadLetters() {
        mill.streams().producer("s").queueAll(List.of(1, 2)).block(SOON);
        Disposable running = mill.streams()
                .consumer("s", "c")
                .with(ConsumerOptions.builder().attempts(1).build())
                .consume(batch -> Mono.error(new IllegalStateException("no way")))
                .subscribe();
        String path = "/api/streams/s/consumers/c/dead-letters";
        Eventually.await("two", SOON, () -> http.get(path).list("deadLetters").size() == 2);
        running.dispose();
        List<?> letters = http.get(path).list("deadLetters").stream()
                .map(letter -> ((Map<?, ?>) letter).get("letter"))
                .toList();
        assertThat(post(path + "/retry", "{\"letters\":[\"" + letters.get(0) + "\"]}")
                        .field("retried"))
                .isEqualTo(1);
        assertThat(post(path + "/drop", "{\"letters\":[\"" + letters.get(1) + "\",\"1-1\"]}")
                        .field("dropped"))
                .isEqualTo(1);
        assertThat(http.get(path).list("deadLetters")).isEmpty();
        assertThat(mill.streams().stream("s").size().block(SOON)).isEqualTo(3);
    }

    @Test
    @SuppressWarnings("unchecked")
    @DisplayName(
            "dead letters of two shards with the same id: each is settled alone, listed page by page; which must be said")
    void deadLettersOfShards() {
        mill.streams().create("two", 2).block(SOON);
        for (int shard = 0; shard < 2; shard++) {
            String dead = mill.redis().keys().unitText("stream", "two", shard) + "dead:c";
            for (int i = 0; i < 2; i++) {
                mill.redis()
                        .call("XADD", dead, "1000-" + i, "id", "1-1", "payload", "7", "attempts", 1, "cause", "no")
                        .block(SOON);
            }
        }
        String path = "/api/streams/two/consumers/c/dead-letters";
        Answer first = http.get(path + "?n=3");
        assertThat(first.list("deadLetters")).hasSize(3);
        assertThat(first.field("next")).isEqualTo("1/1000-0");
        Answer second = http.get(path + "?n=3&after=" + first.field("next"));
        assertThat(second.list("deadLetters"))
                .singleElement()
                .satisfies(letter -> assertThat((Map<String, Object>) letter)
                        .containsEntry("letter", "1000-1")
                        .containsEntry("shard", 1));
        assertThat(second.field("next")).isNull();
        Answer unclear = post(path + "/drop", "{\"letters\":[\"1/1000-1\",\"1000-0\"]}");
        assertThat(unclear.status()).isEqualTo(400);
        assertThat(String.valueOf(unclear.field("detail"))).contains("in shards [0, 1]");
        assertThat(http.get(path).list("deadLetters")).as("nothing was settled").hasSize(4);
        assertThat(post(path + "/drop", "{\"letters\":[\"1/1000-0\"]}").field("dropped"))
                .isEqualTo(1);
        assertThat(post(path + "/drop", "{\"letters\":[\"1000-0\", {\"letter\":\"1000-1\",\"shard\":1}, \"7/1000-0\"]}")
                        .field("dropped"))
                .isEqualTo(2);
        assertThat(http.get(path).list("deadLetters"))
                .singleElement()
                .satisfies(letter -> assertThat((Map<String, Object>) letter)
                        .containsEntry("letter", "1000-1")
                        .containsEntry("shard", 0));
        assertThat(post(path + "/drop", "{\"letters\":[\"x/1000-0\"]}").status())
                .isEqualTo(400);
        assertThat(post(path + "/drop", "{\"letters\":[{\"letter\":\"1000-0\"}]}")
                        .status())
                .isEqualTo(400);
    }

    @Test
    @DisplayName(
            "metrics: streams that cannot be looked at in time, or are too many, are counted; all else is there, and up")
    void metricsLeaveOut() {
        mill.queues().register("q", ".*").block(SOON);
        for (int i = 0; i < Metrics.MAX_QUEUES + 2; i++) {
            mill.streams().create("s" + i, 1).block(SOON);
        }
        assertThat(metrics().lines()).contains("millrace_streams_left_out 2.0", "millrace_redis_up 1.0");
    }

    @Test
    @DisplayName("metrics count lag up to 10,000 only: a consumer that is far behind costs ten short scripts a scrape")
    void metricsOfMuchLag() {
        String log = mill.redis().keys().unitText("stream", "long", 0) + "log";
        mill.redis()
                .call("EVAL", "for i = 1, 25000 do redis.call('XADD', KEYS[1], '*', 'payload', '1') end", 1, log)
                .onErrorComplete() // it answers nothing
                .block(SOON);
        mill.streams().stream("long").register("c").block(SOON);
        long before = calls();
        assertThat(metrics().lines())
                .contains("millrace_stream_lag{consumer=\"c\",shard=\"0\",stream=\"long\"} 10000.0")
                .anyMatch(line -> line.startsWith("millrace_stream_lag_age_seconds{consumer=\"c\""));
        assertThat(calls() - before).isLessThan(40);
        assertThat(mill.streams().stream("long")
                        .state()
                        .blockLast(SOON)
                        .consumers()
                        .get(0)
                        .lag())
                .isEqualTo(25_000);
    }

    /** How many scripts the server has run. */
    private long calls() {
        return new String((byte[]) mill.redis().call("INFO", "commandstats").block(SOON), StandardCharsets.UTF_8)
                .lines()
                .filter(line -> line.startsWith("cmdstat_evalsha:calls="))
                .mapToLong(line -> Long.parseLong(line.replaceFirst("^[^=]*=(\\d+).*", "$1")))
                .sum();
    }

    @Test
    @DisplayName("what is malformed is refused with what was expected")
    void refused() {
        assertThat(post("/api/streams/s/entries", "{\"records\":3}").status()).isEqualTo(400);
        assertThat(post("/api/streams/s/entries", "{\"records\":[null]}").status())
                .isEqualTo(400);
        assertThat(http.get("/api/streams/s/entries?after=x").status()).isEqualTo(400);
        assertThat(post("/api/streams/s/consumers/c/seek", "{\"to\":\"x\"}")
                        .field("detail")
                        .toString())
                .contains("no entry id");
        Answer unknown = post("/api/streams/s/consumers/typo/seek", "{\"to\":\"end\"}");
        assertThat(unknown.status()).isEqualTo(404);
        assertThat(String.valueOf(unknown.field("detail"))).contains("\"typo\"").contains("register");
        assertThat(post("/api/streams/s/trim", "{\"before\":\"x\"}").status()).isEqualTo(400);
        assertThat(post("/api/streams/s/consumers/c/dead-letters/retry", "{}").status())
                .isEqualTo(400);
    }

    private String metrics() {
        return new String(http.get("/metrics").response().body(), StandardCharsets.UTF_8);
    }

    @Test
    @DisplayName("T5 a stream is created with shards, once; each is shown, and who reads them")
    void shards() {
        assertThat(http.put("/api/streams/m", "{\"shards\":2}").field("created"))
                .isEqualTo(true);
        assertThat(http.put("/api/streams/m", "{\"shards\":2}").field("created"))
                .isEqualTo(false);
        Answer other = http.put("/api/streams/m", "{\"shards\":3}");
        assertThat(other.status()).isEqualTo(409);
        assertThat(String.valueOf(other.field("detail"))).contains("has 2 shards, not 3");
        assertThat(http.put("/api/streams/m", "{\"shards\":0}").status()).isEqualTo(400);
        assertThat(http.get("/api/streams/m").list("shards")).hasSize(2);
        assertThat(http.get("/api/streams/m/consumers/c/members").list("members"))
                .isEmpty();
        Disposable running =
                mill.streams().consumer("m", "c").consume(batch -> Mono.empty()).subscribe();
        Eventually.await(
                "a member",
                SOON,
                () -> http.get("/api/streams/m/consumers/c/members")
                                .list("members")
                                .size()
                        == 1);
        running.dispose();
    }

    @Test
    @DisplayName("T6 backfills are shown with how far each consumer is, and cancelled")
    void backfills() {
        http.put("/api/streams/b/consumers/c", "{}");
        mill.streams()
                .backfill("b", "spring")
                .feed(reactor.core.publisher.Flux.range(0, 10))
                .block(SOON);
        Map<?, ?> shown = (Map<?, ?>)
                http.get("/api/streams/b/backfills").list("backfills").get(0);
        assertThat(shown.get("fed")).isEqualTo(10);
        assertThat(shown.get("consumers")).isEqualTo(List.of(Map.of("consumer", "c", "handled", 0, "overtaken", 0)));
        assertThat(post("/api/streams/b/backfills/spring/cancel", "{}").field("changed"))
                .isEqualTo(true);
        assertThat(post("/api/streams/b/backfills/spring/cancel", "{}").field("changed"))
                .isEqualTo(false);
    }
}
