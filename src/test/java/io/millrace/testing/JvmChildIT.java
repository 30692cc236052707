package io.millrace.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class JvmChildIT {

    private static final Duration SOON = Duration.ofSeconds(20);

    /** Says what it was started with, then does what its first argument says. */
    static final class Talker {

        private Talker() {}

        public static void main(String[] args) throws InterruptedException {
            System.out.println("started " + String.join(",", args) + " " + System.getProperty("greeting"));
            switch (args[0]) {
                case "exit" -> System.exit(7);
                case "throw" -> throw new IllegalStateException("as told");
                default -> {
                    for (int i = 0; !new CountDownLatch(1).await(20, TimeUnit.MILLISECONDS); i++) {
                        System.out.println("tick " + i);
                    }
                }
            }
        }
    }

    @Test
    void passesArgumentsAndPropertiesAndTellsTheExitCode() {
        try (JvmChild child = JvmChild.of(Talker.class)
                .property("greeting", "hello")
                .args("exit", "now")
                .start()) {
            assertThat(child.exitCode(SOON)).isEqualTo(7);
            assertThat(child.lines()).contains("started exit,now hello");
        }
    }

    @Test
    void showsWhatTheChildThrew() {
        try (JvmChild child = JvmChild.of(Talker.class).args("throw").start()) {
            assertThat(child.exitCode(SOON)).isEqualTo(1);
            assertThat(child.lines()).anyMatch(line -> line.contains("IllegalStateException: as told"));
        }
    }

    @Test
    void doesNotWaitForALineOfAChildThatHasEnded() {
        try (JvmChild child = JvmChild.of(Talker.class).args("exit").start()) {
            assertThatExceptionOfType(AssertionError.class)
                    .isThrownBy(() -> child.awaitLine(line -> line.equals("never"), Duration.ofMinutes(5)))
                    .withMessageContainingAll("ended without printing", "started exit");
        }
    }

    @Test
    void isPausedResumedAndAskedToEnd() {
        try (JvmChild child = JvmChild.of(Talker.class).args("tick").start()) {
            child.awaitLine(line -> line.startsWith("tick"), SOON);
            child.pause();
            drain(child);
            assertThatExceptionOfType(AssertionError.class)
                    .isThrownBy(() -> child.awaitLine(line -> line.startsWith("tick"), Duration.ofMillis(300)))
                    .withMessageContaining("did not print");
            assertThat(child.isAlive()).isTrue();
            child.resume();
            child.awaitLine(line -> line.startsWith("tick"), SOON);
            child.terminate();
            assertThat(child.exitCode(SOON)).isEqualTo(128 + 15);
        }
    }

    @Test
    void isKilled() {
        try (JvmChild child = JvmChild.of(Talker.class).args("tick").start()) {
            child.awaitLine(line -> line.startsWith("tick"), SOON);
            child.kill9();
            assertThat(child.isAlive()).isFalse();
            assertThat(child.exitCode(SOON)).isEqualTo(128 + 9);
        }
    }

    /** Goes through the lines that were on their way when the child was paused. */
    private static void drain(JvmChild child) {
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(() -> child.awaitLine(line -> false, Duration.ofMillis(200)));
    }
}
