package io.millrace.queue;

import java.time.Duration;
import java.util.List;
import java.util.Objects;
import reactor.core.publisher.Mono;

/**
 * Messages handed out under one lease: cheaper than a lease for each. They are acknowledged, extended or given back together;
 * {@link #nack(List, Duration)} gives back some and acknowledges the rest. Thread safe.
 */
public final class DeliveryBatch {

    private final List<Message> messages;
    private final Delivery lease;
    private final Leases leases;

    DeliveryBatch(List<Message> messages, Receipt receipt, Leases leases, LeaseOptions options) {
        this.messages = List.copyOf(messages);
        this.leases = leases;
        this.lease = new Delivery(messages.get(0), messages.size(), receipt, leases, options);
    }

    /** What was handed out, in the order of the turns; never empty. */
    public List<Message> messages() {
        return messages;
    }

    /** Proof of the lease as it is now. */
    public Receipt receipt() {
        return lease.receipt();
    }

    /** Says that all messages are done. False: the lease was not held any more. */
    public Mono<Boolean> ack() {
        return lease.ack();
    }

    /** Gives all messages back, as a failed attempt. False: the lease was not held any more. */
    public Mono<Boolean> nack(Duration delay) {
        return lease.nack(delay);
    }

    /**
     * Gives some messages back, as a failed attempt, and acknowledges the others.
     *
     * @param failed positions in {@link #messages()}, from 0; none acknowledges all
     * @return false: the lease was not held any more
     */
    public Mono<Boolean> nack(List<Integer> failed, Duration delay) {
        if (failed.isEmpty()) {
            return ack();
        }
        for (int position : failed) {
            Objects.checkIndex(position, messages.size());
        }
        List<Integer> places = failed.stream().map(position -> position + 1).toList();
        return lease.settled()
                .flatMap(held -> leases.end(new Leases.Return(
                        held, messages.size(), delay, true, false, "given back by its consumer", places, true)))
                .map(ended -> ended != Leases.Ended.GONE);
    }

    /** Gives all messages back as if they had never been handed out. */
    public Mono<Boolean> release() {
        return lease.release();
    }

    /** Begins the lease anew, from now, for as long as it was. False: the lease was not held any more. */
    public Mono<Boolean> extend() {
        return lease.extend();
    }

    void giveBack() {
        lease.giveBack();
    }

    Delivery lease() {
        return lease;
    }
}
