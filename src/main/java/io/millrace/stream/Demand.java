package io.millrace.stream;

import io.millrace.redis.WakeUp;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import reactor.core.publisher.Operators;

/** How many batches a subscriber has asked for and not yet got. Those who read for him, one for each shard, take from it. */
final class Demand {

    private final AtomicLong open = new AtomicLong();
    private final Set<WakeUp> readers = ConcurrentHashMap.newKeySet();

    /** A reader to be woken when something is asked for. */
    void join(WakeUp reader) {
        readers.add(reader);
    }

    void leave(WakeUp reader) {
        readers.remove(reader);
    }

    void add(long n) {
        open.accumulateAndGet(n, Operators::addCap);
        readers.forEach(WakeUp::call);
    }

    /** Whether several readers take from it. */
    boolean isShared() {
        return readers.size() > 1;
    }

    boolean isOpen() {
        return open.get() > 0;
    }

    /** False: another reader was faster. */
    boolean take() {
        return open.getAndUpdate(n -> n == Long.MAX_VALUE || n == 0 ? n : n - 1) > 0;
    }
}
