package io.millrace.stream;

import io.millrace.lock.Lease;
import io.millrace.lock.LeaseLostException;
import io.millrace.lock.Lock;
import io.millrace.lock.Membership;
import io.millrace.redis.Redis;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import java.util.function.Supplier;
import org.reactivestreams.Publisher;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.util.retry.Retry;

/**
 * Reads a stream from the beginning, in order, under a name, and remembers how far it has come: the offset, committed after the handler.
 *
 * <p>Of all instances of a name, in this and other processes, one is active at a time; the others stand by, take over at once when it
 * leaves, and when its lease ends if it dies. An instance that was paused for longer than its lease may run its handler to the end, but
 * its commit is refused ({@link StreamBatch#fence} lets a store refuse it as well). So delivery is at least once, and no offset ever
 * moves back unless somebody calls {@link #seek}.
 *
 * <p>A batch that fails is tried again, with growing pauses, then divided until the entry that fails is found; that one becomes a dead
 * letter, see {@link ChangeStream#deadLetters}, and the rest goes on.
 *
 * <p>Everything is cold and driven by demand; a cancel commits nothing that was not handled, and gives the lock back. Reading goes on by
 * itself after a restart or failover of Redis. Handlers are called on {@link ConsumerOptions#scheduler()}. Immutable, thread safe.
 */
public final class StreamConsumer {

    private static final Logger log = LoggerFactory.getLogger(StreamConsumer.class);

    private static final Duration PAUSE = Duration.ofMillis(100);

    private final Redis redis;
    private final Layout layout;
    private final String name;
    private final ConsumerOptions options;

    StreamConsumer(Redis redis, Layout layout, String name, ConsumerOptions options) {
        this.redis = redis;
        this.layout = layout;
        this.name = StreamKeys.named("consumer", name);
        this.options = options;
    }

    /** The same consumer with other options. */
    public StreamConsumer with(ConsumerOptions others) {
        return new StreamConsumer(redis, layout, name, others);
    }

    /** See {@link ConsumerOptions.Builder#batchSize}. */
    public StreamConsumer batchSize(int size) {
        return with(options.mutate().batchSize(size).build());
    }

    /** See {@link ConsumerOptions.Builder#concurrency}. */
    public StreamConsumer concurrency(int handlers) {
        return with(options.mutate().concurrency(handlers).build());
    }

    /** See {@link ConsumerOptions.Builder#keyedBy}. */
    public StreamConsumer keyedBy(Function<? super StreamEntry, ?> key) {
        return with(options.mutate().keyedBy(key).build());
    }

    /** See {@link ConsumerOptions.Builder#until}. */
    public StreamConsumer until(Publisher<?> end) {
        return with(options.mutate().until(end).build());
    }

    /** See {@link ConsumerOptions.Builder#onGap}. */
    public StreamConsumer onGap(Function<? super Gap, ? extends Publisher<?>> listener) {
        return with(options.mutate().onGap(listener).build());
    }

    /** How it works. */
    public ConsumerOptions options() {
        return options;
    }

    /**
     * Has every batch handled, and commits it then; with several handlers two batches may be under way, see {@link
     * ConsumerOptions.Builder#concurrency}, with one it is one after the other. While a batch is being committed the next one is read and
     * handled, so after a crash up to three batches come again, with several handlers up to four.
     *
     * @param handler completes when a batch is handled; called again with the same entries if it fails
     * @return runs until {@link ConsumerOptions.Builder#until}, a cancel, or the end of this Millrace; fails with {@link
     *     UnregisteredConsumerException} when somebody unregisters it, and when Redis refuses what it does for a reason that does not
     *     pass, such as missing rights
     */
    public Mono<Void> consume(Function<? super StreamBatch, ? extends Publisher<?>> handler) {
        return this.<Void>shards(options.until(), Demand::new, (session, end) -> {
                    Handling handling = new Handling(redis, session, name, options, drained(end), handler);
                    return handling.handle(
                            session.batches().doOnRequest(session::ask).takeUntilOther(end));
                })
                .then();
    }

    /**
     * Batches to commit oneself, each read only when it is asked for: with {@code request(1)} one at the most is held, however many
     * shards are read.
     *
     * @return batches of different shards are mixed. A shard that goes to another member is kept until what was handed out of it is
     *     committed, for {@link ConsumerOptions#drain()} at the most; {@link ConsumerOptions.Builder#until} ends all of them like that,
     *     and then this. Fails as {@link #consume} does
     */
    public Flux<StreamDelivery> batches() {
        return Flux.defer(() -> {
            Demand demand = new Demand();
            return shards(
                            options.until(),
                            () -> demand,
                            (session, end) -> session.batches()
                                    .map(batch -> new StreamDelivery(batch, session))
                                    .takeUntilOther(end)
                                    .filter(StreamDelivery::handOver)
                                    .concatWith(session.settled()
                                            .takeUntilOther(drained(end))
                                            .then(Mono.empty())))
                    .doOnRequest(demand::add);
        });
    }

    /** When what runs is cut off. */
    private Mono<Void> drained(Mono<Void> end) {
        return end.then(Mono.delay(options.drain(), redis.worker())).then();
    }

    /**
     * Moves the offset: the next entry is the first one after this id, for better or worse; beyond the end is the end. What is being
     * handled is refused its commit.
     *
     * @return fails with {@link UnregisteredConsumerException} if there is no such consumer: a name that is mistyped would keep everything
     *     from being trimmed
     */
    public Mono<Void> seek(EntryId after) {
        return seek(after.toString());
    }

    /** As {@link #seek(EntryId)}: the next entry is the first one added at this time or later, of a time to come the next one added. */
    public Mono<Void> seek(Instant time) {
        return seek(EntryId.before(time));
    }

    /** Back to the first entry there is. */
    public Mono<Void> seekToBeginning() {
        return seek(EntryId.ZERO);
    }

    /** Behind the last entry there is: what has not been read is skipped. */
    public Mono<Void> seekToEnd() {
        return seek("$");
    }

    /** Stops all instances from reading on, until {@link #resume}; what is being handled is finished. False: it was paused already. */
    public Mono<Boolean> pause() {
        return pause("1");
    }

    /** Lets instances read on. False: it was not paused. */
    public Mono<Boolean> resume() {
        return pause("0");
    }

    private Mono<Boolean> pause(String mode) {
        return layout.shards()
                .flatMapIterable(all -> all)
                .concatMap(keys -> redis.run(
                        StreamScripts.PAUSE,
                        List.of(keys.unitKey(), keys.lock(name).lock()),
                        List.of(StreamKeys.bytes(name), StreamKeys.bytes(mode))))
                .reduce(false, (changed, reply) -> changed || reply.number(1) == 1);
    }

    private Mono<Void> seek(String id) {
        return layout.shards()
                .flatMapIterable(all -> all)
                .concatMap(keys -> redis.run(
                                StreamScripts.SEEK,
                                List.of(
                                        keys.logKey(),
                                        keys.unitKey(),
                                        keys.offset(name),
                                        keys.lock(name).lock(),
                                        keys.lock(name).fence()),
                                List.of(StreamKeys.bytes(name), StreamKeys.bytes(id)))
                        .filter(known -> known)
                        .switchIfEmpty(Mono.error(() -> new UnregisteredConsumerException(
                                layout.stream(), name, "its name is mistyped, or it is to be registered first"))))
                .then();
    }

    /** What to do while a shard's lock is held, until it is to be read no more. */
    private interface Work<T> {
        Flux<T> of(Session session, Mono<Void> end);
    }

    /** What does it, for whom, and what is known of the log, by shard. */
    private record Reading<T>(Supplier<Demand> demand, Work<T> work, Map<Integer, Tail> tails) {}

    /** The only shard, or those that are this member's among all who read under this name. */
    private <T> Flux<T> shards(Publisher<?> until, Supplier<Demand> demand, Work<T> work) {
        return Flux.defer(() -> {
            Stop stop = new Stop(Mono.when(until));
            Reading<T> reading = new Reading<>(demand, work, new ConcurrentHashMap<>());
            return layout.created()
                    .delayUntil(this::registered)
                    .retryWhen(Retry.fixedDelay(Long.MAX_VALUE, PAUSE).filter(Delayer::isPassing))
                    .takeUntilOther(Mono.firstWithSignal(redis.closed(), stop.reached()))
                    .flatMapMany(
                            all -> all.size() == 1 ? alone(all.get(0), stop, reading) : together(all, stop, reading))
                    .takeUntilOther(redis.closed());
        });
    }

    /** On every shard before the first is read: nothing is trimmed of those that somebody else, or nobody yet, reads. */
    private Mono<Void> registered(List<StreamKeys> all) {
        return Flux.fromIterable(all)
                .flatMap(keys -> StreamScripts.open(
                        redis, keys, name, options.beginAfter().toString(), true))
                .then();
    }

    /** One holding of the lock after the other, through whatever trouble there is with Redis. */
    private <T> Flux<T> alone(StreamKeys keys, Stop stop, Reading<T> reading) {
        return new Lock(redis, keys.lock(name))
                .lease(options.lease())
                .whileHeld(stop.reached(), lease -> read(keys, lease, stop.reached(), reading))
                .onErrorResume(Delayer::isPassing, error -> paused(keys, error).then(Mono.empty()))
                .repeat(() -> !stop.isReached());
    }

    /** Each shard for as long as it is this member's share; a lock that is lost is taken again where shares are taken. */
    private <T> Flux<T> together(List<StreamKeys> all, Stop stop, Reading<T> reading) {
        List<Lock> locks =
                all.stream().map(keys -> new Lock(redis, keys.lock(name))).toList();
        return new Membership(redis, all.get(0).group(name), locks)
                .ttl(options.lease())
                .share(stop.reached(), share -> {
                    StreamKeys keys = all.get(share.index());
                    return read(keys, share.lease(), share.revoked(), reading)
                            .onErrorResume(
                                    Delayer::isPassing,
                                    error -> paused(keys, error)
                                            .then(
                                                    error instanceof LeaseLostException
                                                            ? Mono.error(error)
                                                            : Mono.empty()))
                            .repeat(() -> !share.isRevoked());
                });
    }

    private <T> Flux<T> read(StreamKeys keys, Lease lease, Mono<Void> end, Reading<T> reading) {
        Tail tail = reading.tails().computeIfAbsent(keys.shard(), first -> new Tail());
        return Flux.usingWhen(
                redis.dedicated(Session.BLOCK),
                reader -> reading.work()
                        .of(
                                new Session(
                                        redis,
                                        keys,
                                        name,
                                        options,
                                        lease,
                                        reader,
                                        reading.demand().get(),
                                        tail),
                                end),
                reader -> reader.close().onErrorComplete());
    }

    private Mono<Long> paused(StreamKeys keys, Throwable error) {
        log.warn("consumer \"{}\" of stream \"{}\" begins anew: {}", name, keys.stream(), error.getMessage());
        return Mono.delay(PAUSE, redis.worker());
    }

    /** When to read no more. */
    private static final class Stop {

        private final Mono<Void> reached;
        private volatile boolean isReached;

        Stop(Mono<Void> when) {
            this.reached =
                    when.onErrorComplete().doOnSuccess(done -> isReached = true).cache();
        }

        Mono<Void> reached() {
            return reached;
        }

        boolean isReached() {
            return isReached;
        }
    }
}
