package io.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.cli.CommandLineIT.Result;
import io.millrace.json.Json;
import io.millrace.testing.Eventually;
import io.millrace.testing.JvmChild;
import io.millrace.testing.RedisClusterFixture;
import io.millrace.testing.RedisSentinelFixture;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** Commands and server on a cluster, and through sentinels. */
class TopologiesIT {

    private static final Duration START = Duration.ofSeconds(30);

    @Test
    @DisplayName("a cluster: its seed list as the address")
    void cluster() throws Exception {
        try (RedisClusterFixture cluster = RedisClusterFixture.start(1)) {
            String address = cluster.uri().replaceFirst("^redis:", "redis-cluster:");
            commands(address);
            Result doctor = millrace(address, "", "doctor");
            assertThat(doctor.code()).as(doctor.err()).isBetween(0, 1);
            assertThat(doctor.out() + doctor.err())
                    .as("also when a replica answers")
                    .containsPattern("role\\W+cluster");
            serve(address);
        }
    }

    @Test
    @DisplayName("sentinels: theirs are the addresses")
    void sentinel() throws Exception {
        try (RedisSentinelFixture sentinel = RedisSentinelFixture.start()) {
            commands(sentinel.uri());
            Result doctor = millrace(sentinel.uri(), "", "doctor");
            assertThat(doctor.code()).as(doctor.err()).isBetween(0, 1);
            serve(sentinel.uri());
        }
    }

    private static Result millrace(String address, String input, String... args) {
        return CommandLineIT.run(Map.of("MILLRACE_REDIS", address), input.getBytes(StandardCharsets.UTF_8), args);
    }

    private static void commands(String address) {
        List<String> queues = IntStream.range(0, 6).mapToObj(i -> "q" + i).toList(); // spread over the masters
        for (String queue : queues) {
            Result registered = millrace(address, "", "queue", "register", queue, ".*");
            assertThat(registered.code()).as(registered.err()).isZero();
        }
        String event = "{\"environment\":\"%s\",\"type\":\"page\",\"name\":\"n\",\"id\":\"%s\"}%n";
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 300; i++) {
            lines.append(event.formatted("e" + i % 3, "i" + i));
        }
        Result delivered = millrace(address, lines.toString(), "deliver");
        assertThat(delivered.code()).as(delivered.err()).isZero();
        assertThat(delivered.out()).hasSize(300);
        Result listed = millrace(address, "", "queue", "list");
        assertThat(listed.out()).hasSize(6).allMatch(line -> line.contains("\"waiting\":300"));
        for (String queue : queues) {
            Result pulled = millrace(address, "", "queue", "pull", queue, "-n", "3", "--lease", "30s");
            assertThat(pulled.code()).isZero();
            assertThat(IntStream.range(0, 3)
                            .mapToObj(i -> String.valueOf(pulled.line(i).get("id"))))
                    .containsExactlyInAnyOrder("i0", "i1", "i2"); // one a facet; their order among each other is open
            String receipt = String.valueOf(pulled.line(0).get("receipt"));
            assertThat(millrace(address, "", "queue", "ack", queue, receipt).out())
                    .containsExactly("{\"receipt\":\"" + receipt + "\",\"acknowledged\":true}");
            Result shown = millrace(address, "", "queue", "show", queue);
            assertThat(shown.line(0).get("waiting")).isEqualTo(297);
            assertThat(shown.line(0).get("inFlight")).isEqualTo(2);
            assertThat(millrace(address, "", "queue", "peek", queue, "-n", "1")
                            .line(0)
                            .get("id"))
                    .isIn("i3", "i4", "i5");
            Result doctor = millrace(address, "", "queue", "doctor", queue);
            assertThat(doctor.line(0).get("healthy")).as(doctor.err()).isEqualTo(true);
            assertThat(millrace(address, "", "queue", "destroy", queue, "--yes").code())
                    .isZero();
        }
        assertThat(millrace(address, "", "queue", "list").out()).isEmpty();
    }

    private static void serve(String redis) throws Exception {
        try (JvmChild child = JvmChild.of(Main.class)
                .args("--redis", redis, "serve", "--port", "0")
                .start()) {
            String line = child.awaitLine(text -> text.startsWith("{\"listening\""), START);
            URI address = URI.create(String.valueOf(((Map<?, ?>) Json.read(line)).get("listening")));
            HttpClient http = HttpClient.newHttpClient();
            HttpResponse<String> registered = http.send(
                    request(address.resolve("/api/queues/s"), "PUT", "{\"pattern\":\".*\"}"), BodyHandlers.ofString());
            assertThat(registered.statusCode())
                    .as("%s %s", registered.body(), child.lines())
                    .isBetween(200, 201);
            for (int i = 0; i < 5; i++) {
                assertThat(send(
                                http,
                                address.resolve("/api/events"),
                                "POST",
                                "{\"environment\":\"e\",\"type\":\"t\",\"name\":\"n\",\"id\":\"s" + i + "\"}"))
                        .isEqualTo(200);
            }
            String pulled = http.send(
                            request(address.resolve("/api/queues/s/pull"), "POST", "{\"n\":5,\"lease\":\"30s\"}"),
                            BodyHandlers.ofString())
                    .body();
            assertThat(pulled).contains("\"s0\"", "\"s4\"", "receipt");
            Eventually.await(
                    "readiness",
                    START,
                    () -> http.send(
                                            HttpRequest.newBuilder(address.resolve("/health/ready"))
                                                    .build(),
                                            BodyHandlers.discarding())
                                    .statusCode()
                            == 200);
            child.terminate();
            assertThat(child.exitCode(START)).isZero();
        }
    }

    private static HttpRequest request(URI uri, String method, String body) {
        return HttpRequest.newBuilder(uri)
                .header("Content-Type", "application/json")
                .method(method, HttpRequest.BodyPublishers.ofString(body))
                .build();
    }

    private static int send(HttpClient http, URI uri, String method, String body) throws Exception {
        return http.send(request(uri, method, body), BodyHandlers.discarding()).statusCode();
    }
}
