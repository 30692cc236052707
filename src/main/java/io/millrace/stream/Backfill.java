package io.millrace.stream;

import io.millrace.MillraceException;
import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Masses of records that all registered consumers of a stream are to handle beside its live entries: to fill a new store, or one that
 * has lost something. They wait in a lane of their own, a bounded number of them: they are taken from their source only as consumers get
 * on.
 *
 * <p>Live entries go first; a backfill gets what is left, and one batch in ten while there is always something live. What is guaranteed
 * with {@link StreamConsumer#consume}, for each record ({@link Change#key}): a backfilled entry is never handled at the same time as a
 * live one, nor before live ones that were there when it was added; and it is left out when a live entry of its record has come
 * later, which was or will be handled. So what is old never overwrites what is new, as far as <em>added</em> later means new: records
 * that were read from the primary store before they were added here may be older than live entries from before; guard such with a
 * version, see {@link StreamBatch#latest}. With {@link StreamConsumer#batches} the same holds if batches are handled one by one.
 *
 * <p>A backfill has an id, under which it is remembered for 30 days: fed again with the same records in the same order it goes on where
 * it stopped. Everything is cold; a cancelled subscription leaves what was added. Thread safe.
 */
public final class Backfill {

    /** How many records of one backfill wait in each shard at most, about: {@value}. */
    public static final int MOST_WAITING = 10_000;

    private static final Duration REMEMBERED = Duration.ofDays(30);
    private static final Duration PAUSE = Duration.ofMillis(100);
    private static final Duration LOOK = Duration.ofMillis(500);
    private static final int PIECE = 500;

    private enum Fed {
        OK,
        FULL,
        NOBODY,
        CANCELLED
    }

    private record Numbered(long number, Change change) {}

    private final Redis redis;
    private final Layout layout;
    private final String id;

    Backfill(Redis redis, Layout layout, String id) {
        this.redis = redis;
        this.layout = layout;
        this.id = StreamKeys.named("backfill", id);
    }

    /**
     * Adds records, as consumers get on with those before.
     *
     * @param records ids, payloads or {@link Change}s, as for {@link StreamProducer}. Up to 1,500 are asked for ahead
     * @return when all are added: how many there were, those included that were added before. Fails when no consumer is registered, or
     *     when it was cancelled
     */
    public Mono<Long> feed(Publisher<?> records) {
        return layout.created()
                .flatMap(shards -> Flux.from(records)
                        .map(Change::of)
                        .index(Numbered::new)
                        .buffer(PIECE)
                        .concatMap(piece -> add(shards, piece).thenReturn((long) piece.size()), 1)
                        .reduce(0L, Long::sum)
                        .delayUntil(all -> Flux.fromIterable(shards).concatMap(keys -> add(keys, List.of(), true))));
    }

    private Mono<Void> add(List<StreamKeys> shards, List<Numbered> piece) {
        List<List<Numbered>> parts = new ArrayList<>();
        shards.forEach(keys -> parts.add(new ArrayList<>()));
        piece.forEach(one -> parts.get(StreamProducer.shardOf(one.change().key(), shards.size()))
                .add(one));
        return Flux.fromIterable(shards)
                .filter(keys -> !parts.get(keys.shard()).isEmpty())
                .flatMap(keys -> add(keys, parts.get(keys.shard()), false))
                .then();
    }

    private Mono<Void> add(StreamKeys keys, List<Numbered> part, boolean last) {
        List<byte[]> args = new ArrayList<>(4 + 2 * part.size());
        args.add(StreamKeys.bytes(id));
        args.add(StreamKeys.bytes(MOST_WAITING));
        args.add(StreamKeys.bytes(last ? 1 : 0));
        args.add(StreamKeys.bytes(REMEMBERED.toMillis()));
        for (Numbered one : part) {
            args.add(StreamKeys.bytes(one.number() + 1));
            args.add(one.change().bytes());
        }
        return redis.run(
                        StreamScripts.LANE_FEED,
                        List.of(keys.logKey(), keys.unitKey(), StreamKeys.bytes(keys.locks())),
                        args)
                .flatMap(reply -> switch (reply.status(Fed.class)) {
                    case OK -> Mono.just(true);
                    case FULL -> Mono.delay(PAUSE, redis.worker()).then(Mono.<Boolean>empty());
                    case NOBODY -> failed("has no registered consumer that would handle it: register one");
                    case CANCELLED -> failed("was cancelled: begin one with another id");
                })
                .repeat()
                .next()
                .then();
    }

    private <T> Mono<T> failed(String why) {
        return Mono.error(
                new MillraceException("backfill \"" + id + "\" of stream \"" + layout.stream() + "\" " + why));
    }

    /** How far it has come; empty if there is none of this id. */
    public Mono<BackfillState> state() {
        return states(redis, layout).filter(state -> state.id().equals(id)).next();
    }

    /** How far it has come, twice a second, until it is over; the last one says so. Begins when it is known. */
    public Flux<BackfillState> progress() {
        return state().repeatWhen(done -> done.delayElements(LOOK, redis.worker()))
                .takeUntil(BackfillState::isOver)
                .takeUntilOther(redis.closed());
    }

    /** Takes it back: no more is added, and consumers pass over what waits. False: it was cancelled already. */
    public Mono<Boolean> cancel() {
        return layout.created()
                .flatMapIterable(shards -> shards)
                .concatMap(keys -> show(redis, keys, id))
                .reduce(false, (changed, reply) -> changed || reply.number(1) == 1);
    }

    static Flux<BackfillState> states(Redis redis, Layout layout) {
        return layout.shards()
                .flatMapIterable(shards -> shards)
                .concatMap(keys -> show(redis, keys, ""))
                .concatMapIterable(reply -> states(layout.stream(), reply))
                .collectMultimap(BackfillState::id)
                .flatMapIterable(byId -> byId.values().stream()
                        .map(parts -> parts.stream().reduce(Backfill::plus).orElseThrow())
                        .sorted(java.util.Comparator.comparing(BackfillState::id))
                        .toList());
    }

    private static Mono<Reply> show(Redis redis, StreamKeys keys, String cancelled) {
        return redis.run(
                StreamScripts.LANE_SHOW,
                List.of(keys.unitKey()),
                List.of(StreamKeys.bytes(cancelled), StreamKeys.bytes(REMEMBERED.toMillis())));
    }

    private static List<BackfillState> states(String stream, Reply reply) {
        List<BackfillState> states = new ArrayList<>();
        for (int i = 2; i < reply.size(); i++) {
            Reply one = reply.list(i);
            List<BackfillState.ConsumerProgress> consumers = new ArrayList<>();
            for (int c = 4; c < one.size(); c += 3) {
                consumers.add(new BackfillState.ConsumerProgress(one.text(c), one.number(c + 1), one.number(c + 2)));
            }
            states.add(new BackfillState(
                    stream, one.text(0), one.number(1), one.number(2) == 1, one.number(3) == 1, consumers));
        }
        return states;
    }

    /** The same backfill in two shards. */
    private static BackfillState plus(BackfillState one, BackfillState other) {
        List<BackfillState.ConsumerProgress> consumers = new ArrayList<>(one.consumers());
        for (BackfillState.ConsumerProgress more : other.consumers()) {
            int at = consumers.stream()
                    .map(BackfillState.ConsumerProgress::consumer)
                    .toList()
                    .indexOf(more.consumer());
            if (at < 0) {
                consumers.add(more);
            } else {
                BackfillState.ConsumerProgress known = consumers.get(at);
                consumers.set(
                        at,
                        new BackfillState.ConsumerProgress(
                                more.consumer(),
                                known.handled() + more.handled(),
                                known.overtaken() + more.overtaken()));
            }
        }
        return new BackfillState(
                one.stream(),
                one.id(),
                one.fed() + other.fed(),
                one.closed() && other.closed(),
                one.cancelled() || other.cancelled(),
                consumers);
    }
}
