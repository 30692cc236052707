package io.millrace.drain;

import io.millrace.MillraceException;
import io.millrace.redis.Detached;
import io.millrace.redis.GroupCommit;
import io.millrace.redis.GroupCommit.Outcome;
import io.millrace.redis.PubSub;
import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import io.millrace.redis.WakeUp;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Takes stored batches and has them processed, each until it succeeds; shares the work with other processes. One instance a run.
 *
 * <p>A loop takes as many batches as there are free places, under a lease that is extended while they are worked on. It sleeps when
 * nothing is there or no place is free, and is woken by a store, by a batch that ended, or when a retry is due.
 */
final class Processing {

    private static final Logger log = LoggerFactory.getLogger(Processing.class);

    /** The net under wake-ups that were lost, and how soon what others left behind is seen. */
    private static final Duration POLL = Duration.ofSeconds(1);

    private static final Duration TROUBLE_PAUSE = Duration.ofMillis(250);
    private static final int MAX_TAKE = 16;
    private static final int MAX_SETTLE = 64;
    private static final int SETTLES_IN_FLIGHT = 4;
    private static final int MAX_SETTLES_WAITING = 1_000_000;
    private static final long FIRST_RETRY_MS = 200;

    /** A batch under our lease. */
    private static final class Leased {

        private final String id;
        private final int attempt;
        private final byte[] body;
        private volatile long since = System.nanoTime();

        Leased(String id, int attempt, byte[] body) {
            this.id = id;
            this.attempt = attempt;
            this.body = body;
        }
    }

    /** What one call brought. */
    private record Taken(List<Leased> batches) {}

    private record Settle(Leased batch, String what) {}

    private final DrainUnit unit;
    private final DrainSettings settings;
    private final Pipeline pipeline;
    private final Redis redis;
    private final WakeUp wake;
    private final GroupCommit<Settle, Boolean> settles;
    private final Set<Leased> running = ConcurrentHashMap.newKeySet();
    private final AtomicInteger free;
    private volatile boolean starved; // the loop waits for a free place
    private boolean known; // that nothing more was there when we last looked; touched by the loop only
    private long waitMs = -1;
    private boolean troubled;

    Processing(DrainUnit unit, DrainSettings settings, Pipeline pipeline, WakeUp wake) {
        this.unit = unit;
        this.settings = settings;
        this.pipeline = pipeline;
        this.redis = unit.redis();
        this.wake = wake;
        this.free = new AtomicInteger(settings.concurrency());
        this.settles = new GroupCommit<>(MAX_SETTLE, SETTLES_IN_FLIGHT, MAX_SETTLES_WAITING, this::settleAll);
    }

    /** Never completes by itself, but with Redis; a cancel gives back what is being worked on. */
    Mono<Void> loop() {
        return Flux.using(
                        () -> redis.pubSub().attach(unit.channel("wake"), false, this::signalled),
                        attachment -> Mono.defer(this::round)
                                .repeat()
                                .flatMapIterable(Taken::batches, 1)
                                .flatMap(this::process, settings.concurrency(), 1)
                                .doOnDiscard(
                                        Taken.class, taken -> taken.batches().forEach(this::giveBack))
                                .doOnDiscard(Leased.class, this::giveBack)
                                .takeUntilOther(renewals()) // passes over batches that stay taken
                                .takeUntilOther(redis.closed()),
                        PubSub.Attachment::close)
                .then();
    }

    private void signalled(PubSub.Signal signal) {
        if (signal instanceof PubSub.Signal.Failed failed) {
            log.warn(
                    "drain \"{}\" cannot be listened to, it is polled only: {}",
                    unit.name(),
                    failed.error().getMessage());
        } else if (!(signal instanceof PubSub.Signal.Gap)) {
            wake.call();
        }
    }

    private Mono<Taken> round() {
        starved = true;
        int wanted = Math.min(free.get(), MAX_TAKE);
        if (wanted == 0 || !pipeline.hasPurpose()) {
            return wake.await(POLL).then(Mono.empty());
        }
        starved = false;
        if (known) {
            known = false;
            return wake.await(patience()).then(Mono.empty());
        }
        wake.clear(); // what comes from here on may be news to the answer
        return Detached.run(take(wanted), taken -> taken.batches().forEach(this::giveBack))
                .onErrorResume(this::trouble);
    }

    private Duration patience() {
        return waitMs >= 0 && waitMs < POLL.toMillis() ? Duration.ofMillis(waitMs + 1) : POLL;
    }

    private Mono<Taken> take(int wanted) {
        return redis.run(
                        DrainScripts.TAKE,
                        unit.keys(),
                        DrainScripts.args(wanted, settings.lease().toMillis()))
                .map(reply -> {
                    List<Leased> batches = new ArrayList<>(wanted);
                    for (int i = 2; i + 2 < reply.size(); i += 3) {
                        batches.add(new Leased(reply.text(i), (int) reply.number(i + 1), reply.bytes(i + 2)));
                    }
                    free.addAndGet(-batches.size());
                    running.addAll(batches);
                    known = batches.size() < wanted;
                    waitMs = reply.number(1);
                    if (troubled) {
                        troubled = false;
                        log.info("drain \"{}\" goes on", unit.name());
                    }
                    return new Taken(batches);
                });
    }

    private Mono<Taken> trouble(Throwable error) {
        if (!(error instanceof MillraceException failure) || !failure.retryable()) {
            return Mono.error(error);
        }
        if (!troubled) {
            troubled = true;
            log.warn("drain \"{}\" waits for Redis: {}", unit.name(), error.getMessage());
        }
        return Mono.delay(TROUBLE_PAUSE, redis.worker()).then(Mono.empty());
    }

    private Mono<Void> process(Leased batch) {
        AtomicBoolean settled = new AtomicBoolean();
        return pipeline.process(batch.id, batch.attempt, batch.body)
                .then(Mono.defer(() -> {
                    settled.set(true);
                    running.remove(batch);
                    return settle(batch, "done");
                }))
                .onErrorResume(error -> {
                    settled.set(true);
                    running.remove(batch);
                    return retry(batch, error);
                })
                .doFinally(end -> {
                    if (settled.compareAndSet(false, true)) {
                        giveBack(batch);
                    } else {
                        release();
                    }
                });
    }

    private void release() {
        free.incrementAndGet();
        if (starved) {
            wake.call();
        }
    }

    private Mono<Void> settle(Leased batch, String what) {
        return Detached.run(settles.submit(new Settle(batch, what)), done -> {}) // a cancel does not withdraw it
                .doOnNext(held -> {
                    if (!held) {
                        log.debug("batch {} was not held any more; it is processed again", batch.id);
                    }
                })
                .onErrorResume(away -> {
                    log.warn("batch {} is processed again when its lease ends: {}", batch.id, away.getMessage());
                    return Mono.empty();
                })
                .then();
    }

    private Mono<Void> retry(Leased batch, Throwable error) {
        long delay = delayAfter(batch.attempt);
        log.warn(
                "attempt {} of batch {} in drain \"{}\" failed, the next one is in {} ms: {}",
                batch.attempt,
                batch.id,
                unit.name(),
                delay,
                error.toString());
        return settle(batch, "again " + delay).doFinally(end -> wake.call()); // to set its timer anew
    }

    private long delayAfter(int attempt) {
        long most = settings.maxRetryDelay().toMillis();
        long ms = Math.min(most, FIRST_RETRY_MS << Math.min(attempt - 1, 30));
        return ms / 2 + ThreadLocalRandom.current().nextLong(ms / 2 + 1);
    }

    /** For whoever comes next, at once. */
    private void giveBack(Leased batch) {
        running.remove(batch);
        settles.post(
                new Settle(batch, "again 0"),
                away -> log.warn("batch {} is processed again when its lease ends: {}", batch.id, away.getMessage()));
        release();
    }

    /** Extends what has been worked on for a third of the lease; ends never. */
    private Mono<Void> renewals() {
        long lease = settings.lease().toMillis();
        long renewAfter = settings.lease().toNanos() / 3;
        return Flux.interval(settings.lease().dividedBy(6), redis.worker())
                .onBackpressureDrop()
                .concatMap(
                        tick -> Flux.fromIterable(running)
                                .filter(batch -> System.nanoTime() - batch.since >= renewAfter)
                                .flatMap(batch -> renew(batch, lease), MAX_SETTLE),
                        1)
                .then();
    }

    private Mono<Boolean> renew(Leased batch, long lease) {
        long now = System.nanoTime();
        return settles.submit(new Settle(batch, "extend " + lease))
                .doOnNext(held -> {
                    if (held) {
                        batch.since = now;
                    } else if (running.remove(batch)) {
                        log.warn("the lease of batch {} ended while it was processed; it is processed again", batch.id);
                    }
                })
                .onErrorResume(away -> Mono.empty()); // the next tick tries again
    }

    private Mono<List<Outcome<Boolean>>> settleAll(List<Settle> ends) {
        List<byte[]> args = new ArrayList<>(3 * ends.size());
        for (Settle end : ends) {
            args.add(DrainScripts.bytes(end.batch.id));
            args.add(DrainScripts.bytes(end.batch.attempt));
            args.add(DrainScripts.bytes(end.what));
        }
        return redis.run(DrainScripts.SETTLE, unit.keys(), args).map(Processing::outcomes);
    }

    private static List<Outcome<Boolean>> outcomes(Reply reply) {
        List<Outcome<Boolean>> outcomes = new ArrayList<>(reply.size() - 1);
        for (int i = 1; i < reply.size(); i++) {
            outcomes.add(new Outcome.Done<>(reply.number(i) == 1));
        }
        return outcomes;
    }
}
