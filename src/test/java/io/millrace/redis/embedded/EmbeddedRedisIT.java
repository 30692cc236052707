package io.millrace.redis.embedded;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.lettuce.core.RedisClient;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.api.sync.RedisCommands;
import io.millrace.redis.embedded.EmbeddedRedisException.Reason;
import io.millrace.testing.Eventually;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;

class EmbeddedRedisIT {

    private static final Duration SOON = Duration.ofSeconds(20);

    @TempDir
    Path temp;

    @Test
    void answersAsSoonAsItIsThereAndEndsWhenClosed() {
        EmbeddedRedis redis = EmbeddedRedis.builder().startNow();
        String pong = ask(redis, RedisCommands::ping);
        String evicts =
                ask(redis, commands -> commands.configGet("maxmemory-policy").get("maxmemory-policy"));
        long pid = redis.pid();
        redis.close();
        redis.close();

        assertThat(pong).isEqualTo("PONG");
        assertThat(evicts).isEqualTo("noeviction");
        assertThat(ProcessHandle.of(pid)).isEmpty();
    }

    @Test
    void startsAndStopsOnBoundedElasticThreadsOnly() {
        AtomicReference<String> thread = new AtomicReference<>("");
        Mono<EmbeddedRedis> start = EmbeddedRedis.builder()
                .start()
                .doOnNext(redis -> thread.set(Thread.currentThread().getName()));

        StepVerifier.create(start.flatMap(redis -> redis.stop().thenReturn(redis)))
                .assertNext(redis -> assertThat(redis.process().isAlive()).isFalse())
                .expectComplete()
                .verify(SOON);
        assertThat(thread.get()).startsWith("boundedElastic");
    }

    @Test
    void mayBeStartedFromAThreadThatMustNotBlock() {
        StepVerifier.create(Mono.defer(() -> EmbeddedRedis.builder().start())
                        .subscribeOn(Schedulers.parallel())
                        .flatMap(EmbeddedRedis::stop))
                .expectComplete()
                .verify(SOON);
    }

    @Test
    void aStartThatIsCancelledLeavesNoServer() throws IOException {
        Path data = temp.resolve("data");
        Disposable starting = EmbeddedRedis.builder().dataDir(data).start().subscribe();
        Path log = data.resolve("redis.log");
        Eventually.await("the server process", SOON, () -> Files.exists(log));
        starting.dispose();

        // The folder is unlocked once the server has ended, so it can be used again.
        AtomicReference<EmbeddedRedis> next = new AtomicReference<>();
        Eventually.await("the folder to be free", SOON, () -> {
            next.set(EmbeddedRedis.builder().dataDir(data).startNow());
            return true;
        });
        long ours = next.get().pid();
        next.get().close();
        Set<String> started = Set.copyOf(Files.readAllLines(log).stream()
                .filter(line -> line.contains("just started"))
                .toList());
        assertThat(started).anyMatch(line -> line.contains("pid=" + ours));
        assertThat(started.stream().map(line -> line.replaceAll(".*pid=(\\d+).*", "$1")))
                .allSatisfy(
                        pid -> assertThat(ProcessHandle.of(Long.parseLong(pid))).isEmpty());
    }

    @Test
    void listensOnLoopbackOnly() throws IOException {
        try (EmbeddedRedis redis = EmbeddedRedis.builder().startNow()) {
            List<InetAddress> others = NetworkInterface.networkInterfaces()
                    .flatMap(NetworkInterface::inetAddresses)
                    .filter(address -> !address.isLoopbackAddress())
                    .toList();
            assertThat(others)
                    .allSatisfy(address -> assertThatExceptionOfType(IOException.class)
                            .isThrownBy(() -> connect(address, redis.port())));
            connect(InetAddress.getByAddress(new byte[] {127, 0, 0, 1}), redis.port());

            assertThat(ask(redis, commands -> commands.configGet("bind").get("bind")))
                    .isEqualTo("127.0.0.1");
            assertThat(ask(
                            redis,
                            commands -> commands.configGet("protected-mode").get("protected-mode")))
                    .isEqualTo("yes");
        }
    }

    @Test
    void dataSurvivesKill9AndRestartOnTheSamePort() {
        try (EmbeddedRedis redis =
                EmbeddedRedis.builder().dataDir(temp.resolve("data")).startNow()) {
            String uri = redis.uri();
            long before = redis.pid();
            ask(redis, commands -> commands.set("written", "before"));
            redis.process().kill9();
            assertThat(ProcessHandle.of(before)).isEmpty();
            redis.process().restart();

            assertThat(redis.uri()).isEqualTo(uri);
            assertThat(redis.pid()).isNotEqualTo(before);
            assertThat(ask(redis, commands -> commands.get("written"))).isEqualTo("before");
        }
    }

    @Test
    void dataSurvivesCloseAndANewStart() {
        EmbeddedRedis.Builder builder = EmbeddedRedis.builder().dataDir(temp.resolve("data"));
        try (EmbeddedRedis first = builder.startNow()) {
            ask(first, commands -> commands.set("written", "before"));
        }
        try (EmbeddedRedis second = builder.startNow()) {
            assertThat(ask(second, commands -> commands.get("written"))).isEqualTo("before");
        }
        assertThat(temp.resolve("data")).exists();
    }

    @Test
    void withoutADataFolderNothingIsKeptAndNothingIsLeft() {
        EmbeddedRedis redis = EmbeddedRedis.builder().startNow();
        Path folder = redis.log().getParent();
        ask(redis, commands -> commands.set("written", "before"));
        redis.process().restart();
        String found = ask(redis, commands -> commands.get("written"));
        assertThat(folder).isDirectory();
        redis.close();

        assertThat(found).isNull();
        assertThat(folder).doesNotExist();
    }

    @Test
    void twoServersCannotShareADataFolder() {
        EmbeddedRedis.Builder builder = EmbeddedRedis.builder().dataDir(temp.resolve("data"));
        try (EmbeddedRedis first = builder.startNow()) {
            assertThatExceptionOfType(EmbeddedRedisException.class)
                    .isThrownBy(builder::startNow)
                    .withMessageContaining("in use by another embedded Redis")
                    .satisfies(e -> assertThat(e.reason()).isEqualTo(Reason.DATA_IN_USE));
            assertThat(ask(first, RedisCommands::ping)).isEqualTo("PONG");
        }
    }

    @Test
    void aPausedServerDoesNotAnswerAndAResumedOneDoes() {
        try (EmbeddedRedis redis = EmbeddedRedis.builder().startNow()) {
            redis.process().pause();
            assertThat(new ReadyCheck(redis.port(), redis.pid()).passes()).isFalse();
            redis.process().resume();
            assertThat(new ReadyCheck(redis.port(), redis.pid()).passes()).isTrue();
            redis.process().pause();
        }
    }

    @Test
    void aTakenPortIsNamed() throws IOException {
        try (ServerSocket taken = new ServerSocket()) {
            taken.bind(RedisProcess.address(RedisProcess.freePort()));
            assertThatExceptionOfType(EmbeddedRedisException.class)
                    .isThrownBy(() ->
                            EmbeddedRedis.builder().port(taken.getLocalPort()).startNow())
                    .withMessageContaining("Port " + taken.getLocalPort() + " of 127.0.0.1 is in use")
                    .satisfies(e -> assertThat(e.reason()).isEqualTo(Reason.PORT_TAKEN));
        }
    }

    @Test
    void anotherServerOnThePortIsNotMistakenForOurs() {
        try (EmbeddedRedis other = EmbeddedRedis.builder().startNow()) {
            assertThatExceptionOfType(EmbeddedRedisException.class)
                    .isThrownBy(() -> EmbeddedRedis.builder().port(other.port()).startNow())
                    .satisfies(e -> assertThat(e.reason()).isEqualTo(Reason.PORT_TAKEN));
            assertThat(new ReadyCheck(other.port(), other.pid() + 1).passes()).isFalse();
        }
    }

    @Test
    void aSettingThatRedisDoesNotKnowIsShownWithTheLog() {
        assertThatExceptionOfType(EmbeddedRedisException.class)
                .isThrownBy(() ->
                        EmbeddedRedis.builder().arg("no-such-setting", "1").startNow())
                .withMessageContaining("no-such-setting")
                .satisfies(e -> assertThat(e.reason()).isEqualTo(Reason.DIED));
    }

    @Test
    void settingsOfTheUserWinButNotThoseTheLauncherDependsOn() {
        try (EmbeddedRedis redis = EmbeddedRedis.builder()
                .arg("maxmemory", "64mb")
                .arg("maxmemory-policy", "allkeys-lru")
                .startNow()) {
            assertThat(ask(redis, commands -> commands.configGet("maxmemory").get("maxmemory")))
                    .isEqualTo("67108864");
            assertThat(ask(
                            redis,
                            commands -> commands.configGet("maxmemory-policy").get("maxmemory-policy")))
                    .isEqualTo("allkeys-lru");
        }
        assertThatIllegalArgumentException()
                .isThrownBy(() -> EmbeddedRedis.builder().arg("bind", "0.0.0.0"));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> EmbeddedRedis.builder().arg("--maxmemory", "1mb"));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> EmbeddedRedis.builder().port(65536));
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    void aSignalToOurProcessGroupDoesNotReachTheServer() throws IOException {
        try (EmbeddedRedis redis = EmbeddedRedis.builder().startNow()) {
            assertThat(processGroup(redis.pid()))
                    .isEqualTo(redis.pid())
                    .isNotEqualTo(processGroup(ProcessHandle.current().pid()));
        }
    }

    @Test
    void manyStartAtTheSameTime() {
        StepVerifier.create(Flux.range(0, 8)
                        .flatMap(i -> EmbeddedRedis.builder().start())
                        .collectList()
                        .flatMapMany(all -> Flux.fromIterable(all)
                                .flatMap(redis -> redis.stop().thenReturn(redis.port())))
                        .collect(Collectors.toSet()))
                .assertNext(ports -> assertThat(ports).hasSize(8))
                .expectComplete()
                .verify(Duration.ofSeconds(30));
    }

    private static long processGroup(long pid) throws IOException {
        String stat = Files.readString(Path.of("/proc", String.valueOf(pid), "stat"));
        return Long.parseLong(stat.substring(stat.lastIndexOf(')') + 2).split(" ")[2]);
    }

    private static void connect(InetAddress address, int port) throws IOException {
        try (Socket socket = new Socket()) {
            socket.connect(new InetSocketAddress(address, port), 1000);
        }
    }

    private static String ask(EmbeddedRedis redis, Function<RedisCommands<String, String>, String> question) {
        RedisClient client = RedisClient.create(redis.uri());
        try (StatefulRedisConnection<String, String> connection = client.connect()) {
            return question.apply(connection.sync());
        } finally {
            client.shutdown(Duration.ZERO, Duration.ofSeconds(5));
        }
    }
}
