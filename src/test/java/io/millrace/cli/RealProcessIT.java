package io.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Event;
import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.json.Json;
import io.millrace.redis.RedisSettings;
import io.millrace.testing.Eventually;
import io.millrace.testing.JvmChild;
import io.millrace.testing.Namespace;
import io.millrace.testing.OwnRedis;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** Commands as processes of their own: what signals do, what is left when they end. */
@RedisTest
class RealProcessIT {

    private static final Duration START = Duration.ofSeconds(20);

    private static JvmChild serve(RedisServer redis, String namespace) {
        return JvmChild.of(Main.class)
                .args("--redis", redis.uri(), "--namespace", namespace, "serve", "--port", "0")
                .start();
    }

    private static String address(JvmChild child) {
        String line = child.awaitLine(text -> text.startsWith("{\"listening\""), START);
        return String.valueOf(((Map<?, ?>) Json.read(line)).get("listening"));
    }

    @Test
    void sigtermUnderLoadLosesNoEventThatWasAnsweredWith200(RedisServer redis, @Namespace String namespace)
            throws InterruptedException {
        Millrace mill = Millrace.connect(MillraceSettings.of(
                RedisSettings.builder(redis.uri()).namespace(namespace).build()));
        mill.queues().register("q", ".*").block();
        Set<String> acknowledged = ConcurrentHashMap.newKeySet();
        AtomicInteger ids = new AtomicInteger();
        ExecutorService callers = Executors.newFixedThreadPool(8);
        try (JvmChild child = serve(redis, namespace)) {
            String address = address(child);
            HttpClient client = HttpClient.newHttpClient();
            for (int i = 0; i < 8; i++) {
                callers.execute(() -> {
                    try {
                        while (true) {
                            String id = "id-" + ids.incrementAndGet();
                            HttpResponse<Void> answer = client.send(
                                    HttpRequest.newBuilder(URI.create(address + "/api/events"))
                                            .header("Content-Type", "application/json")
                                            .POST(HttpRequest.BodyPublishers.ofString(
                                                    "{\"environment\":\"e\",\"type\":\"t\","
                                                            + "\"name\":\"n\",\"id\":\"" + id + "\"}"))
                                            .build(),
                                    HttpResponse.BodyHandlers.discarding());
                            if (answer.statusCode() == 200) {
                                acknowledged.add(id);
                            }
                        }
                    } catch (Exception ended) {
                        // The server does not answer any more.
                    }
                });
            }
            Eventually.await(START, () -> acknowledged.size() > 500);
            child.terminate();
            assertThat(child.exitCode(Duration.ofSeconds(15))).isZero();
            assertThat(child.lines()).contains("stopped");
        } finally {
            callers.shutdown();
            assertThat(callers.awaitTermination(10, TimeUnit.SECONDS)).isTrue();
        }
        Set<String> stored = new HashSet<>(mill.queue("q")
                .pull(1_000_000)
                .map(message -> message.id())
                .collectList()
                .block());
        assertThat(stored).containsAll(acknowledged);
        mill.shutdown().block();
    }

    @Test
    void theSecondSigtermEndsAtOnce(RedisServer redis, @Namespace String namespace) throws Exception {
        try (JvmChild child = serve(redis, namespace)) {
            URI address = URI.create(address(child));
            // A request that does not end keeps the first one waiting.
            try (Socket stuck = new Socket(address.getHost(), address.getPort())) {
                stuck.getOutputStream()
                        .write(("POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
                                        + "Content-Length: 100\r\n\r\n{")
                                .getBytes(StandardCharsets.US_ASCII));
                stuck.getOutputStream().flush();
                HttpClient client = HttpClient.newHttpClient();
                Eventually.await(
                        START,
                        () -> client.send(
                                        HttpRequest.newBuilder(address.resolve("/metrics"))
                                                .build(),
                                        HttpResponse.BodyHandlers.ofString())
                                .body()
                                .contains("millrace_http_in_flight 2.0"));
                child.terminate();
                child.awaitLine(line -> line.startsWith("stopping"), START);
                child.terminate();
                assertThat(child.exitCode(Duration.ofSeconds(5))).isEqualTo(143);
            }
        }
    }

    @Test
    void listenShowsEventsUntilItHasSeenEnough(RedisServer redis, @Namespace String namespace) {
        try (JvmChild child = JvmChild.of(Main.class)
                .args("--redis", redis.uri(), "--namespace", namespace, "listen", "*:page:*", "--count", "1")
                .start()) {
            child.awaitLine(line -> line.equals("listening to *:page:*"), START);
            CommandLineIT.Result delivered = CommandLineIT.run(
                    Map.of("MILLRACE_REDIS", redis.uri()),
                    new byte[0],
                    "deliver",
                    "--namespace",
                    namespace,
                    "--environment",
                    "e",
                    "--type",
                    "page",
                    "--name",
                    "n",
                    "--id",
                    "x");
            assertThat(delivered.code()).isZero();
            String line = child.awaitLine(text -> text.startsWith("{"), START);
            assertThat(((Map<?, ?>) Json.read(line)).get("id")).isEqualTo("x");
            assertThat(child.exitCode(START)).isZero();
        }
    }

    @Test
    @DisplayName("listen says where events are missing, on standard error, and goes on")
    void listenTellsGaps() {
        try (OwnRedis redis = OwnRedis.start();
                Millrace mill = Millrace.connect(redis.uri());
                JvmChild child = JvmChild.of(Main.class)
                        .args("--redis", redis.uri(), "listen", "*", "--count", "2")
                        .start()) {
            child.awaitLine(line -> line.equals("listening to *"), START);
            mill.deliver(Event.of("e", "t", "before")).block();
            child.awaitLine(line -> line.startsWith("{"), START);
            mill.redis().call("CLIENT", "KILL", "TYPE", "pubsub").block();
            child.awaitLine(line -> line.equals("gap: the connection was away, events may be missing here"), START);
            child.awaitLine(line -> line.equals("listening to *"), START);
            mill.deliver(Event.of("e", "t", "after")).block();
            String line = child.awaitLine(text -> text.startsWith("{"), START);
            assertThat(((Map<?, ?>) Json.read(line)).get("name")).isEqualTo("after");
            assertThat(child.exitCode(START)).isZero();
        }
    }
}
