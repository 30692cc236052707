package io.millrace.stream;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Supplier;
import java.util.zip.CRC32;
import org.reactivestreams.Publisher;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Tells a stream that records were changed. Around every write: a repair note before it ({@link #delay}), an entry after it ({@link
 * #queue}); {@link #bulk} does both. If the process dies in between, the note brings the record back when it is due.
 *
 * <p>A record is an id, a payload, or a {@link Change}; see {@link Change#of}. What one producer is given in order is in the stream in
 * order. Concurrent callers share round trips. Every publisher is cold: each subscription writes once; a write whose answer was lost is
 * repeated by itself without adding anything twice, and fails as {@link io.millrace.RedisUnavailableException#indeterminate()
 * indeterminate} when Redis stays away: then repeat it yourself, with {@link Change#withProducerId producer ids} if an entry must not be
 * there twice. Results arrive on Millrace's own threads. Thread safe.
 */
public final class StreamProducer {

    /** How long the producer's own ids of changes are known at least: 10 min; at most twice this. */
    public static final Duration ID_WINDOW = Duration.ofMinutes(10);

    private static final Logger log = LoggerFactory.getLogger(StreamProducer.class);

    private final String stream;
    private final Door<List<Outlet>> shards;

    StreamProducer(String stream, Mono<List<Outlet>> shards) {
        this.stream = stream;
        this.shards = new Door<>(shards);
    }

    /** Appends the change of a record; the id of its entry. */
    public Mono<EntryId> queue(Object record) {
        return Mono.defer(() -> {
            Change change = Change.of(record);
            return shards.pass()
                    .flatMap(all -> outlet(all, change).queue(List.of(change)))
                    .map(ids -> ids.get(0));
        });
    }

    /** Appends many; the ids of their entries, in the order given. All of one shard's arrive in calls of about 500, each whole or not at all. */
    public Mono<List<EntryId>> queueAll(Iterable<?> records) {
        return Mono.defer(() -> {
            List<Change> changes = changes(records);
            EntryId[] ids = new EntryId[changes.size()];
            return shards.pass()
                    .flatMapIterable(all -> pieces(all, changes))
                    .flatMapSequential(
                            piece -> piece.outlet.queue(piece.changes).doOnNext(got -> piece.place(got, ids)),
                            Integer.MAX_VALUE)
                    .then(Mono.fromSupplier(() -> List.of(ids)));
        });
    }

    /**
     * Appends records as they come, in their order; demand decides how many are taken from the source, up to 2,000 at a time.
     *
     * @return the ids of their entries, in order
     */
    public Flux<EntryId> queue(Publisher<?> records) {
        return Flux.from(records).map(Change::of).flatMapSequential(this::queue, 4 * Outlet.CALL, 1);
    }

    /** Takes a repair note: this record is to be looked at again when the {@link Delayer}'s delay is over. Before the write it guards. */
    public Mono<Void> delay(Object record) {
        return delayAll(List.of(record));
    }

    /** Takes repair notes of many records. */
    public Mono<Void> delayAll(Iterable<?> records) {
        return Mono.defer(() -> {
            List<Change> changes = changes(records);
            return shards.pass()
                    .flatMapIterable(all -> pieces(all, changes))
                    .flatMap(piece -> piece.outlet.delay(piece.changes), Integer.MAX_VALUE)
                    .then();
        });
    }

    /**
     * Takes repair notes, does the work, and queues the changes: also when the work fails or is cancelled, for it may have been done in
     * part. When the notes cannot be taken, the work is not begun.
     *
     * @param records what the work changes
     * @param work writes them; what follows its end failing is logged and not told: the notes will bring those records back
     * @return what the work gives, after the changes were queued
     */
    public <T> Mono<T> bulk(Iterable<?> records, Mono<T> work) {
        return bulk(() -> changes(records), work, AfterCommit.AT_ONCE);
    }

    <T> Mono<T> bulk(Supplier<List<Change>> records, Mono<T> work, AfterCommit commit) {
        return Mono.usingWhen(
                noted(records),
                all -> work,
                all -> tell(all, commit),
                (all, error) -> tell(all, commit),
                all -> tell(all, commit));
    }

    <T> Flux<T> bulk(Supplier<List<Change>> records, Flux<T> work, AfterCommit commit) {
        return Flux.usingWhen(
                noted(records),
                all -> work,
                all -> tell(all, commit),
                (all, error) -> tell(all, commit),
                all -> tell(all, commit));
    }

    /** As {@link Streams#capture(String)}, told by this producer. */
    public ChangeCapture<Object> capture() {
        return new ChangeCapture<>(this, record -> record, AfterCommit.AT_ONCE);
    }

    private Mono<List<Change>> noted(Supplier<List<Change>> records) {
        return Mono.fromSupplier(records).flatMap(all -> delayAll(all).thenReturn(all));
    }

    private Mono<Void> tell(List<Change> changes, AfterCommit commit) {
        return changes.isEmpty() ? Mono.empty() : commit.queue(this, changes);
    }

    /**
     * As {@link #queueAll}, for records whose repair notes are taken: what fails is logged and not told, the notes will bring those
     * records back; also what replicas did not confirm.
     */
    public Mono<Void> queueOrLeave(List<?> records) {
        return queueAll(records).then().onErrorResume(error -> {
            log.warn(
                    error instanceof NotReplicatedException
                            ? "{} changes of stream \"{}\" are queued, but replicas do not have all of them: {}"
                            : "{} changes of stream \"{}\" were not queued, their repair notes bring them when they are due: {}",
                    records.size(),
                    stream,
                    error.getMessage());
            return Mono.empty();
        });
    }

    private static List<Change> changes(Iterable<?> records) {
        List<Change> changes = new ArrayList<>();
        records.forEach(record -> changes.add(Change.of(Objects.requireNonNull(record))));
        return changes;
    }

    private static Outlet outlet(List<Outlet> shards, Change change) {
        return shards.get(shardOf(change.key(), shards.size()));
    }

    /** Which shard a key belongs to: CRC-32 of its UTF-8 form, modulo the number of shards. */
    static int shardOf(String key, int shards) {
        if (shards == 1) {
            return 0;
        }
        CRC32 crc = new CRC32();
        crc.update(StreamKeys.bytes(key));
        return (int) (crc.getValue() % shards);
    }

    private static List<Piece> pieces(List<Outlet> shards, List<Change> changes) {
        List<Piece> pieces = new ArrayList<>();
        Piece[] open = new Piece[shards.size()];
        for (int i = 0; i < changes.size(); i++) {
            int shard = shardOf(changes.get(i).key(), open.length);
            if (open[shard] == null || open[shard].changes.size() == Outlet.PIECE) {
                open[shard] = new Piece(shards.get(shard), new ArrayList<>(), new int[Outlet.PIECE]);
                pieces.add(open[shard]);
            }
            open[shard].add(changes.get(i), i);
        }
        return pieces;
    }

    /** Changes of one shard that go out together, and where they stand among all. */
    private record Piece(Outlet outlet, List<Change> changes, int[] places) {

        void add(Change change, int place) {
            places[changes.size()] = place;
            changes.add(change);
        }

        void place(List<EntryId> got, EntryId[] ids) {
            for (int i = 0; i < got.size(); i++) {
                ids[places[i]] = got.get(i);
            }
        }
    }
}
