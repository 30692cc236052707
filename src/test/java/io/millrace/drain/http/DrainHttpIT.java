package io.millrace.drain.http;

import static io.millrace.drain.DrainRig.SOON;
import static io.millrace.drain.http.Sender.JSON;
import static io.millrace.drain.http.Sender.TOKEN;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import io.millrace.drain.Authentication;
import io.millrace.drain.Authentication.Outcome;
import io.millrace.drain.ChangeType;
import io.millrace.drain.Drain;
import io.millrace.drain.DrainBatch;
import io.millrace.drain.DrainEvent;
import io.millrace.drain.DrainRig;
import io.millrace.drain.DrainSettings;
import io.millrace.drain.http.Sender.Answer;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.OwnRedis;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.LoggerFactory;
import reactor.core.Disposable;
import reactor.netty.DisposableServer;
import reactor.netty.http.server.HttpServer;

/** The wire, word for word, and what must not get through it. */
@RedisTest
class DrainHttpIT {

    private static final String EVENT = "{\"topic\":\"widgets\",\"type\":\"update\",\"url\":\"https://x/%s\",\"t\":%d}";
    private static final String OLD_SECRET = "whsec_" + base64("o".repeat(32));
    private static final String NEW_SECRET = "whsec_" + base64("n".repeat(32));
    private static final DrainSettings SETTINGS = DrainSettings.builder()
            .maxBodyBytes(64 << 10)
            .bodyTimeout(Duration.ofMillis(700))
            .maxEvents(200)
            .build();

    private DrainRig rig;
    private Drain drain;
    private DisposableServer server;
    private Sender sender;
    private final List<Disposable> running = new ArrayList<>();
    private final Queue<DrainEvent> heard = new ConcurrentLinkedQueue<>();

    @BeforeEach
    void open(RedisServer redis, @Namespace String namespace) {
        rig = DrainRig.on(redis, namespace);
        serve(SETTINGS);
        running.add(drain.batches().map(DrainBatch::events).subscribe(heard::addAll));
    }

    private void serve(DrainSettings settings) {
        drain = rig.mill
                .drain()
                .tokens("other", "demo")
                .webhookSecrets(OLD_SECRET, NEW_SECRET)
                .settings(settings)
                .build();
        server = DrainServer.create(drain, "/events").bindNow();
        sender = new Sender(server.port());
    }

    @AfterEach
    void close() {
        running.forEach(Disposable::dispose);
        server.disposeNow();
        rig.close();
    }

    private static String base64(String text) {
        return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private DrainEvent awaitEvent() {
        Eventually.await("an event", SOON, () -> !heard.isEmpty());
        return heard.remove();
    }

    @Test
    @DisplayName("a batch as Routemaster sends it: 204, empty, and every part of it arrives")
    void routemaster() {
        Answer answer =
                sender.post("[{\"topic\":\"widgets\",\"type\":\"create\",\"url\":\"https://x/1\",\"t\":1503000000000,"
                        + "\"data\":{\"a\":[1,null]},\"unknown\":{\"b\":1}}," + EVENT.formatted("2", 5)
                        + ",{\"topic\":\"é\",\"type\":\"noop\",\"url\":\"u\\u00e9\",\"t\":1.5e3}]");
        assertThat(answer.status()).isEqualTo(204);
        assertThat(answer.body()).isEmpty();
        assertThat(answer.header("content-type")).isEmpty();
        DrainEvent first = awaitEvent();
        assertThat(first.topic()).isEqualTo("widgets");
        assertThat(first.type()).isEqualTo(ChangeType.CREATE);
        assertThat(first.url()).isEqualTo("https://x/1");
        assertThat(first.t()).isEqualTo(1_503_000_000_000L);
        assertThat(String.valueOf(first.data())).isEqualTo("{a=[1, null]}");
        assertThat(awaitEvent()).isEqualTo(new DrainEvent("widgets", ChangeType.UPDATE, "https://x/2", 5, null));
        assertThat(awaitEvent()).isEqualTo(new DrainEvent("é", ChangeType.NOOP, "ué", 1500, null));
        assertThat(sender.post("[]").status()).isEqualTo(204);
        assertThat(sender.post(" [ ] \n").status()).isEqualTo(204);
    }

    @Test
    @DisplayName("what is asked of a request comes in its order: path, method, sender, type, size, content")
    void order() {
        byte[] bad = bytes("x".repeat(70_000));
        assertThat(sender.send("GET", "/events/deeper", new byte[0]).status()).isEqualTo(404);
        assertThat(sender.send("GET", "/eventsandmore", new byte[0]).status()).isEqualTo(404);
        Answer get = sender.send("GET", "/events?a=b", new byte[0]);
        assertThat(get.status()).isEqualTo(405);
        assertThat(get.header("allow")).isEqualTo("POST");
        Answer nobody = sender.post("/events", bad, "Content-Type", "text/plain");
        assertThat(nobody.status()).isEqualTo(401);
        assertThat(nobody.header("www-authenticate")).startsWith("Basic realm=");
        String wrong = "Basic " + base64("nobody:x");
        assertThat(sender.post("/events", bad, "Authorization", wrong, "Content-Type", "text/plain")
                        .status())
                .isEqualTo(403);
        assertThat(sender.post("/events", bad, "Authorization", TOKEN, "Content-Type", "text/plain")
                        .status())
                .isEqualTo(415);
        assertThat(sender.post("/events", bad, "Authorization", TOKEN, "Content-Type", JSON)
                        .status())
                .isEqualTo(413);
        assertThat(sender.post("nonsense").status()).isEqualTo(400);
        Answer good = sender.post(
                "/events/", bytes("[]"), "Authorization", TOKEN, "Content-Type", "Application/JSON; charset=utf-8");
        assertThat(good.status()).isEqualTo(204);
    }

    @Test
    @Tag("X13")
    @Tag("X14")
    @DisplayName("X13 X14 nothing is decompressed: an encoded body is refused, however small it claims to be")
    void encoded() {
        for (String encoding : List.of("gzip", "br", "deflate", "zstd", "identity, gzip")) {
            Answer answer = sender.post(
                    "/events", bytes("[]"), "Authorization", TOKEN, "Content-Type", JSON, "Content-Encoding", encoding);
            assertThat(answer.status()).as(encoding).isEqualTo(415);
            assertThat(answer.detail()).contains("identity");
        }
        assertThat(sender.post(
                                "/events",
                                bytes("[]"),
                                "Authorization",
                                TOKEN,
                                "Content-Type",
                                JSON,
                                "Content-Encoding",
                                "Identity")
                        .status())
                .isEqualTo(204);
    }

    @Test
    @Tag("X18")
    @DisplayName("X18 neither tokens nor data nor what a URL carries get into the log, whatever goes wrong")
    void logs() {
        Logger logger = (Logger) LoggerFactory.getLogger("io.millrace.drain");
        Level before = logger.getLevel();
        ListAppender<ILoggingEvent> log = new ListAppender<>();
        log.start();
        logger.addAppender(log);
        logger.setLevel(Level.DEBUG);
        try {
            String event = "[{\"topic\":\"w\",\"type\":\"update\",\"url\":\"https://x/1?key=s3cr3t\",\"t\":1,"
                    + "\"data\":{\"name\":\"s3cr3t\"}}]";
            assertThat(sender.post(event).status()).isEqualTo(204);
            assertThat(awaitEvent().toString()).doesNotContain("s3cr3t");
            assertThat(sender.post(event.replace("]", "")).status()).isEqualTo(400);
            String wrong = "Basic " + base64("s3cr3t:x");
            assertThat(sender.post("/events", bytes(event), "Authorization", wrong, "Content-Type", JSON)
                            .status())
                    .isEqualTo(403);
            Disposable failing = drain.batches().subscribe(batch -> {
                throw new IllegalStateException("this listener fails");
            });
            assertThat(sender.post(event.replace(":1,", ":2,")).status()).isEqualTo(204);
            awaitEvent();
            Eventually.await("it has failed", SOON, failing::isDisposed);
            Eventually.await(
                    "it is told",
                    SOON,
                    () -> List.copyOf(log.list).stream()
                            .anyMatch(line -> line.getFormattedMessage().contains("attempt 1 of batch")));
        } finally {
            logger.detachAppender(log);
            logger.setLevel(before);
        }
        assertThat(List.copyOf(log.list).stream().map(ILoggingEvent::getFormattedMessage))
                .isNotEmpty()
                .noneMatch(line -> line.contains("s3cr3t") || line.contains(base64("s3cr3t:x")));
    }

    @Test
    @Tag("X1")
    @Tag("X2")
    @Tag("X3")
    @DisplayName(
            "X1 X2 X3 tokens are exact, schemes are required and spelled anyhow, outcomes are told without secrets")
    void tokens() {
        Queue<Authentication> outcomes = new ConcurrentLinkedQueue<>();
        running.add(drain.authentications().subscribe(outcomes::add));
        for (String no : List.of("", "d", "dem", "demo ", "demoo", "emo", "Demo", "de:mo", "*", "other,demo")) {
            String header = "Basic " + base64(no + ":x");
            assertThat(sender.post("/events", bytes("[]"), "Authorization", header, "Content-Type", JSON)
                            .status())
                    .as("token \"%s\"", no)
                    .isEqualTo(403);
        }
        assertThat(sender.post("/events", bytes("[]"), "Authorization", "Basic !!", "Content-Type", JSON)
                        .status())
                .isEqualTo(403);
        for (String no : List.of(base64("demo:x"), "Bearer demo", "Basic", "Digest " + base64("demo:x"), " ")) {
            assertThat(sender.post("/events", bytes("[]"), "Authorization", no, "Content-Type", JSON)
                            .status())
                    .as(no)
                    .isEqualTo(401);
        }
        for (String yes : List.of("basic ", "BASIC  ", "Basic ")) {
            for (String credentials : List.of("demo:x", "demo:", "demo", "demo:a:b", "other:x")) {
                assertThat(sender.post(
                                        "/events",
                                        bytes("[]"),
                                        "Authorization",
                                        yes + base64(credentials),
                                        "Content-Type",
                                        JSON)
                                .status())
                        .as(credentials)
                        .isEqualTo(204);
            }
        }
        Eventually.await("outcomes", SOON, () -> outcomes.size() == 31);
        assertThat(outcomes.stream().filter(one -> one.outcome() == Outcome.REFUSED))
                .hasSize(11);
        assertThat(outcomes.stream().filter(one -> one.outcome() == Outcome.MISSING))
                .hasSize(5);
        assertThat(outcomes.stream()
                        .filter(one -> one.outcome() == Outcome.ACCEPTED)
                        .map(Authentication::key))
                .containsOnly(0, 1);
        assertThat(outcomes.toString()).doesNotContain("demo").doesNotContain(base64("demo:x"));
        assertThatThrownBy(() -> rig.mill.drain().tokens("").build()).hasMessageContaining("must not be empty");
        assertThatThrownBy(() -> rig.mill.drain().webhookSecrets("whsec_aGk=").build())
                .hasMessageContaining("24 to 64")
                .hasMessageNotContaining("aGk");
        Drain closed = rig.mill.drain().build();
        assertThatThrownBy(() -> DrainServer.mount(closed, "/events")).hasMessageContaining("tokens(");
        assertThatThrownBy(() -> DrainServer.mount(drain, "events/")).hasMessageContaining("events/");
    }

    @ParameterizedTest(name = "D12 {0}")
    @Tag("D12")
    @ValueSource(
            strings = {
                "",
                " ",
                "null",
                "5",
                "\"x\"",
                "{}",
                "{\"a\":1}",
                "[1]",
                "[null]",
                "[[\"a\",1]]",
                "[[]]",
                "[{}]",
                "[",
                "[]x",
                "[] []",
                "nonsense",
                "[{\"topic\":\"a\",\"type\":\"update\",\"url\":\"u\"}]",
                "[{\"topic\":\"a\",\"type\":\"change\",\"url\":\"u\",\"t\":1}]",
                "[{\"topic\":1,\"type\":\"update\",\"url\":\"u\",\"t\":1}]",
                "[{\"topic\":\"a\",\"type\":\"update\",\"url\":\"\",\"t\":1}]",
                "[{\"topic\":\"a\",\"type\":\"update\",\"url\":\"u\\n\",\"t\":1}]",
                "[{\"topic\":\"a\",\"type\":\"update\",\"url\":\"\\ud800\",\"t\":1}]",
                "[{\"topic\":\"a\",\"type\":\"update\",\"url\":\"u\",\"t\":\"1\"}]",
                "[{\"topic\":\"a\",\"type\":\"update\",\"url\":\"u\",\"t\":-1}]",
                "[{\"topic\":\"a\",\"type\":\"update\",\"url\":\"u\",\"t\":1e400}]",
                "[{\"topic\":\"a\",\"type\":\"update\",\"url\":\"u\",\"t\":99999999999999999999999}]",
                "[{\"topic\":\"a\",\"type\":\"update\",\"url\":\"u\",\"t\":1,\"data\":[]}]",
                "[{\"topic\":\"a\",\"topic\":\"b\",\"type\":\"update\",\"url\":\"u\",\"t\":1}]",
                "[{\"topic\":\"a\",\"type\":\"update\",\"url\":\"u\",\"t\":1,\"data\":{\"x\":1,\"x\":2}}]",
                "[{\"topic\":\"a\",\"type\":\"update\",\"url\":\"u\",\"t\":253402300799999}]"
            })
    @DisplayName("D12 whatever is no batch gets 400 with the reason, and nothing of it is stored")
    void malformed(String body) {
        Answer answer = sender.post(body);
        assertThat(answer.status()).isEqualTo(400);
        assertThat(answer.detail()).isNotEmpty().isNotEqualTo("null");
        assertThat(answer.json().get("code")).isEqualTo("malformed_batch");
        assertThat(drain.state().block(SOON).stored()).isZero();
    }

    @Test
    @Tag("X15")
    @DisplayName("X15 deep, long and many: 400, as cheap as reading it")
    void bombs() {
        String deep = "[{\"topic\":\"a\",\"type\":\"update\",\"url\":\"u\",\"t\":1,\"data\":" + "{\"a\":".repeat(40)
                + "1" + "}".repeat(40) + "}]";
        assertThat(sender.post(deep).status()).isEqualTo(400);
        assertThat(sender.post("[".repeat(60_000)).status()).isEqualTo(400);
        String digits = EVENT.formatted("1", 1).replace("\"t\":1", "\"t\":" + "1".repeat(5_000));
        assertThat(sender.post("[" + digits + "]").status()).isEqualTo(400);
        String name = "[{\"topic\":\"a\",\"type\":\"update\",\"url\":\"u\",\"t\":1,\"" + "n".repeat(60_000) + "\":1}]";
        assertThat(sender.post(name).status()).isEqualTo(400);
        String url = EVENT.formatted("u".repeat(9_000), 1);
        assertThat(sender.post("[" + url + "]").status()).isEqualTo(400);
        StringBuilder many = new StringBuilder("[").append(EVENT.formatted("1", 1));
        for (int i = 0; i < 200; i++) {
            many.append(',').append(EVENT.formatted(i, 1));
        }
        Answer answer = sender.post(many.append(']').toString());
        assertThat(answer.status()).isEqualTo(400);
        assertThat(answer.detail()).contains("200 events");
    }

    @Test
    @DisplayName("fuzz: random and mutated bodies never get a 5xx, and what was accepted can be processed")
    void fuzz() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        String good =
                "[" + EVENT.formatted("1", 1) + ",{\"topic\":\"w\",\"type\":\"delete\",\"url\":\"\\u00e9\",\"t\":2.5,"
                        + "\"data\":{\"a\":[1,{\"b\":null}],\"c\":\"\uD83D\uDE80\"},\"x\":[true,false]}]";
        int accepted = 0;
        for (int i = 0; i < 400; i++) { // many more in NotificationsTest
            byte[] body = bytes(good);
            if (random.nextInt(10) == 0) {
                body = new byte[random.nextInt(300)];
                random.nextBytes(body);
            }
            for (int m = random.nextInt(4); m >= 0 && body.length > 0; m--) {
                int at = random.nextInt(body.length);
                switch (random.nextInt(4)) {
                    case 0 -> body[at] = (byte) random.nextInt(256);
                    case 1 -> body = java.util.Arrays.copyOf(body, at);
                    case 2 -> body[at] = (byte) "[]{}\",:0e-\\u".charAt(random.nextInt(12));
                    default -> {
                        byte[] doubled = new byte[body.length + 1];
                        System.arraycopy(body, 0, doubled, 0, at);
                        System.arraycopy(body, at, doubled, at + 1, body.length - at);
                        body = doubled;
                    }
                }
            }
            Answer answer = sender.post("/events", body, "Authorization", TOKEN, "Content-Type", JSON);
            assertThat(answer.status()).as("seed %d, step %d", seed, i).isIn(204, 400);
            accepted += answer.status() == 204 ? 1 : 0;
        }
        assertThat(accepted).isPositive();
        Eventually.await(
                "all accepted are processed",
                SOON,
                () -> drain.state().block(SOON).stored() == 0);
    }

    @Test
    @Tag("D17")
    @Tag("X14")
    @DisplayName("D17 X14 a body beyond the limit gets 413, said in advance or not, and the connection ends")
    void tooLarge() {
        HttpRequest.Builder chunked = HttpRequest.newBuilder(
                        URI.create("http://127.0.0.1:" + server.port() + "/events"))
                .headers("Authorization", TOKEN, "Content-Type", JSON)
                .timeout(SOON)
                .POST(BodyPublishers.ofInputStream(() -> new java.io.ByteArrayInputStream(new byte[66_000])));
        assertThat(sender.send(chunked).status()).isEqualTo(413);
        String head = "POST /events HTTP/1.1\r\nHost: x\r\nAuthorization: " + TOKEN
                + "\r\nContent-Type: application/json\r\nContent-Length: ";
        assertThat(sender.raw(head + "99999999999\r\n\r\n", 0))
                .startsWith("HTTP/1.1 413")
                .endsWith("(closed)");
        assertThat(sender.raw(head + "70000\r\nExpect: 100-continue\r\n\r\n", 0))
                .startsWith("HTTP/1.1 413")
                .endsWith("(closed)");
        assertThat(sender.raw(head + "-1\r\n\r\n", 0)).startsWith("HTTP/1.1 400");
        assertThat(sender.raw(head + "x\r\n\r\n", 0)).startsWith("HTTP/1.1 400");
    }

    @Test
    @Tag("X14")
    @DisplayName(
            "X14 slow senders are cut: no head, a slow head, no body, a body that trickles: 408 where there is a request")
    void slow() {
        String head = "POST /events HTTP/1.1\r\nHost: x\r\nAuthorization: " + TOKEN
                + "\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n[";
        assertThat(sender.raw(head, 0)).startsWith("HTTP/1.1 408").endsWith("(closed)");
        assertThat(sender.raw(head, 50)).startsWith("HTTP/1.1 408").doesNotEndWith("(open)");
        assertThat(sender.raw("POST /events HTTP/1.1\r\nHost: x\r\nX-Slow: ", 200))
                .doesNotEndWith("(open)");
        assertThat(sender.post("[]").status()).isEqualTo(204);
    }

    @Test
    @Tag("X14")
    @DisplayName("X14 a body that stalls is cut on any server, one without time limits of its own too")
    void slowOnAnyServer() {
        DisposableServer plain = HttpServer.create()
                .host("127.0.0.1")
                .port(0)
                .route(DrainServer.mount(drain, "/in/events"))
                .bindNow();
        try {
            Sender to = new Sender(plain.port());
            String head = "POST /in/events HTTP/1.1\r\nHost: x\r\nAuthorization: " + TOKEN
                    + "\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n[";
            assertThat(to.raw(head, 0)).startsWith("HTTP/1.1 408").endsWith("(closed)");
            assertThat(to.raw(head, 50)).startsWith("HTTP/1.1 408").doesNotEndWith("(open)");
            Answer good = to.post("/in/events", bytes("[]"), "Authorization", TOKEN, "Content-Type", JSON);
            assertThat(good.status()).isEqualTo(204);
            assertThat(to.post("/events", bytes("[]")).status()).isEqualTo(404);
        } finally {
            plain.disposeNow();
        }
    }

    @Test
    @DisplayName("Redis away: 503 at once with Retry-After, and 204 again once it is back")
    void redisAway() {
        try (OwnRedis redis = OwnRedis.start();
                DrainRig away = DrainRig.on(redis.uri(), "away")) {
            Drain own = away.mill.drain().tokens("demo").build();
            DisposableServer on = DrainServer.create(own, "/events").bindNow();
            try {
                Sender to = new Sender(on.port());
                assertThat(to.post("[" + EVENT.formatted("1", 1) + "]").status())
                        .isEqualTo(204);
                redis.kill9();
                Eventually.await("503", SOON, () -> {
                    long begin = System.nanoTime();
                    Answer answer = to.post("[" + EVENT.formatted("2", 1) + "]");
                    return answer.status() == 503
                            && answer.header("retry-after").equals("1")
                            && System.nanoTime() - begin
                                    < Duration.ofMillis(500).toNanos();
                });
                redis.restart();
                Eventually.await(
                        "204",
                        SOON,
                        () -> to.post("[" + EVENT.formatted("2", 1) + "]").status() == 204);
            } finally {
                on.disposeNow();
            }
        }
    }

    @Test
    @DisplayName(
            "memory full: 503, for what was not stored; requests beyond the mark get 503 before their body is read")
    void full() {
        server.disposeNow();
        running.forEach(Disposable::dispose);
        serve(SETTINGS.mutate().maxStored(2).build());
        assertThat(sender.post("[" + EVENT.formatted("1", 1) + "]").status()).isEqualTo(204);
        assertThat(sender.post("[" + EVENT.formatted("2", 1) + "]").status()).isEqualTo(204);
        Answer answer = sender.post("[" + EVENT.formatted("3", 1) + "]");
        assertThat(answer.status()).isEqualTo(503);
        assertThat(answer.header("retry-after")).isEqualTo("1");
        assertThat(answer.detail()).contains("maxStored");
        assertThat(sender.raw(
                        "POST /events HTTP/1.1\r\nHost: x\r\nAuthorization: " + TOKEN
                                + "\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n",
                        0))
                .startsWith("HTTP/1.1 503");
    }

    @Test
    @DisplayName(
            "as many requests as may be under way: the next one gets 503 at once, and 204 when there is room again")
    void inFlight() throws Exception {
        server.disposeNow();
        running.forEach(Disposable::dispose);
        serve(SETTINGS.mutate()
                .maxInFlight(1)
                .bodyTimeout(Duration.ofSeconds(3))
                .build());
        Thread stalled = new Thread(() -> {
            String answer = sender.raw(
                    "POST /events HTTP/1.1\r\nHost: x\r\nAuthorization: " + TOKEN
                            + "\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n[",
                    0);
            heard.add(new DrainEvent(answer, ChangeType.NOOP, "", 0, null));
        });
        stalled.start();
        Eventually.await("503", SOON, () -> {
            Answer answer = sender.post("[]");
            return answer.status() == 503
                    && answer.header("retry-after").equals("1")
                    && answer.detail().contains("1 requests");
        });
        Eventually.await("204", SOON, () -> sender.post("[]").status() == 204);
        stalled.join(SOON.toMillis());
        assertThat(awaitEvent().topic()).startsWith("HTTP/1.1 408");
    }

    @ParameterizedTest
    @CsvSource({
        "com.example.widget.created,create",
        "com.example.widget.deleted,delete",
        "com.example.widget.renamed,update",
        "com.example.widget.noop,noop"
    })
    @DisplayName("CloudEvents: binary and structured say the same, source and id make them one")
    void cloudEvents(String type, String change) {
        Answer binary = sender.post(
                "/events",
                bytes("{\"n\":1}"),
                "Authorization",
                TOKEN,
                "Content-Type",
                JSON,
                "ce-specversion",
                "1.0",
                "ce-id",
                "1",
                "ce-source",
                "https://x/w%C3%A9",
                "ce-subject",
                "7",
                "ce-type",
                type,
                "ce-time",
                "2026-01-01T00:00:00.5Z");
        assertThat(binary.status()).as(binary.body()).isEqualTo(204);
        DrainEvent event = awaitEvent();
        assertThat(event.topic()).isEqualTo("com.example.widget");
        assertThat(event.type().word()).isEqualTo(change);
        assertThat(event.url()).isEqualTo("https://x/wé/7");
        assertThat(event.time()).isEqualTo("2026-01-01T00:00:00.500Z");
        assertThat(event.data()).isEqualTo(Map.of("n", 1));
        String structured =
                "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"https://x/wé\",\"subject\":\"7\",\"type\":\""
                        + type + "\",\"time\":\"2026-01-01T01:00:00.5+01:00\",\"data\":{\"n\":1}}";
        String[] headers = {"Authorization", TOKEN, "Content-Type", "application/cloudevents+json; charset=utf-8"};
        assertThat(sender.post("/events", bytes(structured.formatted("1")), headers)
                        .status())
                .isEqualTo(204);
        assertThat(sender.post("/events", bytes(structured.formatted("2")), headers)
                        .status())
                .isEqualTo(204);
        assertThat(awaitEvent()).isEqualTo(event);
        assertThat(heard).isEmpty();
    }

    @Test
    @DisplayName("CloudEvents: batches, subjects that are URLs, and what is none")
    void cloudEventBatches() {
        String[] headers = {"Authorization", TOKEN, "Content-Type", "application/cloudevents-batch+json"};
        String one =
                "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\",\"subject\":\"https://x/1\",\"topic\":\"w\"}";
        assertThat(sender.post("/events", bytes("[" + one + "," + one + "]"), headers)
                        .status())
                .isEqualTo(204);
        assertThat(awaitEvent().url()).isEqualTo("https://x/1");
        assertThat(awaitEvent().topic()).isEqualTo("w");
        assertThat(sender.post("/events", bytes("[]"), headers).status()).isEqualTo(204);
        for (String bad : List.of(
                "{}",
                "[1]",
                "[{}]",
                "nonsense",
                "[" + one.replace("1.0", "0.3") + "]",
                "[" + one.replace("\"id\":\"1\",", "") + "]",
                "[" + one.replace("\"t\"", "5") + "]",
                "[" + one.replace("}", ",\"time\":\"yesterday\"}") + "]",
                "[" + one.replace("}", ",\"time\":\"9999-12-31T00:00:00Z\"}") + "]",
                "[" + one.replace("}", ",\"data\":[1]}") + "]")) {
            assertThat(sender.post("/events", bytes(bad), headers).status())
                    .as(bad)
                    .isEqualTo(400);
        }
        assertThat(sender.post(
                                "/events",
                                bytes("{}"),
                                "Authorization",
                                TOKEN,
                                "Content-Type",
                                "text/plain",
                                "ce-specversion",
                                "1.0")
                        .status())
                .isEqualTo(415);
    }

    private static String signature(String secret, String id, long timestamp, String body) {
        try {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(Base64.getDecoder().decode(secret.substring(6)), "HmacSHA256"));
            return "v1," + Base64.getEncoder().encodeToString(mac.doFinal(bytes(id + "." + timestamp + "." + body)));
        } catch (GeneralSecurityException e) {
            throw new AssertionError(e);
        }
    }

    private Answer signed(String id, long timestamp, String signature, String body) {
        return sender.post(
                "/events",
                bytes(body),
                "Content-Type",
                JSON,
                "webhook-id",
                id,
                "webhook-timestamp",
                String.valueOf(timestamp),
                "webhook-signature",
                signature);
    }

    @Test
    @Tag("X16")
    @DisplayName("X16 Standard Webhooks: signature, rotation of keys, five minutes, an id once")
    void webhooks() {
        long now = System.currentTimeMillis() / 1000;
        String body = "[" + EVENT.formatted("1", 1) + "]";
        assertThat(signed("msg_1", now, signature(NEW_SECRET, "msg_1", now, body), body)
                        .status())
                .isEqualTo(204);
        awaitEvent();
        String both = "v1,AAAA v1a,xx " + signature(OLD_SECRET, "msg_2", now, body);
        assertThat(signed("msg_2", now, both, body).status()).isEqualTo(204);
        assertThat(awaitEvent().url()).isEqualTo("https://x/1");
        // Replayed, under the signature of the other key too: known by its id.
        assertThat(signed("msg_2", now, both, body).status()).isEqualTo(204);
        assertThat(signed("msg_2", now, signature(NEW_SECRET, "msg_2", now, body), body)
                        .status())
                .isEqualTo(204);
        String event =
                "{\"type\":\"user.deleted\",\"timestamp\":\"2026-01-01T00:00:00Z\",\"data\":{\"url\":\"https://x/u\"}}";
        assertThat(signed("msg_3", now, signature(NEW_SECRET, "msg_3", now, event), event)
                        .status())
                .isEqualTo(204);
        DrainEvent user = awaitEvent();
        assertThat(user.topic()).isEqualTo("user");
        assertThat(user.type()).isEqualTo(ChangeType.DELETE);
        assertThat(heard).isEmpty();

        String stranger = "whsec_" + base64("s".repeat(32));
        assertThat(signed("m", now, signature(stranger, "m", now, body), body).status())
                .isEqualTo(403);
        assertThat(signed("m", now, signature(NEW_SECRET, "n", now, body), body).status())
                .isEqualTo(403);
        assertThat(signed("m", now, signature(NEW_SECRET, "m", now, body), body + " ")
                        .status())
                .isEqualTo(403);
        assertThat(signed("m", now, signature(NEW_SECRET, "m", now, body).substring(3), body)
                        .status())
                .isEqualTo(403);
        for (long other : new long[] {now - 301, now + 302, 0}) {
            assertThat(signed("m", other, signature(NEW_SECRET, "m", other, body), body)
                            .status())
                    .isEqualTo(403);
        }
        assertThat(signed("a.b", now, signature(NEW_SECRET, "a.b", now, body), body)
                        .status())
                .isEqualTo(403);
        assertThat(sender.post(
                                "/events",
                                bytes(body),
                                "Content-Type",
                                JSON,
                                "webhook-signature",
                                signature(NEW_SECRET, "m", now, body))
                        .status())
                .isEqualTo(401);
        assertThat(signed("m", now, signature(NEW_SECRET, "m", now, "{}"), "{}").status())
                .isEqualTo(400);
    }

    @Test
    @DisplayName("X16 an event far ahead of the clock is refused: nothing would pass the filter after it")
    @Tag("X16")
    void future() {
        long ahead = System.currentTimeMillis() + Duration.ofHours(2).toMillis();
        Answer answer = sender.post("[" + EVENT.formatted("1", ahead) + "]");
        assertThat(answer.status()).isEqualTo(400);
        assertThat(answer.detail()).contains("ahead of this server's clock");
    }
}
