package io.millrace.testing;

import java.time.Duration;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 *  Waits for what happens elsewhere: another process, a server, a network. Within one JVM prefer virtual time or a
 * latch.
 */
public final class Eventually {

    private static final long POLL_NANOS = Duration.ofMillis(10).toNanos();

    private Eventually() {}

    /**
     *  Something that holds or does not hold yet. Throwing counts as not yet, so asking a server that is away is fine.
     */
    @FunctionalInterface
    public interface Condition {
        boolean holds() throws Exception;
    }

    /** Waits until the condition holds, asking every 10 ms; fails with what was last thrown when time is up. */
    public static void await(Duration atMost, Condition condition) {
        await("the condition", atMost, condition);
    }

    /**
     * As {@link #await(Duration, Condition)}, naming what was awaited in the failure.
     *
     * @throws AssertionError if the condition never held
     */
    public static void await(String what, Duration atMost, Condition condition) {
        long deadline = System.nanoTime() + atMost.toNanos();
        Throwable last;
        do {
            last = null;
            try {
                if (condition.holds()) {
                    return;
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new AssertionError("interrupted while waiting for " + what, e);
            } catch (Exception | AssertionError e) {
                last = e;
            }
            LockSupport.parkNanos(POLL_NANOS);
        } while (System.nanoTime() - deadline < 0 && !Thread.currentThread().isInterrupted());
        throw failure(what, atMost, last);
    }

    private static AssertionError failure(String what, Duration atMost, @Nullable Throwable last) {
        return new AssertionError(what + " did not happen within " + atMost + (last == null ? "" : ": " + last), last);
    }
}
