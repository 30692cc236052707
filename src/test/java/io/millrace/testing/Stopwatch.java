package io.millrace.testing;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * How long something took, less the time in which the machine ran nothing: one that others share stands still for seconds now and then,
 * and limits to what is tested are not about that. A thread that wants to wake up every 10 ms counts what it is late.
 */
public final class Stopwatch {

    private static final long TICK = Duration.ofMillis(10).toNanos();
    private static final long USUALLY_LATE = Duration.ofMillis(20).toNanos();
    private static final AtomicLong LATE = new AtomicLong();

    static {
        Thread thread = new Thread(Stopwatch::watch, "stopwatch");
        thread.setDaemon(true);
        thread.start();
    }

    private final long began = System.nanoTime();
    private final long lateBefore = LATE.get();

    private Stopwatch() {}

    /** Runs from now on. */
    public static Stopwatch started() {
        return new Stopwatch();
    }

    /** How long it has run. */
    public Duration elapsed() {
        return Duration.ofNanos(System.nanoTime() - began).minus(stalled());
    }

    /** How long the machine has stood still meanwhile. */
    public Duration stalled() {
        return Duration.ofNanos(LATE.get() - lateBefore);
    }

    private static void watch() {
        long before = System.nanoTime();
        while (true) {
            LockSupport.parkNanos(TICK);
            long now = System.nanoTime();
            long late = now - before - TICK;
            if (late > USUALLY_LATE) {
                LATE.addAndGet(late);
            }
            before = now;
        }
    }
}
