package io.millrace.server;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.redis.RedisSettings;
import io.millrace.server.HttpTester.Answer;
import io.millrace.stream.ConsumerOptions;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
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

    private static final Duration SOON = Duration.ofSeconds(10);

    private Millrace mill;
    private MillraceServer server;
    private HttpTester http;

    @BeforeEach
    void start(RedisServer redis, @Namespace String namespace) {
        mill = Millrace.connect(MillraceSettings.of(
                RedisSettings.builder(redis.uri()).namespace(namespace).build()));
        server = MillraceServer.start(mill, ServerSettings.builder().port(0).build())
                .block(SOON);
        http = new HttpTester(server.port());
    }

    @AfterEach
    void stop() {
        server.stop().block(SOON);
        mill.shutdown().block(SOON);
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
        assertThat(metrics()).contains("millrace_stream_lag{consumer=\"c\",shard=\"0\",stream=\"a/b\"} 3.0");
        assertThat(post("/api/streams/a%2Fb/consumers/c/seek", "{\"to\":\"end\"}")
                        .field("offset"))
                .isEqualTo(ids.get(2));
        assertThat(post("/api/streams/a%2Fb/trim", "{}").field("removed")).isEqualTo(3);
        assertThat(post("/api/streams/a%2Fb/consumers/c/pause", "{}").field("changed"))
                .isEqualTo(true);
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
