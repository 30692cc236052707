package io.millrace.stream;

import io.millrace.lock.Lock;
import io.millrace.lock.Membership;
import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import io.millrace.stream.StreamState.ConsumerState;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** A stream, for those who look after it: what is in it, who reads it, what went wrong. Cold, thread safe. */
public final class ChangeStream {

    /** How far lag is counted: {@value} entries. */
    public static final int COUNTED = 1_000_000;

    private static final int PAGE = 1_000;

    private final Redis redis;
    private final Layout layout;

    ChangeStream(Redis redis, Layout layout) {
        this.redis = redis;
        this.layout = layout;
    }

    /** The stream's name. */
    public String name() {
        return layout.stream();
    }

    /**
     * What each shard holds and where its consumers stand. Lag is counted here, entry by entry, up to {@link #COUNTED}: what Redis keeps
     * itself is wrong once something was removed.
     */
    public Flux<StreamState> state() {
        return state(COUNTED);
    }

    /** As {@link #state()}, with lag counted up to so many entries only: 0 to {@link #COUNTED}, rounded up to thousands. Its age is exact. */
    public Flux<StreamState> state(int counted) {
        int pages = (Check.between("counted", counted, 0, COUNTED) + PAGE - 1) / PAGE;
        return layout.shards()
                .flatMapMany(shards -> Flux.fromIterable(shards).concatMap(keys -> state(keys, shards.size(), pages)));
    }

    /**
     * Who reads this stream as a consumer, and which shards, by member. With one shard there are no members: one instance is active, the
     * others wait.
     */
    public Flux<ConsumerMember> members(String consumer) {
        return layout.shards()
                .flatMapMany(all -> new Membership(
                                redis,
                                all.get(0).group(consumer),
                                all.stream()
                                        .map(keys -> new Lock(redis, keys.lock(consumer)))
                                        .toList())
                        .members())
                .map(one -> new ConsumerMember(one.name(), one.holds(), one.leaves()));
    }

    /** Backfills and how far they have come, by id; those of the last 30 days. */
    public Flux<BackfillState> backfills() {
        return Backfill.states(redis, layout);
    }

    /** How many entries there are. */
    public Mono<Long> size() {
        return shards().concatMap(keys -> Calls.call(redis, "XLEN", (Object) keys.logKey()))
                .reduce(0L, (sum, length) -> sum + (Long) length);
    }

    /** The id of the newest entry ever added; empty if there was none. With shards: the newest of all. */
    public Mono<EntryId> maxStreamId() {
        return state().map(StreamState::last)
                .filter(id -> id.isAfter(EntryId.ZERO))
                .reduce((one, other) -> one.isAfter(other) ? one : other);
    }

    /** The offset of a consumer; empty if it is not registered. With shards: the least of all. */
    public Mono<EntryId> maxCommittedId(String consumer) {
        return shards().concatMap(keys -> Calls.call(redis, "GET", (Object) keys.offset(consumer)))
                .map(offset -> EntryId.parse(new String((byte[]) offset, StandardCharsets.US_ASCII)))
                .reduce((one, other) -> one.isAfter(other) ? other : one);
    }

    /**
     * Registers a consumer at the beginning, creating the stream with one shard if nobody had: from now on nothing is removed that it
     * has not committed. Changes nothing if it is registered.
     */
    public Mono<Void> register(String consumer) {
        return register(consumer, EntryId.ZERO.toString());
    }

    /** As {@link #register(String)}, to begin after an id. */
    public Mono<Void> register(String consumer, EntryId after) {
        return register(consumer, after.toString());
    }

    /** As {@link #register(String)}, to begin with what is added from now on. */
    public Mono<Void> registerAtEnd(String consumer) {
        return register(consumer, "$");
    }

    /**
     * Forgets a consumer: nothing is kept for it any more. One that runs commits nothing after this, and fails with {@link
     * UnregisteredConsumerException}. False: it was not registered.
     */
    public Mono<Boolean> unregister(String consumer) {
        return shards().concatMap(keys -> redis.run(
                        StreamScripts.UNREGISTER,
                        List.of(
                                keys.unitKey(),
                                keys.offset(consumer),
                                keys.lock(consumer).lock()),
                        List.of(StreamKeys.bytes(consumer))))
                .reduce(false, (known, reply) -> known || reply.number(1) == 1);
    }

    /**
     * Entries after an id, without a consumer: nothing is committed, nobody is kept from reading. One shard after the other.
     *
     * @return ends with the last entry there is; demand decides how much is read
     */
    public Flux<StreamEntry> entries(EntryId after) {
        return shards().concatMap(keys -> pages(keys.logKey(), after).map(StreamEntry::of), 1)
                .concatMapIterable(page -> page, 1);
    }

    /**
     * The newest entries, oldest of them first; with shards those with the highest ids of all.
     *
     * @param n 1 to 10,000; so many of each shard are held in memory
     */
    public Flux<StreamEntry> newest(int n) {
        Check.between("n", n, 1, 10_000);
        return shards().concatMap(keys -> Calls.call(redis, "XREVRANGE", keys.logKey(), "+", "-", "COUNT", n))
                .map(page -> StreamEntry.of(Reply.of(page)))
                .reduce(
                        List.<StreamEntry>of(),
                        (some, others) -> Stream.concat(some.stream(), others.stream())
                                .sorted(Comparator.comparing(StreamEntry::id).reversed())
                                .limit(n)
                                .toList())
                .flatMapIterable(all -> all.stream()
                        .sorted(Comparator.comparing(StreamEntry::id))
                        .toList());
    }

    /** What a consumer could not handle, oldest first. One shard after the other. */
    public Flux<DeadLetter> deadLetters(String consumer) {
        return deadLetters(consumer, 0, EntryId.ZERO);
    }

    /** As {@link #deadLetters(String)}, from behind a letter of a shard on. */
    public Flux<DeadLetter> deadLetters(String consumer, int shard, EntryId after) {
        return shards().filter(keys -> keys.shard() >= shard)
                .concatMap(
                        keys -> pages(keys.dead(consumer), keys.shard() == shard ? after : EntryId.ZERO)
                                .map(page -> deadLetters(keys.shard(), page)),
                        1)
                .concatMapIterable(page -> page, 1);
    }

    /** In which shards a consumer has a dead letter with this id: ids are unique within a shard only. */
    public Flux<Integer> shardsOfDeadLetter(String consumer, EntryId letter) {
        return shards().concatMap(
                        keys -> Calls.call(redis, "XRANGE", keys.dead(consumer), letter.toString(), letter.toString())
                                .filter(found -> Reply.of(found).size() > 0)
                                .map(found -> keys.shard()));
    }

    /** Appends a dead letter to the stream again, where every consumer reads it. False: it is not there any more. */
    public Mono<Boolean> retry(String consumer, DeadLetter letter) {
        return retry(consumer, letter.shard(), letter.id());
    }

    /** As {@link #retry(String, DeadLetter)}, by where it stands. */
    public Mono<Boolean> retry(String consumer, int shard, EntryId letter) {
        return settle("retry", consumer, shard, letter);
    }

    /** Forgets a dead letter. False: it is not there any more. */
    public Mono<Boolean> drop(String consumer, DeadLetter letter) {
        return drop(consumer, letter.shard(), letter.id());
    }

    /** As {@link #drop(String, DeadLetter)}, by where it stands. */
    public Mono<Boolean> drop(String consumer, int shard, EntryId letter) {
        return settle("drop", consumer, shard, letter);
    }

    private Mono<Boolean> settle(String mode, String consumer, int shard, EntryId letter) {
        return shards().filter(keys -> keys.shard() == shard)
                .concatMap(keys -> redis.run(
                        StreamScripts.RETRY,
                        List.of(keys.logKey(), keys.dead(consumer)),
                        List.of(StreamKeys.bytes(mode), StreamKeys.bytes(letter.toString()))))
                .any(reply -> reply.number(1) == 1);
    }

    private Mono<Void> register(String consumer, String after) {
        StreamKeys.named("consumer", consumer);
        return layout.created()
                .flatMapIterable(shards -> shards)
                .concatMap(keys -> StreamScripts.open(redis, keys, consumer, after, true))
                .then();
    }

    private Flux<Reply> pages(byte[] key, EntryId after) {
        return Flux.generate(
                        () -> new EntryId[] {after},
                        (EntryId[] from, reactor.core.publisher.SynchronousSink<EntryId[]> sink) -> {
                            if (from[0] == null) {
                                sink.complete();
                            } else {
                                sink.next(from);
                            }
                            return from;
                        })
                .concatMap(
                        from -> Calls.call(redis, "XRANGE", key, "(" + from[0], "+", "COUNT", PAGE)
                                .map(Reply::of)
                                .doOnNext(page -> from[0] = page.size() < PAGE
                                        ? null
                                        : EntryId.parse(
                                                page.list(page.size() - 1).text(0))),
                        0);
    }

    private static List<DeadLetter> deadLetters(int shard, Reply page) {
        List<DeadLetter> letters = new ArrayList<>();
        for (int i = 0; i < page.size(); i++) {
            EntryId id = EntryId.parse(page.list(i).text(0));
            Reply fields = page.list(i).list(1); // id, payload, attempts, cause, each with its name before it
            StreamEntry entry = new StreamEntry(EntryId.parse(fields.text(1)), fields.bytes(3));
            letters.add(new DeadLetter(id, shard, entry, (int) fields.number(5), fields.text(7)));
        }
        return letters;
    }

    private Flux<StreamKeys> shards() {
        return layout.shards().flatMapIterable(shards -> shards);
    }

    private Mono<StreamState> state(StreamKeys keys, int shards, int pages) {
        return redis.run(
                        StreamScripts.SHOW,
                        List.of(
                                keys.logKey(),
                                keys.unitKey(),
                                StreamKeys.bytes(keys.offsets()),
                                StreamKeys.bytes(keys.locks())),
                        List.of())
                .flatMap(reply -> Flux.range(8, reply.size() - 8)
                        .concatMap(i -> consumer(keys, reply.number(1), reply.list(i), pages))
                        .collectList()
                        .map(consumers -> new StreamState(
                                name(),
                                keys.shard(),
                                shards,
                                reply.number(2),
                                idOrNull(reply.text(3)),
                                EntryId.parse(reply.text(4)),
                                EntryId.parse(reply.text(5)),
                                reply.number(6),
                                reply.number(7) < 0
                                        ? null
                                        : Duration.ofMillis(Math.max(0, reply.number(1) - reply.number(7))),
                                consumers)));
    }

    private Mono<ConsumerState> consumer(StreamKeys keys, long now, Reply reply, int pages) {
        EntryId offset = EntryId.parse(reply.text(1));
        EntryId unread = idOrNull(reply.text(2));
        Mono<Long> lag = unread == null ? Mono.just(0L) : count(keys.logKey(), offset, pages);
        Mono<Long> backfill = reply.number(7) == 0
                ? Mono.just(0L)
                : count(StreamKeys.bytes(keys.unit() + "lane"), EntryId.parse(reply.text(6)), pages);
        return lag.zipWith(
                backfill,
                (count, waiting) -> new ConsumerState(
                        reply.text(0),
                        offset,
                        count,
                        unread != null && count >= (long) pages * PAGE,
                        unread == null ? Duration.ZERO : Duration.ofMillis(Math.max(0, now - unread.ms())),
                        waiting,
                        reply.number(3),
                        reply.number(4) == 1,
                        reply.number(5) == 1));
    }

    private Mono<Long> count(byte[] log, EntryId after, int pages) {
        EntryId[] from = {after};
        return pages == 0
                ? Mono.just(0L)
                : Mono.defer(() -> redis.run(
                                StreamScripts.COUNT,
                                List.of(log),
                                List.of(StreamKeys.bytes(from[0].toString()), StreamKeys.bytes(PAGE))))
                        .doOnNext(page -> from[0] = EntryId.parse(page.text(2)))
                        .repeat(pages - 1L)
                        .map(page -> page.number(1))
                        .takeUntil(counted -> counted < PAGE)
                        .reduce(0L, Long::sum);
    }

    private static @Nullable EntryId idOrNull(String text) {
        return text.isEmpty() ? null : EntryId.parse(text);
    }
}
