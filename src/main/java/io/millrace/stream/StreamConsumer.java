package io.millrace.stream;

import io.millrace.lock.Lock;
import io.millrace.redis.Redis;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;
import org.reactivestreams.Publisher;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

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
    private final List<StreamKeys> shards;
    private final String name;
    private final Mono<Void> announce;
    private final ConsumerOptions options;

    StreamConsumer(Redis redis, List<StreamKeys> shards, String name, Mono<Void> announce, ConsumerOptions options) {
        this.redis = redis;
        this.shards = shards;
        this.name = StreamKeys.named("consumer", name);
        this.announce = announce;
        this.options = options;
    }

    /** The same consumer with other options. */
    public StreamConsumer with(ConsumerOptions others) {
        return new StreamConsumer(redis, shards, name, announce, others);
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
     * Has every batch handled, one after the other, and commits it then.
     *
     * @param handler completes when a batch is handled; called again with the same entries if it fails
     * @return runs until {@link ConsumerOptions.Builder#until}, a cancel, or the end of this Millrace; fails only when Redis refuses
     *     what it does for a reason that does not pass, such as missing rights
     */
    public Mono<Void> consume(Function<? super StreamBatch, ? extends Publisher<?>> handler) {
        return Mono.defer(() -> {
            AtomicBoolean ended = new AtomicBoolean();
            Mono<Void> end = Mono.when(options.until())
                    .onErrorComplete()
                    .doOnSuccess(done -> ended.set(true))
                    .cache();
            Mono<Void> deadline =
                    end.then(Mono.delay(options.drain(), redis.worker())).then();
            return Flux.fromIterable(shards)
                    .flatMap(
                            keys -> active(keys, end, ended, session -> {
                                Handling handling = new Handling(redis, session, name, options, deadline, handler);
                                return session.batches().takeUntilOther(end).concatMap(handling::handle, 0);
                            }),
                            Math.max(1, shards.size()))
                    .then();
        });
    }

    /**
     * Batches to commit oneself, each read only when it is asked for: with {@code request(1)} one at the most is held.
     *
     * @return never ends by itself; batches of different shards are mixed
     */
    public Flux<StreamDelivery> batches() {
        return Flux.defer(() -> Flux.fromIterable(shards)
                .flatMap(
                        keys -> active(
                                keys,
                                Mono.never(),
                                new AtomicBoolean(),
                                session -> session.batches().map(batch -> new StreamDelivery(batch, session))),
                        Math.max(1, shards.size()),
                        1));
    }

    /** Moves the offset: the next entry is the first one after this id, for better or worse. What is being handled is refused its commit. */
    public Mono<Void> seek(EntryId after) {
        return seek(after.toString());
    }

    /** As {@link #seek(EntryId)}: the next entry is the first one added at this time or later. */
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
        return Flux.fromIterable(shards)
                .concatMap(keys -> redis.run(
                        StreamScripts.PAUSE,
                        List.of(keys.unitKey(), keys.lock(name).lock()),
                        List.of(StreamKeys.bytes(name), StreamKeys.bytes(mode))))
                .reduce(false, (changed, reply) -> changed || reply.number(1) == 1);
    }

    private Mono<Void> seek(String id) {
        return Flux.fromIterable(shards)
                .concatMap(keys -> redis.run(
                        StreamScripts.SEEK,
                        List.of(
                                keys.logKey(),
                                keys.unitKey(),
                                keys.offset(name),
                                keys.lock(name).lock(),
                                keys.lock(name).fence()),
                        List.of(StreamKeys.bytes(name), StreamKeys.bytes(id))))
                .then();
    }

    /** One holding of the lock after the other, through whatever trouble there is with Redis. */
    private <T> Flux<T> active(StreamKeys keys, Mono<Void> end, AtomicBoolean ended, Function<Session, Flux<T>> work) {
        Lock lock = new Lock(redis, keys.lock(name)).lease(options.lease());
        return announce.thenMany(lock.whileHeld(
                        end,
                        lease -> Flux.usingWhen(
                                redis.dedicated(Session.BLOCK),
                                reader -> work.apply(new Session(redis, keys, name, options, lease, reader)),
                                reader -> reader.close().onErrorComplete())))
                .onErrorResume(Delayer::isPassing, error -> {
                    log.warn(
                            "consumer \"{}\" of stream \"{}\" begins anew: {}",
                            name,
                            keys.stream(),
                            error.getMessage());
                    return Mono.delay(PAUSE, redis.worker()).then(Mono.empty());
                })
                .repeat(() -> !ended.get())
                .takeUntilOther(redis.closed());
    }
}
