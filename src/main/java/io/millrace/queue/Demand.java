package io.millrace.queue;

import java.util.concurrent.atomic.AtomicLong;
import reactor.core.publisher.Operators;

/** How many elements a subscriber has asked for and not yet got. */
final class Demand {

    private final AtomicLong open = new AtomicLong();

    void add(long n) {
        open.accumulateAndGet(n, Operators::addCap);
    }

    /** So many are on their way to the subscriber. */
    void taken(int count) {
        open.updateAndGet(n -> n == Long.MAX_VALUE ? n : Math.max(0, n - count));
    }

    /** What is open, at most so many. */
    int open(int atMost) {
        return (int) Math.min(open.get(), atMost);
    }
}
