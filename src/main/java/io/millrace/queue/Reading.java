package io.millrace.queue;

import io.millrace.MillraceException;
import io.millrace.RedisRefusedException;
import io.millrace.queue.Pulls.Pulled;
import io.millrace.redis.Detached;
import io.millrace.redis.PubSub;
import io.millrace.redis.Redis;
import io.millrace.redis.WakeUp;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Consumer;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.SignalType;

/**
 * One subscription to a queue: turns demand into pulls, sleeps when the queue is empty, goes on by itself after trouble with Redis.
 *
 * <pre>
 *           demand                    fewer than asked for
 *  IDLE ─────────────▶ PULLING ────────────────────────────▶ WAITING
 *   ▲                   │  ▲                                    │
 *   └───────────────────┘  └────────────────────────────────────┘
 *     all given, no demand      nudge · something is due · poll interval · new demand
 * </pre>
 *
 * A nudge that comes while a pull is out is remembered. Acknowledgements that nobody waits for travel with the next pull; when there
 * is none to come, they go by themselves.
 *
 * @param <T> what is handed out: a delivery, or a batch of them
 */
final class Reading<T> {

    private static final Logger log = LoggerFactory.getLogger(Reading.class);

    /** What a server answers a user who may not. */
    private static final Set<String> DENIALS = Set.of("NOPERM", "NOAUTH", "WRONGPASS");

    private static final Duration FIRST_PAUSE = Duration.ofMillis(20);
    private static final Duration LONGEST_PAUSE = Duration.ofMillis(500);

    /** How long an acknowledgement waits for a pull to travel with when nothing is asked for. */
    private static final Duration ACK_PATIENCE = Duration.ofMillis(5);

    /** Takes up to so many, acknowledges these along with it, and looks for what is due if told to. */
    interface Pull<T> {
        Mono<Pulled<T>> pull(int n, List<Receipt> acknowledge, boolean maintain);

        /** There may be something new at this unit; called from any thread. */
        default void nudged(Unit unit) {}
    }

    private final Redis redis;
    private final Lookout lookout;
    private final List<Unit> units;
    private final String queue;
    private final Function<Receipt, Leases> leases;
    private final LeaseOptions options;
    private final int perPull;
    private final Pull<T> pull;
    private final Consumer<T> giveBack;

    private final Demand demand = new Demand();
    private final WakeUp wake;
    private final Queue<Receipt> toAcknowledge = new ConcurrentLinkedQueue<>();
    // Touched by the loop only, one round after another.
    private boolean known; // that nothing more was there when we last looked
    private boolean due; // something may be due: look for it
    private int troubles;
    private boolean worked; // at least once
    private boolean withPulls = true; // whether acknowledgements travel with pulls
    private Mono<Void> alongside = Mono.never();
    private volatile boolean stopping; // no further round
    private volatile boolean ended; // no pull will come any more that could carry acknowledgements

    /**
     * @param lookout shared by those who pull from the same place; one's own where each has to look for itself
     * @param units to be woken by
     * @param leases those that a receipt is of; their acknowledgements travel with pulls
     * @param perPull how many elements of demand one pull can meet
     * @param giveBack gives an element back that nobody has seen
     */
    Reading(
            Redis redis,
            Lookout lookout,
            List<Unit> units,
            Function<Receipt, Leases> leases,
            LeaseOptions options,
            int perPull,
            Pull<T> pull,
            Consumer<T> giveBack) {
        this.redis = redis;
        this.lookout = lookout;
        this.units = units;
        this.queue = units.get(0).queue();
        this.leases = leases;
        this.options = options;
        this.perPull = perPull;
        this.pull = pull;
        this.giveBack = giveBack;
        this.wake = new WakeUp(redis.worker());
    }

    /** Acknowledgements go by themselves, each to its own queue. */
    Reading<T> acknowledgingApart() {
        withPulls = false;
        return this;
    }

    /** Does this, too, for as long as it reads. What becomes of it does not matter to the reading. */
    Reading<T> alongside(Mono<Void> other) {
        alongside = alongside.or(other.onErrorResume(error -> {
                    log.warn("queue \"{}\" is read without what goes along with it", queue, error);
                    return Mono.empty();
                })
                .then(Mono.never()));
        return this;
    }

    /** What is handed out, as much as is asked for. A cancel gives back what was leased and not handed out. */
    @SuppressWarnings("unchecked")
    Flux<T> flux(Class<T> type) {
        return Flux.using(
                this::attach,
                attachments -> Mono.defer(this::round)
                        .repeat(() -> !stopping)
                        .flatMapIterable(Pulled::items, 1)
                        .doOnRequest(n -> {
                            demand.add(n);
                            wake.call();
                        })
                        .takeUntilOther(alongside)
                        .takeUntilOther(redis.closed())
                        // Behind everything that may drop an element in the moment of a cancel: it is told those before
                        // it.
                        .doOnDiscard(Pulled.class, pulled -> giveBack((Pulled<T>) pulled))
                        .doOnDiscard(type, giveBack)
                        .doFinally(end -> {
                            ended = true;
                            lookout.ends(this);
                            if (end != SignalType.ON_COMPLETE) {
                                flushAcknowledgements(); // else who consumes acknowledges the rest, and waits for it
                            }
                        }),
                attachments -> attachments.forEach(PubSub.Attachment::close));
    }

    private List<PubSub.Attachment> attach() {
        List<PubSub.Attachment> attachments = new ArrayList<>(units.size());
        units.forEach(unit ->
                attachments.add(redis.pubSub().attach(unit.wake(), false, signal -> signalled(unit, signal))));
        return attachments;
    }

    /** Acknowledges with the next pull, which is not waited for; by itself, and waited for, when there will be no further pull. */
    Mono<Void> acknowledge(Delivery lease, Receipt receipt) {
        if (!withPulls) {
            return Detached.run(lease.acknowledge(receipt), done -> {})
                    .onErrorResume(this::notAcknowledged)
                    .then();
        }
        toAcknowledge.add(receipt);
        wake.call();
        return ended ? acknowledgeRest() : Mono.empty();
    }

    /** Acknowledges what no pull has carried away. What fails comes again when its lease ends. */
    Mono<Void> acknowledgeRest() {
        return Flux.<Receipt>generate(sink -> {
                    Receipt next = toAcknowledge.poll();
                    if (next == null) {
                        sink.complete();
                    } else {
                        sink.next(next);
                    }
                })
                .flatMap(receipt -> Detached.run(leases.apply(receipt).acknowledge(receipt), done -> {})
                        .onErrorResume(this::notAcknowledged))
                .then();
    }

    private Mono<Boolean> notAcknowledged(Throwable error) {
        log.warn(
                "an acknowledgement in queue \"{}\" failed; the message comes again when its lease ends: {}",
                queue,
                error.getMessage());
        return Mono.empty();
    }

    /** Ends the loop after the round it is in: what that takes is still handed out. */
    void stop() {
        stopping = true;
        wake.call(); // after the mark, so that a round which begins now does not wait
    }

    private void signalled(Unit unit, PubSub.Signal signal) {
        if (signal instanceof PubSub.Signal.Failed failed) {
            log.warn(
                    "queue \"{}\" cannot be listened to, it is polled only: {}",
                    queue,
                    failed.error().getMessage());
        } else if (!(signal instanceof PubSub.Signal.Gap)) {
            pull.nudged(unit);
            lookout.heard(signal);
        }
    }

    /** Looks for what may be there now. */
    void wake() {
        wake.call();
    }

    /** One step of the loop: a pull, or a wait. Empty rounds are repeated, until told to stop. */
    private Mono<Pulled<T>> round() {
        if (stopping) {
            return Mono.empty();
        }
        int wanted = demand.open(perPull);
        if (wanted == 0) {
            return toAcknowledge.isEmpty() ? wake.await(options.pollInterval()).then(Mono.empty()) : acknowledgeOnly();
        }
        if (known && toAcknowledge.isEmpty()) {
            known = false;
            return lookout.waits(this) ? untilReason() : Mono.empty();
        }
        return pullOnce(wanted);
    }

    private Mono<Pulled<T>> untilReason() {
        return wake.await(options.pollInterval()).then(Mono.<Pulled<T>>fromRunnable(() -> lookout.leaves(this)));
    }

    private Mono<Pulled<T>> pullOnce(int wanted) {
        List<Receipt> acknowledge = drainAcknowledgements();
        wake.clear(); // what comes from here on may be news to the answer
        boolean maintain = lookout.looks() || due;
        due = false;
        Mono<Pulled<T>> pulling = pull.pull(wanted, acknowledge, maintain).doOnError(error -> {
            toAcknowledge.addAll(acknowledge); // acknowledging twice does no harm
            if (ended) {
                flushAcknowledgements();
            }
        });
        return Detached.run(pulling, this::giveBack)
                .doOnNext(pulled -> {
                    troubles = 0;
                    worked = true;
                    due = pulled.waitMs() == 0; // there is more that came due than one look takes care of
                    known = pulled.items().size() < wanted && !due;
                    demand.taken(pulled.items().size());
                    tellOthers(pulled);
                })
                .onErrorResume(this::paused);
    }

    private void tellOthers(Pulled<T> pulled) {
        if (!known && !pulled.items().isEmpty()) {
            lookout.next();
        } else if (pulled.waitMs() > 0
                && pulled.waitMs() < options.pollInterval().toMillis()) {
            lookout.dueIn(Duration.ofMillis(pulled.waitMs() + 1));
        }
    }

    /** Nothing is asked for: a pull that could carry the acknowledgements may still come, but not for long. */
    private Mono<Pulled<T>> acknowledgeOnly() {
        wake.clear();
        if (demand.open(1) > 0) {
            return Mono.empty();
        }
        return wake.await(ACK_PATIENCE).then(Mono.defer(() -> {
            if (demand.open(1) == 0) {
                flushAcknowledgements();
            }
            return Mono.empty();
        }));
    }

    private Mono<Pulled<T>> paused(Throwable error) {
        if (!(error instanceof MillraceException failure) || !(failure.retryable() || isTakenAway(failure))) {
            return Mono.error(error);
        }
        if (stopping) {
            return Mono.empty();
        }
        troubles++;
        if (troubles == 1) {
            log.warn("queue \"{}\" cannot be read for now, trying again: {}", queue, error.getMessage());
        }
        long ms = Math.min(LONGEST_PAUSE.toMillis(), FIRST_PAUSE.toMillis() << Math.min(troubles, 10));
        long jittered = ms / 2 + ThreadLocalRandom.current().nextLong(ms / 2 + 1);
        return Mono.delay(Duration.ofMillis(jittered), redis.worker()).then(Mono.empty());
    }

    /** Whether it was allowed before: somebody edits the user's rights, and may do so again. */
    private boolean isTakenAway(MillraceException failure) {
        return worked && failure instanceof RedisRefusedException refused && DENIALS.contains(refused.code());
    }

    private List<Receipt> drainAcknowledgements() {
        List<Receipt> receipts = new ArrayList<>();
        while (receipts.size() < LeaseOptions.MAX_BATCH_SIZE) {
            Receipt next = toAcknowledge.poll();
            if (next == null) {
                break;
            }
            if (next.profile().equals(options.profile())) {
                receipts.add(next);
            } else {
                leases.apply(next).acknowledgeLater(next); // extended for another time: not one of this pull's profile
            }
        }
        return receipts;
    }

    /** As {@link #acknowledgeRest}, for somebody who does not wait. */
    void flushAcknowledgements() {
        for (Receipt next = toAcknowledge.poll(); next != null; next = toAcknowledge.poll()) {
            leases.apply(next).acknowledgeLater(next);
        }
    }

    private void giveBack(Pulled<T> pulled) {
        pulled.items().forEach(giveBack);
    }
}
