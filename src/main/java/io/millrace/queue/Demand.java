package io.millrace.queue;

import java.util.concurrent.atomic.AtomicLong;
import reactor.core.publisher.Operators;

/** How many elements a subscriber has asked for and not yet got. */
final class Demand {

    private final AtomicLong open = new AtomicLong();

    void add(long n) {
        open.accumulateAndGet(n, Operators::addCap);
    }

    void taken() {
        open.updateAndGet(n -> n == Long.MAX_VALUE || n == 0 ? n : n - 1);
    }

    /** What is open, at most so many. */
    int open(int atMost) {
        return (int) Math.min(open.get(), atMost);
    }
}
