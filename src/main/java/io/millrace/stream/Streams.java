package io.millrace.stream;

import io.millrace.lock.Lock;
import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** The change streams of a namespace. Nothing is stored before something is produced or a consumer is registered. Thread safe. */
public final class Streams {

    /** {@value}: each shard that is read takes a connection of its own. */
    public static final int MAX_SHARDS = 256;

    private final Redis redis;
    private final @Nullable String rubyNamespace;
    private final Map<String, StreamProducer> producers = new ConcurrentHashMap<>();

    /** The streams in this Redis' namespace. */
    public Streams(Redis redis) {
        this(redis, null);
    }

    private Streams(Redis redis, @Nullable String rubyNamespace) {
        StreamScripts.load();
        Lock.load();
        this.redis = redis;
        this.rubyNamespace = rubyNamespace;
    }

    /**
     * The same with the keys of the Ruby library redstream: a consumer here follows the stream of a Rails application, takes turns with
     * its instances there, and goes on from their offset; and the other way round. A {@link Delayer} here moves what either side has
     * delayed, so that one is enough; notes taken here are not for the delayer of the other side. A {@link Trimmer} here finds consumers
     * of the other side by their offsets: register those that have not committed yet, see {@link ChangeStream#register}.
     *
     * @param namespace redstream's own, often empty
     * @throws IllegalArgumentException on a cluster: those keys are not in one slot
     */
    public Streams rubyKeys(String namespace) {
        if (redis.isCluster()) {
            throw new IllegalArgumentException(
                    "keys of the Ruby library are not in one slot; use a single server or Sentinel");
        }
        return new Streams(redis, namespace);
    }

    /** Tells a stream about changes. One instance a stream and process. */
    public StreamProducer producer(String stream) {
        return producers.computeIfAbsent(
                stream, name -> producer(name, (script, keys, args, wrote) -> redis.run(script, keys, args)));
    }

    /**
     * As {@link #producer(String)}, waiting until replicas have it; a connection of its own, so keep it.
     *
     * @throws IllegalArgumentException on a cluster
     */
    public StreamProducer producer(String stream, ReplicaWait wait) {
        return producer(stream, new ReplicatedRunner(redis, wait));
    }

    private StreamProducer producer(String stream, Outlet.Runner runner) {
        Layout layout = layout(stream);
        return new StreamProducer(
                stream,
                layout.created()
                        .map(shards -> shards.stream()
                                .map(keys -> new Outlet(
                                        keys, layout.confirm(shards.size()), runner, StreamProducer.ID_WINDOW))
                                .toList()));
    }

    /**
     * Creates a stream with so many shards. Each key belongs to one of them for ever; members of a consumer divide them among
     * themselves, see {@link StreamConsumer}. What nobody has created has one shard from its first use on.
     *
     * @param shards 1 to 256, never to be changed; each that is read takes a connection
     * @return false: it is there already, with as many; fails with {@link io.millrace.MillraceException} when it has another number
     */
    public Mono<Boolean> create(String stream, int shards) {
        Check.between("shards", shards, 1, MAX_SHARDS);
        return layout(stream).create(shards);
    }

    /** Tells a stream what some work writes: records are ids, payloads or {@link Change changes}. */
    public ChangeCapture<Object> capture(String stream) {
        return capture(stream, record -> record);
    }

    /**
     * As {@link #capture(String)}, for records of one kind.
     *
     * @param change of a record: its id, a payload or a {@link Change}
     */
    public <R> ChangeCapture<R> capture(String stream, Function<? super R, ?> change) {
        return new ChangeCapture<>(producer(stream), change, AfterCommit.AT_ONCE);
    }

    /**
     * As {@link #capture(String, Function)}, whose notes wait until replicas have them: work is not begun before that if fewer are to be
     * an error. Entries wait as well; what they lack is logged, their notes are safe. A connection of its own, so keep it.
     *
     * @throws IllegalArgumentException on a cluster
     */
    public <R> ChangeCapture<R> capture(String stream, Function<? super R, ?> change, ReplicaWait wait) {
        return new ChangeCapture<>(producer(stream, wait), change, AfterCommit.AT_ONCE);
    }

    /** Reads a stream under a name. */
    public StreamConsumer consumer(String stream, String consumer) {
        return new StreamConsumer(redis, layout(stream), consumer, ConsumerOptions.defaults());
    }

    /**
     * Moves repair notes to a stream when they are so old.
     *
     * @param delay longer than the longest transaction that writes records of this stream; 0 to 365 days
     */
    public Delayer delayer(String stream, Duration delay) {
        return new Delayer(redis, layout(stream), delay);
    }

    /** Removes from a stream what every registered consumer has committed. */
    public Trimmer trimmer(String stream) {
        return new Trimmer(redis, layout(stream));
    }

    /** Runs delayers and trimmers of several streams; begins with none. */
    public Upkeep upkeep() {
        return new Upkeep(this, redis);
    }

    /**
     * Masses of records for all consumers of a stream, beside its live entries.
     *
     * @param id what it is known by; the same one goes on where it stopped
     */
    public Backfill backfill(String stream, String id) {
        return new Backfill(redis, layout(stream), id);
    }

    /** A stream to look after. */
    public ChangeStream stream(String name) {
        return new ChangeStream(redis, layout(name));
    }

    /** The names of all streams something was produced to or read from, sorted. */
    public Flux<String> names() {
        return Calls.call(redis, "SMEMBERS", (Object) Layout.namesKey(redis.keys()))
                .map(Reply::of)
                .flatMapIterable(names -> IntStream.range(0, names.size())
                        .mapToObj(names::text)
                        .sorted()
                        .toList());
    }

    private Layout layout(String stream) {
        return new Layout(redis, stream, rubyNamespace);
    }
}
