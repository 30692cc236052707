package io.millrace.lock;

import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/** One of the locks of a {@link Membership} that this member holds. Thread safe. */
public final class Share {

    private final int index;
    private final long number;
    private final Lease lease;
    private final Sinks.Empty<Void> revoked = Sinks.empty();
    private volatile boolean isRevoked;

    /** @param number rises with each that this member takes */
    Share(int index, long number, Lease lease) {
        this.index = index;
        this.number = number;
        this.lease = lease;
    }

    /** Which of the locks it is, from 0. */
    public int index() {
        return index;
    }

    /** The holding, with its fencing number; it is renewed for as long as the work goes on. */
    public Lease lease() {
        return lease;
    }

    /** As of {@link Lease#fence()}. */
    public long fence() {
        return lease.fence();
    }

    /**
     * Completes when somebody else is to have it, or when this member leaves: finish what is under way, then complete; only then the
     * lock is released.
     */
    public Mono<Void> revoked() {
        return revoked.asMono();
    }

    /** Whether {@link #revoked()} has completed. */
    public boolean isRevoked() {
        return isRevoked;
    }

    void revoke() {
        isRevoked = true;
        revoked.tryEmitEmpty();
    }

    long number() {
        return number;
    }

    @Override
    public String toString() {
        return "Share[" + index + ", fence " + fence() + (isRevoked ? ", revoked]" : "]");
    }
}
