package io.millrace.stream;

import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/** One of what was asked for, taken before it is read for; given back where no batch is handed out for it. Thread safe. */
final class Claim {

    /** Taken, and no batch read yet. */
    private static final Object OPEN = new Object();

    private final Demand demand;
    private final AtomicReference<@Nullable Object> held = new AtomicReference<>(); // nothing, OPEN, or the batch

    Claim(Demand demand) {
        this.demand = demand;
    }

    /** False: another reader was faster. */
    boolean take() {
        if (!demand.take()) {
            return false;
        }
        held.set(OPEN);
        return true;
    }

    /** A batch was read for it. False: it was given back meanwhile. */
    boolean fill(StreamBatch batch) {
        return held.compareAndSet(OPEN, batch);
    }

    /** The batch is handed out. False: it was given back meanwhile, so that it must not be. */
    boolean spend(StreamBatch batch) {
        return held.compareAndSet(batch, null);
    }

    /** Does nothing where there is none, or it was spent. */
    void giveBack() {
        if (held.getAndSet(null) != null) {
            demand.add(1);
        }
    }
}
