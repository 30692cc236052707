package io.millrace.stream;

import io.millrace.MillraceException;
import io.millrace.lock.Lease;
import io.millrace.lock.LeaseLostException;
import io.millrace.redis.BlockingReader;
import io.millrace.redis.PubSub;
import io.millrace.redis.Redis;
import io.millrace.redis.WakeUp;
import io.millrace.stream.StreamScripts.Standing;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * One holding of a consumer's lock: reads batches as they are asked for, and commits them under the holding's fence.
 *
 * <pre>
 *           demand                nothing for a while · something happened
 *  IDLE ──────────────▶ READING ─────────────────────────────────────────▶ LOOKING (paused? gap? deleted?)
 *   ▲                    │  ▲                                                │
 *   └────────────────────┘  └────────────────────────────────────────────────┘
 *     a batch, no demand
 * </pre>
 */
final class Session {

    private static final Logger log = LoggerFactory.getLogger(Session.class);

    /** How long one read waits on the server: longer saves commands while idle. */
    static final Duration BLOCK = Duration.ofSeconds(2);

    private static final Duration LOOK_AGAIN = Duration.ofSeconds(1);
    private static final Duration PAUSE = Duration.ofMillis(100);

    /** What is put aside with a commit. */
    record Parked(StreamEntry entry, int attempts, String cause) {

        /** As the scripts take it. */
        void addTo(List<byte[]> args) {
            args.add(StreamKeys.bytes(entry.id().toString()));
            args.add(entry.bytesOrEmpty());
            args.add(StreamKeys.bytes(attempts));
            args.add(StreamKeys.bytes(cause));
        }
    }

    private final Redis redis;
    private final StreamKeys keys;
    private final String consumer;
    private final ConsumerOptions options;
    private final Lease lease;
    private final BlockingReader reader;
    private final WakeUp wake;
    private final Lane lane;
    private final Demand demand;
    private final Claim claim;
    private final Tail tail;

    // Touched by the loop only, one round after another.
    private EntryId position = EntryId.ZERO;
    private boolean paused;
    private boolean trouble;
    private boolean looked; // once at least

    private final Passed passed = new Passed();
    private volatile boolean look = true;
    private volatile EntryId handedOver = EntryId.ZERO;
    private volatile EntryId committed = EntryId.ZERO;
    private volatile EntryId handedOverInLane = EntryId.ZERO;
    private volatile EntryId committedInLane = EntryId.ZERO;

    /** @param tail what earlier holdings of this reader know of the log */
    Session(
            Redis redis,
            StreamKeys keys,
            String consumer,
            ConsumerOptions options,
            Lease lease,
            BlockingReader reader,
            Demand demand,
            Tail tail) {
        this.demand = demand;
        this.claim = new Claim(demand);
        this.tail = tail;
        this.redis = redis;
        this.keys = keys;
        this.consumer = consumer;
        this.options = options;
        this.lease = lease;
        this.reader = reader;
        this.lane = new Lane(redis, keys, consumer, lease);
        this.wake = new WakeUp(redis.worker());
    }

    /** Batches as long as there is demand for them: none is read before that. What is left of the demand is seen to by others. */
    Flux<StreamBatch> batches() {
        return Flux.using(
                () -> {
                    demand.join(wake);
                    return redis.pubSub().attach(keys.lock(consumer).lock(), false, this::signalled);
                },
                attached -> Mono.defer(this::round).repeat(),
                attached -> {
                    attached.close();
                    demand.leave(wake);
                    claim.giveBack(); // it was on its way when this ended: nobody gets it
                });
    }

    /** Adds to the demand of who reads this session alone. */
    void ask(long n) {
        demand.add(n);
    }

    /** False: this ended while the batch was on its way, and its demand was given to others; it is not handed out. */
    boolean handOver(StreamBatch batch) {
        if (!claim.spend(batch)) {
            return false;
        }
        if (batch.backfill()) {
            handedOverInLane = batch.lastId();
        } else {
            handedOver = batch.lastId();
        }
        return true;
    }

    /** Completes when what was handed out is committed. */
    Mono<Void> settled() {
        return Mono.defer(() -> {
                    wake.clear();
                    return committed.compareTo(handedOver) >= 0 && committedInLane.compareTo(handedOverInLane) >= 0
                            ? Mono.just(true)
                            : wake.await(LOOK_AGAIN).then(Mono.<Boolean>empty());
                })
                .repeat()
                .next()
                .then();
    }

    /**
     * Everything up to an id is handled.
     *
     * @param backfill whether that is in the lane of backfills
     * @param parked what could not be, up to that id
     * @return fails with {@link LeaseLostException} when another instance was made the active one meanwhile
     */
    Mono<Void> commit(boolean backfill, EntryId upTo, List<Parked> parked) {
        return backfill ? commitInLane(upTo, parked) : commit(upTo, parked);
    }

    private Mono<Void> commitInLane(EntryId upTo, List<Parked> parked) {
        return lane.commit(upTo, parked)
                .flatMap(answer -> answer.outcome() == StreamScripts.Outcome.OK
                        ? Mono.fromRunnable(() -> {
                            committedInLane = answer.offset();
                            wake.call();
                        })
                        : refused(answer.outcome(), upTo, answer.offset()));
    }

    private Mono<Void> commit(EntryId upTo, List<Parked> parked) {
        return Mono.defer(() -> {
            List<byte[]> args = new ArrayList<>(4 + 4 * parked.size());
            args.add(StreamKeys.bytes(consumer));
            args.add(StreamKeys.bytes(lease.token()));
            args.add(StreamKeys.bytes(lease.fence()));
            args.add(StreamKeys.bytes(upTo.toString()));
            parked.forEach(one -> one.addTo(args));
            long seen = tail.seen();
            return redis.run(
                            StreamScripts.COMMIT,
                            List.of(
                                    keys.logKey(),
                                    keys.unitKey(),
                                    keys.offset(consumer),
                                    keys.lock(consumer).lock(),
                                    keys.lock(consumer).fence()),
                            args)
                    .flatMap(answer -> {
                        if (answer.outcome() != StreamScripts.Outcome.OK) {
                            return refused(
                                    answer.outcome(), upTo, answer.standing().offset());
                        }
                        committed = answer.standing().offset();
                        wake.call();
                        compare(answer.standing(), seen);
                        return Mono.empty();
                    });
        });
    }

    private Mono<Void> refused(StreamScripts.Outcome outcome, EntryId upTo, EntryId offset) {
        return refused(
                upTo,
                switch (outcome) {
                    case OLDER -> offset + " is committed already";
                    case UNKNOWN -> "it is not registered any more";
                    default -> "another instance of it has become the active one";
                });
    }

    private Mono<Void> refused(EntryId id, String why) {
        return Mono.error(new LeaseLostException(
                "consumer \"" + consumer + "\" of stream \"" + keys.stream() + "\" cannot commit " + id + ": " + why));
    }

    private void signalled(PubSub.Signal signal) {
        look = true;
        wake.call();
    }

    /** One step of the loop: a read, a look around, or a wait. Empty rounds are repeated. */
    private Mono<StreamBatch> round() {
        wake.clear();
        if (!demand.isOpen()) {
            return wake.await(LOOK_AGAIN).then(Mono.empty());
        }
        if (look || lane.isToBeLookedAt()) {
            return lookAround().onErrorResume(Delayer::isPassing, this::paused).then(Mono.empty());
        }
        if (paused) {
            look = true;
            return wake.await(LOOK_AGAIN).then(Mono.empty());
        }
        return read().onErrorResume(Delayer::isPassing, error -> paused(error).then(Mono.empty()));
    }

    /** The lock is kept meanwhile, for as long as it can be: nobody else could do better. */
    private Mono<Void> paused(Throwable error) {
        look = true;
        if (!trouble) {
            log.warn(
                    "stream \"{}\" cannot be read for now by consumer \"{}\", trying again: {}",
                    keys.stream(),
                    consumer,
                    error.getMessage());
        }
        trouble = true;
        return Mono.delay(PAUSE, redis.worker()).then();
    }

    /**
     * What is there; else waits for something. Where other shards' readers take from the same demand, nothing is read before it is taken:
     * while this one waits, it is left to them.
     */
    private Mono<StreamBatch> read() {
        if (demand.isShared()) {
            return claimed(Mono.defer(this::next)).switchIfEmpty(Mono.defer(this::untilSomethingComes));
        }
        return lane.isOpen()
                ? claimed(Mono.defer(this::next))
                : log(options.batchSize(), "BLOCK", BLOCK.toMillis()).flatMap(entries -> {
                    look |= entries.isEmpty(); // nothing came: is everything still in its place?
                    return claimed(taken(entries));
                });
    }

    /** Of the log; of the lane of backfills what is its share, and when the log has nothing. */
    private Mono<StreamBatch> next() {
        if (!lane.isOpen()) {
            return log(options.batchSize()).flatMap(this::taken);
        }
        return lane.goesFirst()
                ? backfill()
                : log(options.batchSize()).flatMap(entries -> entries.isEmpty() ? backfill() : taken(entries));
    }

    private Mono<StreamBatch> untilSomethingComes() {
        return lane.isOpen() || look
                ? Mono.empty()
                : log(1, "BLOCK", BLOCK.toMillis())
                        .doOnNext(entries -> look |= entries.isEmpty())
                        .then(Mono.empty());
    }

    /** Takes one of what was asked for, and gives it back if there is no batch for it. */
    private Mono<StreamBatch> claimed(Mono<StreamBatch> reading) {
        return Mono.defer(() -> {
            if (!claim.take()) {
                return Mono.empty(); // another one was faster; what was read is read again
            }
            return reading.filter(claim::fill)
                    .switchIfEmpty(Mono.fromRunnable(claim::giveBack))
                    .doOnError(error -> claim.giveBack());
        });
    }

    private Mono<List<StreamEntry>> log(int most, Object... block) {
        List<Object> words = new ArrayList<>(List.of("COUNT", most));
        words.addAll(List.of(block));
        words.addAll(List.of("STREAMS", keys.logKey(), position.toString()));
        return reader.xread(
                        StreamEntry.PAYLOAD,
                        (ms, seq, payload) -> new StreamEntry(new EntryId(ms, seq), payload),
                        words.toArray())
                .defaultIfEmpty(List.of());
    }

    private Mono<StreamBatch> taken(List<StreamEntry> entries) {
        return entries.isEmpty() || look // what was read is read again once we know where we stand
                ? Mono.empty()
                : Mono.fromSupplier(() -> {
                    StreamBatch batch = new StreamBatch(keys.stream(), keys.shard(), entries, false, lease.fence());
                    passed.read(position, entries);
                    position = batch.lastId();
                    tail.read(entries);
                    lane.overtakenBy(entries);
                    return batch;
                });
    }

    private Mono<StreamBatch> backfill() {
        return lane.next(options.batchSize(), position)
                .map(entries -> new StreamBatch(keys.stream(), keys.shard(), entries, true, lease.fence()));
    }

    /** Compares where we stand with what is there; puts the consumer on record again if Redis has lost everything. */
    private Mono<Void> lookAround() {
        look = false;
        long seen = tail.seen();
        return StreamScripts.open(redis, keys, consumer, options.beginAfter().toString(), false)
                .flatMap(standing -> {
                    if (!looked) {
                        position = standing.offset();
                    }
                    paused = standing.paused();
                    passed.isMissing(standing);
                    return gap(standing, seen)
                            .then(Mono.defer(this::tellMissed))
                            .then(Mono.defer(() -> lane.look(position)))
                            .then(Mono.fromRunnable(() -> {
                                tail.at(standing);
                                looked = true;
                                trouble = false;
                            }));
                })
                .doOnError(error -> look = true)
                .then();
    }

    private Mono<Void> gap(Standing standing, long seen) {
        boolean reset = standing.last().compareTo(position) < 0
                || Tail.wentBack(standing, seen)
                || (!looked && standing.added() < standing.addedBefore());
        EntryId before = position;
        if (reset) {
            // What is committed counts; ids that were given before go on from there.
            position = standing.offset();
            passed.clear();
            return tell(new Gap(keys.stream(), consumer, position, max(before, standing.last()), Gap.Reason.RESET));
        }
        if (standing.trimmed().isAfter(position)) {
            return tell(new Gap(keys.stream(), consumer, before, standing.trimmed(), Gap.Reason.TRIMMED))
                    .then(Mono.fromRunnable(() -> position = standing.trimmed()));
        }
        return Mono.empty();
    }

    private Mono<Void> tellMissed() {
        Passed.Missed next = passed.next();
        return next == null
                ? Mono.empty()
                : tell(new Gap(keys.stream(), consumer, next.after(), next.upTo(), Gap.Reason.TRIMMED))
                        .then(Mono.fromRunnable(passed::told))
                        .then(Mono.defer(this::tellMissed));
    }

    private Mono<Void> tell(Gap gap) {
        log.warn("entries are missing: {}", gap);
        return Mono.defer(() -> Mono.when(options.onGap().apply(gap)))
                .onErrorMap(error -> new MillraceException("telling about a gap failed: " + error, true, error));
    }

    /** After a commit: whether something needs a closer look. */
    private void compare(Standing standing, long seen) {
        if (passed.isMissing(standing)
                || standing.paused()
                || Tail.wentBack(standing, seen)
                || standing.last().compareTo(standing.offset()) < 0
                || standing.trimmed().isAfter(standing.offset())) {
            look = true;
            wake.call();
        } else {
            tail.at(standing);
        }
    }

    private static EntryId max(EntryId one, EntryId other) {
        return one.isAfter(other) ? one : other;
    }
}
