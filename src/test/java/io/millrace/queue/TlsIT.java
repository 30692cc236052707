package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.millrace.MillraceException;
import io.millrace.RedisRefusedException;
import io.millrace.cli.Main;
import io.millrace.redis.RedisSettings;
import io.millrace.testing.Eventually;
import io.millrace.testing.JvmChild;
import io.millrace.testing.RedisSentinelFixture;
import io.millrace.testing.TlsKeys;
import io.millrace.testing.TlsRedis;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;
import reactor.util.retry.Retry;

/** Everything through TLS: who is trusted, who is not, and what is said then. */
class TlsIT {

    @TempDir
    private static Path folder;

    private static TlsKeys keys;
    private static TlsRedis redis;

    @BeforeAll
    static void start() {
        keys = TlsKeys.make(
                folder,
                Map.of(
                        "server", "ip:127.0.0.1,dns:localhost",
                        "stranger", "dns:redis.example",
                        "client", "dns:millrace"));
        redis = TlsRedis.start(keys, "server", folder, "--tls-auth-clients", "no");
    }

    @AfterAll
    static void stop() {
        redis.close();
    }

    private static QueueRig joining(String address) {
        return QueueRig.joining(RedisSettings.of(address), QueueSettings.defaults());
    }

    private static RedisRefusedException refused(QueueRig rig) {
        return catchThrowableOfType(RedisRefusedException.class, () -> rig.deliver("a", "1"));
    }

    @Test
    @DisplayName(
            "a CA nobody named is refused, by every kind of connection; the error tells how to name it, and no secret")
    void unknownCa() {
        try (QueueRig rig = joining("rediss://user:hunter2@" + redis.address())) {
            RedisRefusedException error = refused(rig);
            assertThat(error.code()).isEqualTo("TLS");
            assertThat(error.retryable()).isFalse();
            assertThat(error).hasMessageContaining("cacert=FILE").hasMessageContaining("caCertificate");
            StringWriter all = new StringWriter();
            error.printStackTrace(new PrintWriter(all));
            assertThat(all.toString()).doesNotContain("hunter2");
            assertThat(catchThrowableOfType(
                                    RedisRefusedException.class,
                                    () -> rig.mill.listen("*").blockFirst(SOON))
                            .code())
                    .isEqualTo("TLS");
            assertThat(catchThrowableOfType(
                                    RedisRefusedException.class,
                                    () -> rig.mill
                                            .redis()
                                            .dedicated(Duration.ofSeconds(1))
                                            .block(SOON))
                            .code())
                    .isEqualTo("TLS");
            assertThat(catchThrowableOfType(
                                    RedisRefusedException.class,
                                    () -> rig.queue
                                            .consume(message -> Mono.empty())
                                            .block(SOON))
                            .code())
                    .isEqualTo("TLS");
        }
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource({"127.0.0.1", "localhost"})
    @DisplayName("with the CA named, commands, wake-ups, listening and blocking reads work; also after a restart")
    void trusted(String host) {
        String address = "rediss://" + redis.address().replace("127.0.0.1", host);
        RedisSettings settings = RedisSettings.builder(address)
                .namespace("tls-" + host)
                .caCertificate(keys.ca())
                .build();
        try (QueueRig rig = QueueRig.on(settings, QueueSettings.defaults())) {
            everythingWorks(rig, "1");
            redis.restart(); // keeps nothing
            Mono.defer(() -> rig.mill.queues().register("q", ".*"))
                    .retryWhen(Retry.fixedDelay(100, Duration.ofMillis(20)))
                    .block(SOON);
            everythingWorks(rig, "1");
        }
    }

    private static void everythingWorks(QueueRig rig, String id) {
        Queue<String> got = new ConcurrentLinkedQueue<>();
        Queue<String> heard = new ConcurrentLinkedQueue<>();
        LeaseOptions rarely = LONG.mutate().pollInterval(Duration.ofMinutes(1)).build();
        Disposable consumer = rig.queue
                .consume(
                        message -> Mono.fromRunnable(() -> got.add(message.id())),
                        ConsumeOptions.builder().lease(rarely).build())
                .subscribe();
        Disposable listener = rig.mill.listen("*").subscribe(event -> heard.add(event.id()));
        Eventually.await("listening", SOON, () -> {
            rig.deliver("a", "warm" + System.nanoTime());
            return !heard.isEmpty();
        });
        rig.mill.deliver(event("a", id).withData("x".repeat(100_000))).block(SOON);
        Eventually.await("both", SOON, () -> got.contains(id) && heard.contains(id));
        consumer.dispose();
        listener.dispose();
        Object read = rig.mill
                .redis()
                .dedicated(Duration.ofSeconds(1))
                .flatMap(reader -> reader.call("XREAD", "BLOCK", 50, "STREAMS", rig.key("none"), "$")
                        .defaultIfEmpty("nothing")
                        .flatMap(answer -> reader.close().thenReturn(answer)))
                .block(SOON);
        assertThat(read).isEqualTo("nothing");
    }

    @Test
    @DisplayName("a certificate for another host is refused, unless the address says that the name does not matter")
    void wrongHost() {
        try (TlsRedis other = TlsRedis.start(keys, "stranger", folder, "--tls-auth-clients", "no")) {
            String address = "rediss://" + other.address() + "?cacert=" + keys.ca();
            try (QueueRig rig = joining(address)) {
                assertThat(refused(rig))
                        .hasMessageContaining("not for this host")
                        .hasMessageContaining("127.0.0.1");
            }
            try (QueueRig rig = joining(address + "&verifyPeer=CA")) {
                assertThat(rig.raw("PING").text(0)).isEqualTo("PONG");
            }
        }
    }

    @Test
    @DisplayName("a server that asks for a certificate gets it; without one the error tells how to give it")
    void clientCertificate() {
        try (TlsRedis asking = TlsRedis.start(keys, "server", folder)) {
            String address = "rediss://" + asking.address() + "?cacert=" + keys.ca();
            try (QueueRig rig = joining(address)) {
                assertThat(refused(rig)).hasMessageContaining("cert=FILE&key=FILE");
            }
            try (QueueRig rig =
                    joining(address + "&cert=" + keys.certificate("client") + "&key=" + keys.key("client"))) {
                assertThat(rig.raw("PING").text(0)).isEqualTo("PONG");
            }
        }
    }

    @Test
    @Tag("F26")
    @DisplayName("F26 a CA and a certificate are renewed while connected: the next connection uses them, by itself")
    void renewed(@TempDir Path renewals) throws IOException {
        Path next = Files.createDirectory(renewals.resolve("next"));
        TlsKeys now = TlsKeys.make(renewals, Map.of("server", "ip:127.0.0.1"));
        TlsKeys later = TlsKeys.make(next, Map.of("server", "ip:127.0.0.1"));
        try (TlsRedis server = TlsRedis.start(now, "server", renewals, "--tls-auth-clients", "no");
                QueueRig rig = joining("rediss://" + server.address() + "?cacert=" + now.ca())) {
            assertThat(rig.raw("PING").text(0)).isEqualTo("PONG");
            for (String name : List.of("ca.crt", "server.crt", "server.key")) {
                Files.copy(next.resolve(name), renewals.resolve(name), StandardCopyOption.REPLACE_EXISTING);
            }
            assertThat(later.ca()).hasSameTextualContentAs(now.ca());
            server.restart();
            Eventually.await(
                    "the connection", SOON, () -> rig.raw("PING").text(0).equals("PONG"));
        }
    }

    @Test
    @DisplayName("TLS to a port without, and no TLS to a port with it: an error at once, not a hang")
    void mixedUp() {
        try (QueueRig rig = joining("rediss://" + redis.plainAddress() + "?cacert=" + keys.ca())) {
            assertThat(catchThrowableOfType(MillraceException.class, () -> rig.deliver("a", "1")))
                    .hasMessageContaining("redis://");
        }
        try (QueueRig rig = joining("redis://" + redis.address())) {
            assertThat(catchThrowableOfType(MillraceException.class, () -> rig.deliver("a", "1")))
                    .hasMessageContaining("rediss://");
        }
    }

    @Test
    @Tag("F5")
    @DisplayName("F5 sentinels through TLS: them, the master they name, and the one they promote; commands too")
    void sentinel() throws Exception {
        try (RedisSentinelFixture sentinel = RedisSentinelFixture.startTls(keys, "server")) {
            String address = sentinel.uri().replace("#", "?cacert=" + keys.ca() + "#");
            try (QueueRig rig = QueueRig.on(RedisSettings.of(address), QueueSettings.defaults())) {
                everythingWorks(rig, "before");
                try (JvmChild command = JvmChild.of(Main.class)
                        .args("--redis", address, "queue", "list")
                        .start()) {
                    assertThat(command.exitCode(Duration.ofSeconds(30)))
                            .as("%s", command.lines())
                            .isZero();
                }
                sentinel.firstMaster().kill9();
                Eventually.await("the promotion", Duration.ofSeconds(20), sentinel::isPromoted);
                Mono.defer(() -> rig.mill.deliver(event("a", "between")))
                        .retryWhen(Retry.fixedDelay(100, Duration.ofMillis(20)))
                        .block(SOON);
                everythingWorks(rig, "after");
            }
        }
    }

    @Test
    @DisplayName("a cluster through TLS: seeds, nodes it names itself, wake-ups")
    void cluster() {
        try (TlsRedis node = TlsRedis.startCluster(keys, "server", folder, "--tls-auth-clients", "no");
                QueueRig rig = QueueRig.on(
                        RedisSettings.of("rediss-cluster://" + node.address() + "?cacert=" + keys.ca()),
                        QueueSettings.defaults())) {
            everythingWorks(rig, "1");
        }
    }
}
