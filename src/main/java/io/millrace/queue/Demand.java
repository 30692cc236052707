package io.millrace.queue;

import java.util.concurrent.atomic.AtomicLong;
import reactor.core.publisher.Operators;

/** How many elements a subscriber has asked for and not yet got, and how many more may wait for him. Thread safe. */
final class Demand {

    private final AtomicLong open = new AtomicLong();
    private volatile int least = 1;

    /** So many may be taken without having been asked for; a quarter of them at a time, not one by one. */
    void prefetch(int count) {
        open.set(count);
        least = Math.max(1, count / 4);
    }

    void add(long n) {
        open.accumulateAndGet(n, Operators::addCap);
    }

    /** So many are on their way to the subscriber. */
    void taken(int count) {
        open.updateAndGet(n -> n == Long.MAX_VALUE ? n : Math.max(0, n - count));
    }

    /** How many may be taken now, at most so many. */
    int open(int atMost) {
        long now = open.get();
        return now < least ? 0 : (int) Math.min(now, atMost);
    }
}
