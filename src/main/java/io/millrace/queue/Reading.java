package io.millrace.queue;

import io.millrace.queue.Pulls.Pulled;
import io.millrace.redis.PubSub;
import io.millrace.redis.Redis;
import io.millrace.redis.WakeUp;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
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
 * As long as pulls give all that they are asked for, and there is demand for more, the next ones are sent ahead, see {@link PullAhead};
 * what they bring is handed out in the order they were sent.
 *
 * <p>A nudge that comes while a pull is out is remembered. Acknowledgements that nobody waits for travel with the next pull; when there
 * is none to come, they go by themselves.
 *
 * @param <T> what is handed out: a delivery, or a batch of them
 */
final class Reading<T> {

    private static final Logger log = LoggerFactory.getLogger(Reading.class);

    /** How long an acknowledgement waits for a pull to travel with when nothing is asked for. */
    private static final Duration ACK_PATIENCE = Duration.ofMillis(5);

    /** How elements are taken. */
    interface Pull<T> {
        Mono<Pulled<T>> pull(PullRequest request);

        /** There may be something new at this unit; called from any thread. */
        default void nudged(Unit unit) {}
    }

    private final Redis redis;
    private final Lookout lookout;
    private final List<Unit> units;
    private final String queue;
    private final LeaseOptions options;
    private final Pull<T> pull;
    private final Consumer<T> giveBack;
    private final Acknowledgements acknowledgements;

    private final WakeUp wake;
    private final Troubles troubles;
    private final Demand demand = new Demand();
    private final PullAhead<T> pulls;
    // Touched by the loop only, one round after another.
    private boolean known; // that nothing more was there when we last looked
    private boolean withPulls = true; // whether acknowledgements travel with pulls
    private Mono<Void> alongside = Mono.never();
    private volatile boolean due; // something may be due: look for it
    private volatile boolean stopping; // no further pull
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
        this.options = options;
        this.pull = pull;
        this.giveBack = giveBack;
        this.acknowledgements = new Acknowledgements(queue, leases);
        this.wake = new WakeUp(redis.worker());
        this.troubles = new Troubles(queue, redis.worker());
        this.pulls = new PullAhead<>(demand, perPull, !redis.isCluster(), preparing(), this::giveBack);
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
    Flux<T> flux(Class<T> type) {
        return flux(type, 0, each -> {});
    }

    /**
     * What is handed out, as much as is asked for.
     *
     * @param prefetch how many more are leased than are asked for
     * @param leased is told of each, before it waits to be asked for
     */
    @SuppressWarnings("unchecked")
    Flux<T> flux(Class<T> type, int prefetch, Consumer<T> leased) {
        demand.prefetch(prefetch);
        return Flux.using(
                this::attach,
                attachments -> Mono.defer(this::round)
                        .repeat(() -> !stopping || pulls.hasOne())
                        .flatMapIterable(Pulled::items, 1)
                        .doOnNext(leased)
                        .transform(items -> prefetch == 0 ? items : items.onBackpressureBuffer())
                        .doOnRequest(n -> {
                            demand.add(n);
                            wake.call(); // forgotten if a pull goes out for it
                            pulls.asked();
                        })
                        .takeUntilOther(alongside)
                        .takeUntilOther(redis.closed())
                        // Behind everything that may drop an element in the moment of a cancel: it is told those before
                        // it.
                        .doOnDiscard(Pulled.class, pulled -> giveBack((Pulled<T>) pulled))
                        .doOnDiscard(type, giveBack)
                        .doFinally(end -> {
                            ended = true;
                            pulls.end();
                            lookout.ends(this);
                            if (end != SignalType.ON_COMPLETE) {
                                acknowledgements.flush(); // else who consumes acknowledges the rest, and waits for it
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
            return acknowledgements.alone(lease.acknowledge(receipt));
        }
        acknowledgements.add(receipt);
        wake.call();
        return ended ? acknowledgements.send() : Mono.empty();
    }

    /** Acknowledges what no pull has carried away. What fails comes again when its lease ends. */
    Mono<Void> acknowledgeRest() {
        return acknowledgements.send();
    }

    /** As {@link #acknowledgeRest}, for somebody who does not wait. */
    void flushAcknowledgements() {
        acknowledgements.flush();
    }

    /** Ends the loop after the round it is in: what that takes is still handed out. */
    void stop() {
        stopping = true;
        pulls.stop();
        wake.call(); // after the mark, so that a round which begins now does not wait
    }

    /** Whether it has been told to end. */
    boolean isStopping() {
        return stopping;
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
        PullAhead.Out<T> sent = pulls.take();
        if (sent != null) {
            return answer(sent);
        }
        if (stopping) {
            return Mono.empty();
        }
        if (demand.open(1) == 0) {
            return acknowledgements.isEmpty()
                    ? wake.await(options.pollInterval()).then(Mono.empty())
                    : acknowledgeOnly();
        }
        if (known && acknowledgements.isEmpty()) {
            known = false;
            return lookout.waits(this) ? untilReason() : Mono.empty();
        }
        PullAhead.Out<T> next = pulls.next();
        return next == null ? Mono.empty() : answer(next);
    }

    private Mono<Pulled<T>> untilReason() {
        return wake.await(options.pollInterval()).then(Mono.<Pulled<T>>fromRunnable(() -> lookout.leaves(this)));
    }

    private PullAhead.Preparing<T> preparing() {
        return new PullAhead.Preparing<>() {
            @Override
            public Mono<Pulled<T>> pull(int wanted, boolean inTurn, Runnable gaveAll) {
                return prepare(wanted, inTurn, gaveAll);
            }

            @Override
            public Mono<Pulled<T>> earlier(Mono<Pulled<T>> answer) {
                return redis.whereAnswersArrive(answer);
            }
        };
    }

    /** Also sent while what came before is being handed out. */
    private Mono<Pulled<T>> prepare(int wanted, boolean inTurn, Runnable gaveAll) {
        return Mono.defer(() -> {
            List<Receipt> acknowledge = acknowledgements.forPull(options.profile());
            wake.clear(); // what comes from here on may be news to the answer
            boolean maintain = lookout.looks() || due;
            due = false;
            return pull.pull(new PullRequest(wanted, acknowledge, maintain, inTurn, gaveAll))
                    .doOnError(error -> {
                        acknowledgements.addAgain(acknowledge);
                        if (ended) {
                            acknowledgements.flush();
                        }
                    });
        });
    }

    private Mono<Pulled<T>> answer(PullAhead.Out<T> out) {
        return pulls.answer(out)
                .doOnNext(pulled -> {
                    troubles.over();
                    boolean moreDue = pulled.waitMs() == 0; // more came due than one look takes care of
                    if (moreDue) {
                        due = true;
                    }
                    known = pulled.items().size() < out.wanted() && !moreDue;
                    tellOthers(pulled);
                })
                .onErrorResume(error -> {
                    known = false; // what it was woken by has not been looked at
                    if (!troubles.pass(error)) {
                        return Mono.error(error);
                    }
                    return stopping ? Mono.empty() : troubles.pause(error);
                });
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
                acknowledgements.flush();
            }
            return Mono.empty();
        }));
    }

    private void giveBack(Pulled<T> pulled) {
        pulled.items().forEach(giveBack);
    }
}
