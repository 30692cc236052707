package io.millrace.testing;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * How long the machine ran nothing: a thread that wants to wake up every 10 ms counts what it is late. Time limits of what is tested are
 * about the rest: a machine that others share stands still for seconds now and then.
 */
public final class Stalls implements AutoCloseable {

    private static final long TICK = Duration.ofMillis(10).toNanos();
    private static final long USUAL = Duration.ofMillis(20).toNanos();

    private final AtomicLong late = new AtomicLong();
    private final Thread thread = new Thread(this::watch, "stalls");
    private volatile boolean open = true;

    private Stalls() {}

    /** Counts from now on. */
    public static Stalls watching() {
        Stalls stalls = new Stalls();
        stalls.thread.setDaemon(true);
        stalls.thread.start();
        return stalls;
    }

    /** All of it so far. */
    public Duration soFar() {
        return Duration.ofNanos(late.get());
    }

    private void watch() {
        long before = System.nanoTime();
        while (open) {
            LockSupport.parkNanos(TICK);
            long now = System.nanoTime();
            long extra = now - before - TICK;
            if (extra > USUAL) {
                late.addAndGet(extra);
            }
            before = now;
        }
    }

    @Override
    public void close() {
        open = false;
    }
}
