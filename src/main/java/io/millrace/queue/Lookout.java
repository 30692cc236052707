package io.millrace.queue;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.scheduler.Scheduler;

/**
 * Which of the readers of one queue in this process looks when there is reason to: one of those that wait, not all of them. Who then gets
 * all that it asked for has the next one look, for there may be more; so has who ends. A reason that comes while nobody waits is kept
 * for the next look. Thread safe.
 */
final class Lookout {

    private final Scheduler scheduler;
    private final Deque<Reading<?>> waiting = new ArrayDeque<>();
    private @Nullable Object lastWord;
    private boolean reason;
    private boolean due;
    private long dueNanos;
    private Disposable alarm = Disposables.disposed();

    Lookout(Scheduler scheduler) {
        this.scheduler = scheduler;
    }

    /** Word that there may be something new; all readers hear the same one. */
    void heard(Object word) {
        synchronized (this) {
            if (word == lastWord) {
                return;
            }
            lastWord = word;
        }
        next();
    }

    /** There may be something for one more reader. */
    void next() {
        Reading<?> chosen;
        synchronized (this) {
            chosen = waiting.poll();
            reason |= chosen == null;
        }
        if (chosen != null) {
            chosen.wake();
        }
    }

    /** Something is due after this time; known to who has just looked and will wait. */
    void dueIn(Duration time) {
        long at = System.nanoTime() + time.toNanos();
        synchronized (this) {
            if (alarm.isDisposed() || at - dueNanos < 0) {
                alarm.dispose();
                dueNanos = at;
                alarm = schedule(time);
            }
        }
    }

    private Disposable schedule(Duration time) {
        try {
            return scheduler.schedule(this::ring, time.toNanos(), TimeUnit.NANOSECONDS);
        } catch (RejectedExecutionException closed) {
            return Disposables.disposed(); // and nobody reads any more
        }
    }

    private void ring() {
        synchronized (this) {
            alarm = Disposables.disposed();
            due = true;
        }
        next();
    }

    /** A reader begins to look. True: something may have come due. */
    synchronized boolean looks() {
        boolean wasDue = due;
        reason = false;
        due = false;
        return wasDue;
    }

    /** A reader waits that would take something. False: there is reason to look once more instead. */
    synchronized boolean waits(Reading<?> reader) {
        if (reason) {
            return false;
        }
        waiting.add(reader);
        return true;
    }

    /** It does not wait any more, for whatever reason. */
    synchronized void leaves(Reading<?> reader) {
        waiting.remove(reader);
    }

    /** It will never look again: what it was woken for is for another. */
    void ends(Reading<?> reader) {
        leaves(reader);
        next();
    }
}
