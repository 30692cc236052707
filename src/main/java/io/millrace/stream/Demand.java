package io.millrace.stream;

import java.util.concurrent.atomic.AtomicLong;
import reactor.core.publisher.Operators;

/** How many batches a subscriber has asked for and not yet got. */
final class Demand {

    private final AtomicLong open = new AtomicLong();

    void add(long n) {
        open.accumulateAndGet(n, Operators::addCap);
    }

    boolean isOpen() {
        return open.get() > 0;
    }

    void taken() {
        open.updateAndGet(n -> n == Long.MAX_VALUE ? n : n - 1);
    }
}
