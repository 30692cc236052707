package io.millrace.redis.embedded;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.testing.Eventually;
import io.millrace.testing.JvmChild;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The server ends when its JVM does, whatever ended that. */
class EmbeddedRedisOrphanIT {

    private static final Duration SOON = Duration.ofSeconds(20);
    /** 2 s are promised; the rest is for a busy machine. */
    private static final Duration END = Duration.ofSeconds(8);

    @TempDir
    Path temp;

    /** Starts a server, tells where it is and stays, or returns, without closing it. */
    static final class Host {

        private Host() {}

        public static void main(String[] args) throws InterruptedException {
            EmbeddedRedis.Builder builder = EmbeddedRedis.builder();
            if (args.length > 1) {
                builder.dataDir(Path.of(args[1]));
            }
            EmbeddedRedis redis = builder.startNow();
            if (args[0].equals("pause")) {
                redis.process().pause();
            }
            System.out.println("redis " + redis.pid() + " " + redis.log());
            if (!args[0].equals("return")) {
                new CountDownLatch(1).await();
            }
        }
    }

    @Test
    void saysThatItIsForTrials() {
        try (JvmChild host = JvmChild.of(Host.class).args("return").start()) {
            host.awaitLine(line -> line.contains("WARN") && line.contains("It is for trials, demos and tests"), SOON);
        }
    }

    @Test
    void endsWithAJvmThatIsKilled() {
        try (JvmChild host = JvmChild.of(Host.class).args("stay").start()) {
            Started redis = Started.by(host);
            assertThat(ProcessHandle.of(redis.pid)).isPresent();
            host.kill9();
            redis.awaitEnd();
            Eventually.await(
                    "its folder to go",
                    SOON,
                    () -> !redis.log.getParent().toFile().exists());
        }
    }

    @Test
    void endsWithAJvmThatReturnsWithoutClosingIt() {
        try (JvmChild host = JvmChild.of(Host.class).args("return").start()) {
            Started redis = Started.by(host);
            assertThat(host.exitCode(SOON)).isZero();
            redis.awaitEnd();
        }
    }

    @Test
    void endsWithAJvmThatIsAskedToEnd() {
        try (JvmChild host = JvmChild.of(Host.class).args("stay").start()) {
            Started redis = Started.by(host);
            host.terminate();
            assertThat(host.exitCode(SOON)).isEqualTo(128 + 15);
            redis.awaitEnd();
        }
    }

    @Test
    void endsEvenWhenPaused() {
        try (JvmChild host = JvmChild.of(Host.class).args("pause").start()) {
            Started redis = Started.by(host);
            host.kill9();
            redis.awaitEnd();
        }
    }

    @Test
    void theNextServerOnTheFolderWaitsForTheOneLeftBehind() {
        Path data = temp.resolve("data");
        try (JvmChild host =
                JvmChild.of(Host.class).args("pause", data.toString()).start()) {
            Started left = Started.by(host);
            host.kill9(); // the paused server takes 2 s more to end
            assertThat(ProcessHandle.of(left.pid)).isPresent();
            try (EmbeddedRedis next = EmbeddedRedis.builder().dataDir(data).startNow()) {
                assertThat(ProcessHandle.of(left.pid)).isEmpty();
                assertThat(next.process().isAlive()).isTrue();
            }
        }
    }

    private record Started(long pid, Path log) {

        static Started by(JvmChild host) {
            String[] words =
                    host.awaitLine(line -> line.startsWith("redis "), SOON).split(" ");
            return new Started(Long.parseLong(words[1]), Path.of(words[2]));
        }

        void awaitEnd() {
            Eventually.await(
                    "the end of redis " + pid, END, () -> ProcessHandle.of(pid).isEmpty());
        }
    }
}
