package io.millrace.queue;

import io.millrace.Event;
import java.time.Duration;
import java.util.function.Function;
import reactor.core.publisher.Mono;

/**
 * A message handed out under a lease: acknowledge it, give it back, or extend the lease. What is not done before the lease ends is
 * refused: the message belongs to somebody else then.
 *
 * <p>Each operation is cold and may be repeated without harm. Thread safe; operations of one delivery go one after another, since an
 * extension changes the receipt.
 */
public final class Delivery {

    private static final Mono<Boolean> NOT = Mono.just(true);

    private final Message message;
    private final int messages;
    private final Leases leases;
    private final LeaseOptions options;
    private volatile Receipt receipt;
    private volatile Mono<Boolean> extending = NOT; // the last of those under way, which ends after all before it
    private int extensions; // under way; guarded by this
    private volatile long leasedNanos = System.nanoTime();
    private boolean finished; // guarded by this

    /** @param messages how many the lease is of; {@code message} is the first */
    Delivery(Message message, int messages, Receipt receipt, Leases leases, LeaseOptions options) {
        this.messages = messages;
        this.message = message;
        this.receipt = receipt;
        this.leases = leases;
        this.options = options;
    }

    /** What was handed out. */
    public Message message() {
        return message;
    }

    /** The event of the message. */
    public Event event() {
        return message.event();
    }

    /** Proof of the lease as it is now; an extension changes it. */
    public Receipt receipt() {
        return receipt;
    }

    /**
     * Says that the message is done; it never comes again.
     *
     * @return true: acknowledged now. False: the lease was not held any more: it had ended and the message may be with somebody else,
     *     or an earlier try of this call was successful although its answer was lost.
     */
    public Mono<Boolean> ack() {
        return settled().flatMap(leases::acknowledge);
    }

    /**
     * Gives the message back to its place at once, as a failed attempt.
     *
     * @return true if it was given back or, its attempts being used up, became a dead letter; false: the lease was not held any more
     */
    public Mono<Boolean> nack() {
        return nack(Duration.ZERO);
    }

    /** As {@link #nack()}, and keeps the message back for a while; other messages of its facet go on meanwhile. */
    public Mono<Boolean> nack(Duration delay) {
        return nack(delay, "given back by its consumer");
    }

    /** As {@link #nack(Duration)}, with a reason for the dead letter it may become. */
    public Mono<Boolean> nack(Duration delay, String reason) {
        return end(held -> Leases.Return.all(held, messages, delay, reason));
    }

    /** Gives the message back as if it had never been handed out. */
    public Mono<Boolean> release() {
        return end(held -> Leases.Return.untouched(held, messages));
    }

    /** Makes the message a dead letter at once. */
    public Mono<Boolean> bury(String reason) {
        return end(held -> Leases.Return.dead(held, messages, reason));
    }

    /** Begins the lease anew, from now, for as long as it was. */
    public Mono<Boolean> extend() {
        return extend(options.lease());
    }

    /**
     * Begins the lease anew, from now.
     *
     * @param lease for how long; 100 ms to 12 h
     * @return false: the lease was not held any more; it is never revived
     */
    public Mono<Boolean> extend(Duration lease) {
        String profile = options.mutate().lease(lease).build().profile();
        return Mono.defer(() -> extendNext(profile));
    }

    private synchronized Mono<Boolean> extendNext(String profile) {
        if (finished) {
            return Mono.just(false);
        }
        Mono<Boolean> next = extending
                .onErrorReturn(true)
                .flatMap(done -> leases.extend(receipt, messages, profile))
                .map(this::renewed)
                .doOnTerminate(this::extended)
                .cache();
        extensions++;
        extending = next;
        return next;
    }

    /** Lets go of them: each holds the one before it, and work may go on for days. */
    private synchronized void extended() {
        if (--extensions == 0) {
            extending = NOT;
        }
    }

    /** Whether the receipt is about to change. */
    boolean isExtending() {
        return extending != NOT;
    }

    /** From now on extensions are refused: whoever extends leases may be late to notice that the work is done. */
    synchronized void finish() {
        finished = true;
    }

    /** Gives back what nobody has seen, for somebody who does not wait. */
    void giveBack() {
        leases.endLater(Leases.Return.untouched(receipt, messages));
    }

    /** Acknowledges by a receipt that no extension changes any more. */
    Mono<Boolean> acknowledge(Receipt held) {
        return leases.acknowledge(held);
    }

    /** Ends the lease of work that was stopped, for somebody who does not wait. */
    void abandon(String reason) {
        leases.endLater(Leases.Return.all(receipt, messages, Duration.ZERO, reason));
    }

    /** When the present lease was taken or extended, by {@link System#nanoTime()}. */
    long leasedNanos() {
        return leasedNanos;
    }

    /** The receipt when no extension is under way. */
    Mono<Receipt> settled() {
        return Mono.defer(() -> extending.onErrorReturn(true).map(done -> receipt));
    }

    private boolean renewed(Receipt renewed) {
        if (renewed.equals(Receipt.GONE)) {
            return false;
        }
        receipt = renewed;
        leasedNanos = System.nanoTime();
        return true;
    }

    private Mono<Boolean> end(Function<Receipt, Leases.Return> how) {
        return settled().map(how).flatMap(leases::end).map(ended -> ended != Leases.Ended.GONE);
    }

    @Override
    public String toString() {
        return "Delivery[" + message.event() + ", attempt " + message.attempt() + ", " + receipt + "]";
    }
}
