package io.millrace.lock;

import io.millrace.MillraceException;
import io.millrace.redis.PubSub;
import io.millrace.redis.Redis;
import io.millrace.redis.WakeUp;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;

/**
 * A lock that is held. It is lost when the server says so, or when it could not be renewed for as long as the lease: then somebody
 * else may have it. Thread safe.
 */
public final class Lease {

    private static final Logger log = LoggerFactory.getLogger(Lease.class);

    private static final Duration RETRY = Duration.ofMillis(50);

    private final Redis redis;
    private final LockKeys keys;
    private final String token;
    private final long fence;
    private final Duration lease;
    private final @Nullable Duration memory;
    private volatile long endsNanos;
    private volatile boolean failed; // the last renewal

    /** @param beganNanos no later than the lease began on the server, by {@link System#nanoTime()} */
    Lease(
            Redis redis,
            LockKeys keys,
            String token,
            long fence,
            Duration lease,
            @Nullable Duration memory,
            long beganNanos) {
        this.redis = redis;
        this.keys = keys;
        this.token = token;
        this.fence = fence;
        this.lease = lease;
        this.memory = memory;
        this.endsNanos = beganNanos + lease.toNanos();
    }

    /** Who holds it, a word nobody else has. */
    public String token() {
        return token;
    }

    /** The number of this holding; higher than those of all before. */
    public long fence() {
        return fence;
    }

    /** Begins the lease anew, once; false when it was lost. */
    public Mono<Boolean> renew() {
        return Mono.defer(() -> {
            long began = System.nanoTime();
            return redis.run(
                            LockScripts.RENEW,
                            keys.lockAndFence(),
                            LockScripts.words(memory, token, fence, lease.toMillis()))
                    .doOnNext(held -> {
                        if (held) {
                            endsNanos = began + lease.toNanos();
                        }
                    });
        });
    }

    /** Whether somebody else may have it by now. */
    boolean isOver() {
        return System.nanoTime() - endsNanos >= 0;
    }

    /** Gives the lock back and wakes the next one; false when it was lost before. */
    public Mono<Boolean> release() {
        return Mono.defer(() -> redis.run(LockScripts.RELEASE, keys.lockAndWaiting(), List.of(bytes(token))));
    }

    /** Releases it unless its time is over anyway; never fails: what cannot be released is free when the lease ends. */
    Mono<Void> leave() {
        return Mono.defer(() -> isOver()
                ? Mono.empty()
                : release().then().onErrorResume(error -> {
                    log.debug("the lock \"{}\" is free when its lease ends", keys.name(), error);
                    return Mono.empty();
                }));
    }

    /**
     * Renews the lease, every third of it and whenever the lock's channel says that something happened, until cancelled.
     *
     * @return never completes; fails with {@link LeaseLostException} once the lock is lost
     */
    public Mono<Void> kept() {
        return Mono.defer(() -> {
            WakeUp wake = new WakeUp(redis.worker());
            return Mono.using(
                    () -> redis.pubSub().attach(keys.lock(), false, signal -> Lock.wake(signal, wake)),
                    attached -> Mono.defer(() -> wake.await(untilRenewal()))
                            .then(Mono.defer(this::renewed))
                            .repeat()
                            .then(),
                    PubSub.Attachment::close);
        });
    }

    /** A third of the lease after it began, as far as is known here; soon when that did not work. */
    private Duration untilRenewal() {
        long thirdNanos = lease.dividedBy(3).toNanos();
        long leftNanos = endsNanos - System.nanoTime();
        return failed
                ? Duration.ofNanos(Math.max(0, Math.min(leftNanos, RETRY.toNanos())))
                : Duration.ofNanos(Math.max(0, leftNanos - 2 * thirdNanos));
    }

    private Mono<Void> renewed() {
        long leftNanos = endsNanos - System.nanoTime();
        if (leftNanos <= 0) {
            return Mono.error(lost("it could not be renewed within " + lease));
        }
        return renew().timeout(Duration.ofNanos(leftNanos), redis.worker())
                .flatMap(held -> {
                    failed = false;
                    return held
                            ? Mono.<Void>empty()
                            : Mono.<Void>error(lost("its lease ended or somebody else was given it"));
                })
                .onErrorResume(Lease::isAway, away -> {
                    failed = true;
                    return Mono.empty();
                });
    }

    private static boolean isAway(Throwable error) {
        return error instanceof TimeoutException
                || (error instanceof MillraceException failure
                        && failure.retryable()
                        && !(error instanceof LeaseLostException));
    }

    private LeaseLostException lost(String why) {
        return new LeaseLostException("the lock \"" + keys.name() + "\" is not held any more: " + why);
    }

    private static byte[] bytes(String text) {
        return LockKeys.bytes(text);
    }
}
