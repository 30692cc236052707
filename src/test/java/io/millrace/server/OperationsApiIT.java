package io.millrace.server;

import static io.millrace.server.ServerRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.millrace.Event;
import io.millrace.Millrace;
import io.millrace.MillraceException;
import io.millrace.MillraceSettings;
import io.millrace.json.Json;
import io.millrace.redis.RedisSettings;
import io.millrace.server.HttpTester.Answer;
import io.millrace.testing.Eventually;
import io.millrace.testing.FaultProxy;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@RedisTest
class OperationsApiIT {

    private static final String EVENT =
            "{\"environment\":\"env-1\",\"type\":\"page\",\"name\":\"google\",\"id\":\"%s\"}";

    private ServerRig rig;
    private Millrace mill;
    private HttpTester http;

    @BeforeEach
    void start(RedisServer redis, @Namespace String namespace) {
        rig = ServerRig.on(redis, namespace);
        mill = rig.mill;
        http = rig.http();
    }

    private void serve(Millrace on, ServerSettings.Builder settings) {
        rig.serve(on, settings);
        http = rig.http();
    }

    @AfterEach
    void stop() {
        rig.close();
    }

    @Test
    void manyReceiptsAreAnsweredInTheirOrder() {
        http.put("/api/queues/q", "{\"pattern\":\".*\"}");
        for (int round = 0; round < 10; round++) {
            deliverMany("r" + round + "-", 700);
            List<String> receipts = new ArrayList<>();
            while (receipts.size() < 700) {
                http.post("/api/queues/q/pull", HttpTester.JSON, "{\"n\":256,\"lease\":\"30s\"}")
                        .list("messages")
                        .forEach(one -> receipts.add((String) ((Map<?, ?>) one).get("receipt")));
            }
            Answer acknowledged =
                    http.post("/api/queues/q/ack", HttpTester.JSON, Json.text(Map.of("receipts", receipts)));
            assertThat(acknowledged.list("refused")).isEmpty();
            assertThat(acknowledged.list("acknowledged")).isEqualTo(receipts);
        }
    }

    @Test
    void whatOnePartitionDoesNotGiveDoesNotLoseWhatOthersGave() {
        http.put("/api/queues/q", "{\"pattern\":\".*\",\"partitions\":4}");
        deliverMany("p", 40);
        String ring = mill.redis().keys().unitText("queue", "q", 2) + "ring";
        mill.redis().call("RENAME", ring, ring + "-kept").block(SOON);
        mill.redis().call("SET", ring, "broken").block(SOON);
        Set<String> ids = new HashSet<>(pulledIds());
        assertThat(ids).hasSizeBetween(1, 39);
        assertThat(http.post("/api/queues/q/pull", HttpTester.JSON, "{\"n\":100}")
                        .status())
                .isGreaterThanOrEqualTo(500);
        mill.redis().call("RENAME", ring + "-kept", ring).block(SOON);
        ids.addAll(pulledIds());
        assertThat(ids).hasSize(40);
    }

    private void deliverMany(String prefix, int count) {
        mill.queues()
                .deliverAll(IntStream.range(0, count)
                        .mapToObj(i -> Event.of("f" + i % 20, "t", "n").withId(prefix + i))
                        .toList())
                .block(SOON);
    }

    private List<String> pulledIds() {
        Answer pulled = http.post("/api/queues/q/pull", HttpTester.JSON, "{\"n\":100}");
        assertThat(pulled.status()).isEqualTo(200);
        return pulled.list("messages").stream()
                .map(one -> (String) ((Map<?, ?>) one).get("id"))
                .toList();
    }

    @Test
    void anEventGoesInAndComesOutUnderALease() {
        Answer registered = http.put("/api/queues/a%2Fb", "{\"pattern\":\".*:page:.*\"}");
        assertThat(registered.status()).isEqualTo(200);
        assertThat(registered.json()).isEqualTo(Map.of("queue", "a/b", "pattern", ".*:page:.*"));

        Answer delivered = http.post("/api/events", HttpTester.JSON, EVENT.formatted("id-1"));
        assertThat(delivered.status()).isEqualTo(200);
        assertThat(Json.text(delivered.json()))
                .isEqualTo("{\"delivered\":1,\"duplicates\":0,\"rejected\":[],"
                        + "\"events\":[{\"id\":\"id-1\",\"queues\":[\"a/b\"],\"duplicateIn\":[]}]}");
        assertThat(http.post("/api/events", HttpTester.JSON, EVENT.formatted("id-1"))
                        .field("duplicates"))
                .isEqualTo(1);

        Answer peeked = http.get("/api/queues/a%2Fb/peek?n=5");
        assertThat(keys(peeked.list("messages").get(0))).containsExactly("queue", "facet", "id", "attempt", "event");

        Answer pulled = http.post("/api/queues/a%2Fb/pull", HttpTester.JSON, "{\"n\":10,\"lease\":\"30s\"}");
        assertThat(pulled.list("messages")).hasSize(1);
        Map<?, ?> message = (Map<?, ?>) pulled.list("messages").get(0);
        assertThat(keys(message)).containsExactly("queue", "facet", "id", "attempt", "receipt", "event");
        assertThat(keys(message.get("event"))).containsExactly("environment", "type", "name", "id", "time");

        Answer shown = http.get("/api/queues/a%2Fb");
        assertThat(keys(shown.json()))
                .containsExactly("queue", "pattern", "waiting", "inFlight", "later", "facets", "deadLetters", "paused");
        assertThat(shown.field("inFlight")).isEqualTo(1);
        assertThat(keys(shown.list("facets").get(0)))
                .containsExactly("facet", "waiting", "inFlight", "later", "oldestAgeMs", "standing");

        String receipts = Json.text(Map.of("receipts", List.of(message.get("receipt"), "nonsense")));
        Answer acknowledged = http.post("/api/queues/a%2Fb/ack", HttpTester.JSON, receipts);
        assertThat(acknowledged.list("acknowledged")).isEqualTo(List.of(message.get("receipt")));
        assertThat(acknowledged.list("refused")).isEqualTo(List.of("nonsense"));

        Answer listed = http.get("/api/queues");
        assertThat(keys(listed.list("queues").get(0)))
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
        assertThat(http.post("/api/queues/a%2Fb/unregister", HttpTester.JSON, "")
                        .field("unregistered"))
                .isEqualTo(true);
        assertThat(http.delete("/api/queues/a%2Fb").field("code")).isEqualTo("not_confirmed");
        assertThat(http.delete("/api/queues/a%2Fb?confirm=a/b").field("removed"))
                .isEqualTo(0);
        assertThat(http.get("/api/queues/a%2Fb").field("code")).isEqualTo("unknown_queue");
    }

    @Test
    void pullWithoutALeaseTakesForGoodAndNeedsNoBody() {
        mill.queues().register("q", ".*").block();
        mill.deliver(Event.of("e", "t", "n")).block();
        Answer first = http.send(http.request("/api/queues/q/pull").POST(HttpRequest.BodyPublishers.noBody()));
        assertThat(first.list("messages")).hasSize(1);
        assertThat(keys(first.list("messages").get(0))).doesNotContain("receipt");
        Answer second = http.post("/api/queues/q/pull", HttpTester.JSON, "{}");
        assertThat(second.list("messages")).isEmpty();
    }

    @Test
    void tenThousandLinesAreDeliveredAndBadOnesAreListedByNumber() {
        mill.queues().register("q", ".*").block();
        String body = IntStream.rangeClosed(1, 10_000)
                .mapToObj(i -> i % 2_500 == 0 ? "bad" : EVENT.formatted("n" + i))
                .collect(Collectors.joining("\n"));
        Answer answer = http.post("/api/events", HttpTester.NDJSON, body);
        assertThat(answer.status()).isEqualTo(200);
        assertThat(answer.field("delivered")).isEqualTo(9_996);
        assertThat(answer.list("rejected"))
                .extracting(item -> ((Map<?, ?>) item).get("line"))
                .isEqualTo(List.of(2_500, 5_000, 7_500, 10_000));
        assertThat(mill.queue("q").length().block()).isEqualTo(9_996);
    }

    @Test
    void anArrayWithABadEventDeliversTheOthersAndSaysWhichWasBad() {
        Answer answer = http.post("/api/events", HttpTester.JSON, "[" + EVENT.formatted("x") + ",{\"type\":1},7]");
        assertThat(answer.status()).isEqualTo(200);
        assertThat(answer.field("delivered")).isEqualTo(1);
        assertThat(answer.list("rejected"))
                .extracting(item -> ((Map<?, ?>) item).get("line"))
                .isEqualTo(List.of(2, 3));
    }

    @Test
    void everyErrorIsAProblemWithAStableCode() {
        assertProblem(http.get("/nope"), 404, "not_found");
        Answer method = http.delete("/api/queues");
        assertProblem(method, 405, "method_not_allowed");
        assertThat(method.header("Allow")).isEqualTo("GET");
        assertProblem(http.post("/api/events", "text/plain", "x"), 415, "unsupported_media_type");
        assertProblem(
                http.post("/api/events", HttpTester.JSON, "x", "Content-Encoding", "gzip"),
                415,
                "unsupported_media_type");
        assertProblem(http.post("/api/events", HttpTester.JSON, "{"), 400, "malformed_event");
        assertProblem(http.post("/api/events", HttpTester.JSON, "{\"type\":\"t\"}"), 400, "malformed_event");
        assertProblem(http.put("/api/queues/q", "{\"pattern\":\"(\"}"), 400, "bad_request");
        assertProblem(http.put("/api/queues/q", "{\"patern\":\"x\"}"), 400, "bad_request");
        assertProblem(http.put("/api/queues/q", "{}"), 400, "bad_request");
        assertProblem(http.post("/api/queues/q/pull", HttpTester.JSON, "{\"n\":0}"), 400, "bad_request");
        assertProblem(http.post("/api/queues/q/pull", HttpTester.JSON, "{\"n\":257}"), 400, "bad_request");
        assertProblem(http.post("/api/queues/q/pull", HttpTester.JSON, "{\"lease\":\"x\"}"), 400, "bad_request");
        assertProblem(http.post("/api/queues/q/pull", HttpTester.JSON, "{\"lease\":\"1ms\"}"), 400, "bad_request");
        assertProblem(http.post("/api/queues/q/ack", HttpTester.JSON, "{\"receipts\":\"x\"}"), 400, "bad_request");
        assertProblem(http.get("/api/queues/q/peek?n=x"), 400, "bad_request");
        assertProblem(http.get("/api/listen"), 400, "bad_request");
        assertProblem(http.get("/api/queues/%25"), 404, "unknown_queue");
        assertThat(http.get("/nope").header("X-Content-Type-Options")).isEqualTo("nosniff");
        assertThat(http.get("/nope").header("Cache-Control")).isEqualTo("no-store");
    }

    @Test
    void aBodyThatIsTooLargeIsRefusedByItsLengthAndByCounting() {
        String head = "POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
        assertThat(http.raw(head + "Content-Length: 99999999\r\n\r\n{")).startsWith("HTTP/1.1 413");
        String chunk = "10000\r\n" + " ".repeat(0x10000) + "\r\n";
        assertThat(http.raw(head + "Transfer-Encoding: chunked\r\n\r\n" + chunk.repeat(17)))
                .startsWith("HTTP/1.1 413")
                .contains("connection: close");
    }

    @Test
    void anOverlongLineOfAStreamIsABadLine() {
        String body = EVENT.formatted("a") + "\n{\"x\":\"" + "y".repeat(2 << 20) + "\"}\n" + EVENT.formatted("b");
        Answer answer = http.post("/api/events", HttpTester.NDJSON, body);
        assertThat(answer.field("delivered")).isEqualTo(2);
        assertThat(String.valueOf(answer.list("rejected"))).contains("line=2", "longer than 1048576 bytes");
    }

    @Test
    void aBodyThatStallsIsARequestTimeout() {
        serve(mill, ServerSettings.builder().readTimeout(Duration.ofMillis(500)));
        String head = "POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: ";
        assertThat(http.raw(head + "application/json\r\nContent-Length: 100\r\n\r\n{"))
                .startsWith("HTTP/1.1 408");
        assertThat(http.raw(head + "application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"))
                .startsWith("HTTP/1.1 408");
    }

    @Test
    void longLinesAndHeadersAreRefused() {
        assertThat(http.raw("GET /" + "a".repeat(9_000) + " HTTP/1.1\r\nHost: localhost\r\n\r\n"))
                .startsWith("HTTP/1.1 414");
        assertThat(http.raw("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + "a".repeat(20_000) + "\r\n\r\n"))
                .startsWith("HTTP/1.1 431");
    }

    @Test
    void aWebPageCannotUseAServerWithoutToken() {
        assertThat(http.raw("GET /api/queues HTTP/1.1\r\nHost: rebound.example\r\n\r\n"))
                .startsWith("HTTP/1.1 403");
        assertThat(http.raw("GET /api/queues HTTP/1.1\r\n\r\n")).doesNotStartWith("HTTP/1.1 200");
        for (String host : List.of("localhost", "LOCALHOST:1", "127.0.0.1:80", "[::1]:8080")) {
            assertThat(http.raw("GET /api/queues HTTP/1.1\r\nHost: " + host + "\r\n\r\n"))
                    .as(host)
                    .startsWith("HTTP/1.1 200");
        }
        assertProblem(
                http.post("/api/events", HttpTester.JSON, EVENT.formatted("s"), "Sec-Fetch-Site", "cross-site"),
                403,
                "cross_site");
    }

    @Test
    void aTokenIsNeededForTheApiAndTheMetricsButNotForHealth() {
        String token = "0123456789abcdef-token";
        serve(mill, ServerSettings.builder().token(token));
        Answer without = http.get("/api/queues");
        assertProblem(without, 401, "token_required");
        assertThat(without.header("WWW-Authenticate")).startsWith("Bearer");
        assertProblem(http.get("/metrics"), 401, "token_required");
        assertProblem(http.get("/api/queues", "Authorization", "Bearer wrong"), 403, "token_refused");
        assertThat(http.get("/api/queues", "Authorization", "Bearer " + token).status())
                .isEqualTo(200);
        assertThat(http.get("/metrics", "Authorization", "bearer " + token).status())
                .isEqualTo(200);
        assertThat(http.get("/health/live").status()).isEqualTo(200);
        assertThat(http.get("/health/ready").status()).isEqualTo(200);
    }

    @Test
    void listeningElsewhereNeedsAToken() {
        assertThatThrownBy(() -> ServerSettings.builder().host("0.0.0.0").build())
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("--token-file");
        assertThat(ServerSettings.builder()
                        .host("0.0.0.0")
                        .token("0123456789abcdef")
                        .build())
                .hasToString("ServerSettings[0.0.0.0:8080, with token]");
        assertThatThrownBy(() -> ServerSettings.builder().token("short"))
                .isInstanceOf(IllegalArgumentException.class)
                .message()
                .doesNotContain("short");
    }

    @Test
    void aPortThatIsTakenIsSaid() {
        ServerSettings taken =
                ServerSettings.builder().port(rig.server().port()).build();
        assertThatThrownBy(() -> MillraceServer.start(mill, taken).block(SOON))
                .isInstanceOf(MillraceException.class)
                .hasMessageContaining(
                        "cannot listen on 127.0.0.1:" + rig.server().port());
    }

    @Test
    void listenersHearEventsAsServerSentEventsAndEndWithTheServer() throws Exception {
        BlockingQueue<String> lines = new LinkedBlockingQueue<>();
        CompletableFuture<HttpResponse<Void>> listening = http.client()
                .sendAsync(
                        http.request("/api/listen?pattern=*:page:*").build(),
                        HttpResponse.BodyHandlers.ofByteArrayConsumer(
                                piece -> piece.ifPresent(bytes -> new String(bytes, StandardCharsets.UTF_8)
                                        .lines()
                                        .forEach(lines::add))));
        assertThat(awaitLine(lines, "event:")).isEqualTo("event: listening");
        assertThat(Json.read(awaitLine(lines, "data:").substring(5))).isEqualTo(Map.of("pattern", "*:page:*"));
        mill.deliver(Event.of("e", "order", "not heard")).block();
        mill.deliver(Event.of("e", "page", "two\nlines")).block();
        assertThat(awaitLine(lines, "event:")).isEqualTo("event: event");
        assertThat(Json.read(awaitLine(lines, "data:").substring(5)))
                .asInstanceOf(org.assertj.core.api.InstanceOfAssertFactories.MAP)
                .containsEntry("name", "two\nlines");
        rig.server().stop().block(SOON);
        HttpResponse<Void> ended = listening.get(10, TimeUnit.SECONDS);
        assertThat(ended.statusCode()).isEqualTo(200);
        assertThat(ended.headers().firstValue("content-type")).hasValue("text/event-stream");
    }

    private static String awaitLine(BlockingQueue<String> lines, String start) throws InterruptedException {
        while (true) {
            String line = lines.poll(10, TimeUnit.SECONDS);
            assertThat(line).as("a line that starts with %s", start).isNotNull();
            if (line.startsWith(start)) {
                return line;
            }
        }
    }

    @Test
    void listenersAboveTheLimitAreRefused() throws Exception {
        serve(mill, ServerSettings.builder().maxListeners(0));
        Answer answer = http.get("/api/listen?pattern=*");
        assertProblem(answer, 503, "overloaded");
        assertThat(answer.header("Retry-After")).isEqualTo("1");
    }

    @Test
    void whileRedisIsAwayAnswersSaySoAtOnceAndAfterwardsAllIsWell(RedisServer redis, @Namespace String namespace) {
        try (FaultProxy proxy = FaultProxy.to(redis.uri());
                Millrace behind = Millrace.connect(MillraceSettings.of(
                        RedisSettings.builder(proxy.uri()).namespace(namespace).build()))) {
            serve(behind, ServerSettings.builder());
            assertThat(http.get("/health/ready").status()).isEqualTo(200);
            proxy.refuse();
            Eventually.await(SOON, () -> http.get("/health/ready").status() == 503);
            assertThat(http.get("/health/live").status()).isEqualTo(200);
            Answer away = http.post("/api/events", HttpTester.JSON, EVENT.formatted("away"));
            assertProblem(away, 503, "redis_unavailable");
            assertThat(away.field("retryable")).isEqualTo(true);
            assertThat(away.header("Retry-After")).isEqualTo("1");
            assertProblem(
                    http.post("/api/events", HttpTester.NDJSON, EVENT.formatted("away")), 503, "redis_unavailable");
            assertThat(http.get("/metrics").status()).isEqualTo(200);
            proxy.accept();
            Eventually.await(
                    SOON,
                    () -> http.post("/api/events", HttpTester.JSON, EVENT.formatted("back"))
                                    .status()
                            == 200);
            rig.server().stop().block(SOON);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {HttpTester.JSON, HttpTester.NDJSON})
    @DisplayName("what is wrong is told also if it quotes half of a surrogate pair, which no JSON can carry")
    void halfAPair(String type) {
        Answer answer = http.post("/api/events", type, new byte[] {(byte) 0xed, (byte) 0xab, (byte) 0x8f, 'x'});
        assertThat(answer.status()).isEqualTo(type.equals(HttpTester.JSON) ? 400 : 200);
        assertThat(answer.json().toString()).contains("Unexpected character ('?'");
    }

    @Test
    void noBodyMakesTheServerFail() {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        List<String> pieces = List.of(
                "{",
                "}",
                "[",
                "]",
                "\"environment\"",
                ":",
                ",",
                "\"a\"",
                "null",
                "1e999",
                "\u0000",
                "\\ud800",
                "\n",
                "\"type\":\"t\"",
                "\"name\":\"n\"",
                EVENT.formatted("f"),
                "\"id\":\"\"",
                "\"time\":-1",
                "é");
        for (int i = 0; i < 500; i++) {
            byte[] body;
            if (i % 3 == 0) {
                body = new byte[random.nextInt(300)];
                random.nextBytes(body);
            } else {
                body = IntStream.range(0, random.nextInt(12))
                        .mapToObj(n -> pieces.get(random.nextInt(pieces.size())))
                        .collect(Collectors.joining())
                        .getBytes(StandardCharsets.UTF_8);
            }
            Answer answer = http.post("/api/events", i % 2 == 0 ? HttpTester.JSON : HttpTester.NDJSON, body);
            assertThat(answer.status())
                    .as("seed %d, body %d: %s", seed, i, new String(body, StandardCharsets.ISO_8859_1))
                    .isIn(200, 400);
        }
    }

    @Test
    void metricsCountWithFewTagsAndShowRegisteredQueues() {
        mill.queues().register("counted", ".*").block();
        http.post("/api/events", HttpTester.JSON, EVENT.formatted("m"));
        String text = new String(http.get("/metrics").response().body(), StandardCharsets.UTF_8);
        assertThat(text)
                .contains("millrace_events_delivered_total 1.0")
                .contains("millrace_queue_waiting{queue=\"counted\"} 1.0")
                .contains("millrace_redis_up 1.0")
                .contains("route=\"/api/events\"")
                .doesNotContain("env-1");
    }

    @Test
    @SuppressWarnings("unchecked")
    void theOpenApiDocumentHasExactlyTheRoutesThereAre() {
        Answer answer = http.get("/openapi.json");
        assertThat(answer.field("openapi")).isEqualTo("3.1.0");
        Set<String> documented = new HashSet<>();
        Set<String> methods = Set.of("get", "put", "post", "delete", "patch", "head");
        ((Map<String, Map<String, Object>>) answer.field("paths"))
                .forEach((path, operations) -> operations.keySet().stream()
                        .filter(methods::contains)
                        .forEach(method -> documented.add(method.toUpperCase(java.util.Locale.ROOT) + " " + path)));
        Set<String> routed = rig.server().router().routes().stream()
                .map(route -> route.method() + " " + route.template())
                .collect(Collectors.toSet());
        assertThat(documented.remove("POST " + DrainMount.DEFAULT_PATH))
                .as("there with a drain only")
                .isTrue();
        assertThat(documented).isEqualTo(routed);
    }

    @Test
    void aRequestUnderWayFinishesWhenTheServerStops() throws IOException {
        byte[] body = (EVENT.formatted("late") + "\n").getBytes(StandardCharsets.UTF_8);
        BlockingQueue<Integer> gate = new LinkedBlockingQueue<>();
        CompletableFuture<HttpResponse<String>> answer = http.client()
                .sendAsync(
                        http.request("/api/events")
                                .header("Content-Type", HttpTester.NDJSON)
                                .POST(HttpRequest.BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(body) {
                                    @Override
                                    public synchronized int read(byte[] into, int from, int length) {
                                        int n = super.read(into, from, Math.min(length, 20));
                                        if (n > 0 && available() == 0) {
                                            await(gate);
                                        }
                                        return n;
                                    }
                                }))
                                .build(),
                        HttpResponse.BodyHandlers.ofString());
        Eventually.await(SOON, () -> inFlight() >= 1);
        CompletableFuture<Void> stopped = rig.server().stop().toFuture();
        gate.add(1);
        assertThat(answer.orTimeout(10, TimeUnit.SECONDS).join().body()).contains("\"delivered\":1");
        stopped.orTimeout(10, TimeUnit.SECONDS).join();
    }

    private long inFlight() {
        String text = new String(http.get("/metrics").response().body(), StandardCharsets.UTF_8);
        return text.lines()
                        .filter(line -> line.startsWith("millrace_http_in_flight "))
                        .mapToLong(line -> (long) Double.parseDouble(line.substring(line.indexOf(' '))))
                        .sum()
                - 1; // the scrape itself
    }

    private static void await(BlockingQueue<Integer> gate) {
        try {
            gate.poll(300, TimeUnit.MILLISECONDS); // shorter than the server's patience with a stalled body
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static void assertProblem(Answer answer, int status, String code) {
        assertThat(answer.status()).as("%s", answer.json()).isEqualTo(status);
        assertThat(answer.header("content-type")).isEqualTo("application/problem+json");
        assertThat(keys(answer.json()))
                .startsWith("type", "title", "status", "detail", "instance", "code", "retryable");
        assertThat(answer.field("code")).isEqualTo(code);
        assertThat(answer.field("type")).isEqualTo("urn:millrace:problem:" + code);
        assertThat(answer.field("status")).isEqualTo(status);
    }

    private static List<String> keys(Object object) {
        return ((Map<?, ?>) object).keySet().stream().map(String::valueOf).toList();
    }
}
