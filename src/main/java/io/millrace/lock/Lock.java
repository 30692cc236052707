package io.millrace.lock;

import io.millrace.MillraceException;
import io.millrace.redis.Detached;
import io.millrace.redis.PubSub;
import io.millrace.redis.Redis;
import io.millrace.redis.WakeUp;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.UUID;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/**
 * A lock that one owner holds at a time, as long as it renews its lease.
 *
 * <pre>
 *          free                      released · lease ended · fence raised
 *  FREE ──────────▶ HELD (fence n) ─────────────────────────────────────────▶ FREE
 *                    │    ▲
 *                    └────┘ renewed every third of the lease, by the owner of fence n only
 * </pre>
 *
 * A release wakes all who wait, over publish and subscribe; a message that gets lost costs {@link #POLL} at the most. Immutable and
 * thread safe; every subscription is an owner of its own.
 */
public final class Lock {

    /** 5 s. */
    public static final Duration DEFAULT_LEASE = Duration.ofSeconds(5);

    /** How often who waits looks by itself: 1 s. */
    public static final Duration POLL = Duration.ofSeconds(1);

    private static final Duration SHORTEST = Duration.ofMillis(100);
    private static final Duration LONGEST = Duration.ofHours(1);
    private static final Duration PAUSE = Duration.ofMillis(100);

    private static final Logger log = LoggerFactory.getLogger(Lock.class);

    private final Redis redis;
    private final LockKeys keys;
    private final Duration lease;
    private final @Nullable Duration memory;

    /** Has everything read that locks need, for somebody who makes them where nothing may block. */
    public static void load() {
        LockScripts.load();
    }

    /** A lock at these keys. */
    public Lock(Redis redis, LockKeys keys) {
        this(redis, keys, DEFAULT_LEASE, null);
    }

    private Lock(Redis redis, LockKeys keys, Duration lease, @Nullable Duration memory) {
        load();
        this.redis = redis;
        this.keys = keys;
        this.lease = lease;
        this.memory = memory;
    }

    /**
     * The same lock with another lease: how long it stays taken after its owner died.
     *
     * @param newLease 100 ms to 1 h
     */
    public Lock lease(Duration newLease) {
        if (newLease.compareTo(SHORTEST) < 0 || newLease.compareTo(LONGEST) > 0) {
            throw new IllegalArgumentException("lease must be " + SHORTEST + " to " + LONGEST + ", was " + newLease);
        }
        return new Lock(redis, keys, newLease, memory);
    }

    /**
     * The same lock, whose last number is forgotten so long after the last owner: nothing is left of a lock that nobody uses any more.
     * Numbers rise all the same, by the server's clock. Without this the last number is kept for ever.
     *
     * @param newMemory longer than what is done under a number can be on its way
     */
    public Lock forgettingAfter(Duration newMemory) {
        return new Lock(redis, keys, lease, newMemory);
    }

    /** Takes the lock if it is free now; empty if somebody holds it. Who takes it releases it; a cancel gives it back if it was on its way. */
    public Mono<Lease> tryAcquire() {
        return Mono.defer(() -> attempt(UUID.randomUUID().toString())).mapNotNull(Attempt::lease);
    }

    /** Waits for the lock, also through outages of Redis. A cancel ends the waiting, and gives the lock back if it was on its way. */
    public Mono<Lease> acquire() {
        return Mono.defer(() -> {
            String token = UUID.randomUUID().toString();
            WakeUp wake = new WakeUp(redis.worker());
            return Mono.using(
                            () -> redis.pubSub().attach(keys.lock(), false, signal -> wake(signal, wake)),
                            attached -> Mono.defer(() -> attemptOrWait(token, wake))
                                    .repeat()
                                    .next(),
                            PubSub.Attachment::close)
                    .takeUntilOther(redis.closed())
                    .doOnDiscard(Lease.class, Lock::giveBack);
        });
    }

    /**
     * Does something while holding the lock: waits for it, renews it, releases it at the end, whichever that is.
     *
     * @param work what to do; cancelled when the lock is lost
     * @return what the work emits; fails with {@link LeaseLostException} when the lock is lost
     */
    public <T> Flux<T> whileHeld(Function<Lease, ? extends Publisher<T>> work) {
        return whileHeld(Mono.never(), work);
    }

    /**
     * As {@link #whileHeld(Function)}, for somebody who does not wait for ever.
     *
     * @param giveUp ends the waiting for the lock, and so everything, when it signals anything; once the lock is held it is not heard
     */
    public <T> Flux<T> whileHeld(Publisher<?> giveUp, Function<Lease, ? extends Publisher<T>> work) {
        return Flux.usingWhen(
                acquire().takeUntilOther(giveUp).doOnDiscard(Lease.class, Lock::giveBack),
                lease -> whileKept(lease, work),
                Lease::leave,
                (lease, error) -> lease.leave(),
                Lease::leave);
    }

    /** Completion, not an error, ends the work: takeUntilOther passes an error on and lets its source run. */
    static <T> Flux<T> whileKept(Lease lease, Function<Lease, ? extends Publisher<T>> work) {
        Sinks.Empty<T> lost = Sinks.empty();
        Mono<Void> end = lease.kept().onErrorResume(error -> {
            lost.tryEmitError(error);
            return Mono.empty();
        });
        Flux<T> kept =
                Flux.from(work.apply(lease)).doOnComplete(lost::tryEmitEmpty).takeUntilOther(end);
        return kept.concatWith(lost.asMono());
    }

    private Mono<Lease> attemptOrWait(String token, WakeUp wake) {
        wake.clear();
        return attempt(token)
                .flatMap(got -> {
                    Lease taken = got.lease();
                    if (taken == null) {
                        return wake.await(patience(got.ownerMs())).then(Mono.<Lease>empty());
                    }
                    return taken.isOver() ? Mono.empty() : Mono.just(taken); // asking again begins the lease anew
                })
                .onErrorResume(
                        Lock::isPassing,
                        away -> Mono.delay(PAUSE, redis.worker()).then(Mono.empty()));
    }

    /** Until the owner's lease ends, which nobody announces. */
    private static Duration patience(long ownerMs) {
        return ownerMs >= 0 && ownerMs < POLL.toMillis() ? Duration.ofMillis(ownerMs + 1) : POLL;
    }

    /**
     * What an attempt brought.
     *
     * @param ownerMs when it is somebody else's: ms until that lease ends, -1 if it never does
     */
    record Attempt(@Nullable Lease lease, long ownerMs) {}

    /** Asks once, and runs to its end whoever cancels: what was taken and nobody waits for any more is given back. */
    Mono<Attempt> attempt(String token) {
        Mono<Attempt> asking = Mono.defer(() -> {
            long began = System.nanoTime(); // the server counts from a later moment
            return redis.run(
                            LockScripts.ACQUIRE,
                            keys.lockAndFence(),
                            LockScripts.words(memory, token, lease.toMillis()))
                    .map(answer -> answer.held()
                            ? new Attempt(new Lease(redis, keys, token, answer.number(), lease, memory, began), 0)
                            : new Attempt(null, answer.number()));
        });
        return Detached.run(asking, Lock::giveBack);
    }

    /** The token of who holds it now; empty if nobody does. */
    Mono<String> owner() {
        return redis.call("GET", (Object) keys.lock()).map(token -> new String((byte[]) token, StandardCharsets.UTF_8));
    }

    static boolean isPassing(Throwable error) {
        return error instanceof MillraceException failure && failure.retryable();
    }

    static void wake(PubSub.Signal signal, WakeUp wake) {
        if (!(signal instanceof PubSub.Signal.Gap)) {
            wake.call();
        }
    }

    private static void giveBack(Attempt unwanted) {
        Lease taken = unwanted.lease();
        if (taken != null) {
            giveBack(taken);
        }
    }

    static void giveBack(Lease lease) {
        lease.release()
                .subscribe(
                        done -> {},
                        error -> log.debug("a lock nobody wants any more is free when its lease ends", error));
    }
}
