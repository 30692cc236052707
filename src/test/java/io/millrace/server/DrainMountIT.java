package io.millrace.server;

import static io.millrace.server.ServerRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.millrace.Millrace;
import io.millrace.drain.Drain;
import io.millrace.drain.DrainEvent;
import io.millrace.server.HttpTester.Answer;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Base64;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A drain in the server: reception, processing, metrics. */
@RedisTest
class DrainMountIT {

    private static final String TOKEN =
            "Basic " + Base64.getEncoder().encodeToString("demo:x".getBytes(StandardCharsets.UTF_8));

    private ServerRig rig;
    private Millrace mill;
    private Drain drain;
    private HttpTester http;

    @BeforeEach
    void start(RedisServer redis, @Namespace String namespace) {
        rig = ServerRig.on(
                redis.settings(namespace),
                ServerSettings.builder().token("0123456789abcdef").readTimeout(Duration.ofMillis(500)),
                connected -> {
                    drain = connected
                            .drain()
                            .mapping()
                            .tokens("demo")
                            .deliverToQueues(DrainEvent::topic)
                            .build();
                    return new DrainMount(drain, "/in/events");
                });
        mill = rig.mill;
        http = rig.http();
    }

    @AfterEach
    void stop() {
        rig.close();
    }

    private Answer post(String body) {
        return http.post("/in/events", HttpTester.JSON, body, "Authorization", TOKEN);
    }

    @Test
    void eventsAreReceivedProcessedAndCounted() {
        mill.queues().register("changes", ".*").block(SOON);
        String event = "[{\"topic\":\"widgets\",\"type\":\"update\",\"url\":\"https://x/1\",\"t\":1503000000000}]";
        assertThat(post(event).status()).isEqualTo(204);
        Eventually.await("dirty", SOON, () -> drain.dirtyMap().count().block(SOON) == 1);
        Eventually.await("queued", SOON, () -> mill.queue("changes").length().block(SOON) == 1);
        assertThat(mill.queue("changes").pull().block(SOON).event().topic()).isEqualTo("widgets:update:https://x/1");
        HttpResponse<byte[]> metrics =
                http.get("/metrics", "Authorization", "Bearer 0123456789abcdef").response();
        assertThat(new String(metrics.body(), StandardCharsets.UTF_8))
                .contains("millrace_dirty_urls 1.0")
                .contains("millrace_drain_stored ")
                .contains("millrace_drain_oldest_age_seconds ")
                .contains("route=\"/in/events\",status=\"204\"");
    }

    @Test
    void theDrainLetsInWhomItKnowsNotWhomTheServerKnows() {
        assertThat(http.post("/in/events", HttpTester.JSON, "[]").status()).isEqualTo(401);
        assertThat(http.post("/in/events", HttpTester.JSON, "[]", "Authorization", "Bearer 0123456789abcdef")
                        .status())
                .isEqualTo(401);
        assertThat(http.get("/in/events").status()).isEqualTo(405);
        assertThat(http.get("/in/events/1").status()).isEqualTo(404);
        assertThat(http.get("/api/queues", "Authorization", TOKEN).status()).isEqualTo(401);
        assertThat(post("{}").field("code")).isEqualTo("malformed_batch");
        assertThat(post("{}").status()).isEqualTo(400);
    }

    @Test
    void aHeadThatTricklesIsCut() {
        long begin = System.nanoTime();
        assertThat(http.raw("POST /in/events HTTP/1.1\r\nHost: x\r\nX-Slow: ")).doesNotContain("timed out");
        assertThat(Duration.ofNanos(System.nanoTime() - begin)).isLessThan(Duration.ofSeconds(4));
    }

    @Test
    void apathIsCheckedBeforeAnythingStarts() {
        for (String bad : new String[] {"", "/", "events", "/a/", "/a?b", "/{x}"}) {
            assertThatThrownBy(() -> new DrainMount(drain, bad)).hasMessageContaining("/events");
        }
    }
}
