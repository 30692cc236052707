package io.millrace;

import io.lettuce.core.AbstractRedisClient;
import io.millrace.drain.CacheIndex;
import io.millrace.drain.DirtyMap;
import io.millrace.drain.Drain;
import io.millrace.drain.DrainBuilder;
import io.millrace.lock.Lock;
import io.millrace.lock.LockKeys;
import io.millrace.queue.Delivered;
import io.millrace.queue.FacetQueue;
import io.millrace.queue.LiveEvents;
import io.millrace.queue.LiveSignal;
import io.millrace.queue.QueueSettings;
import io.millrace.queue.Queues;
import io.millrace.redis.Redis;
import io.millrace.redis.RedisSettings;
import io.millrace.redis.embedded.EmbeddedRedis;
import io.millrace.stream.Streams;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicReference;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * The way in: one Redis and all that Millrace does on it.
 *
 * <pre>{@code
 * Millrace mill = Millrace.connect("redis://localhost:6379");
 * mill.queues().register("searches", ".*:page:.*google.*").block();
 * mill.deliver(Event.of("env-1", "page", "http://google.com/q")).block();
 * mill.queue("searches").consume(message -> handle(message.event())).subscribe();
 * }</pre>
 *
 * <p>Nothing is connected before it is needed. Thread safe; make one and share it.
 */
public final class Millrace implements AutoCloseable {

    private final Redis redis;
    private final Queues queues;
    private final LiveEvents live;
    private final Streams streams;
    private final Mono<Void> alsoClose;

    private Millrace(Redis redis, QueueSettings settings, Mono<Void> alsoClose) {
        this.redis = redis;
        this.queues = new Queues(redis, settings);
        this.live = new LiveEvents(redis);
        this.streams = new Streams(redis);
        this.alsoClose = alsoClose;
    }

    /**
     * Uses the Redis at an address; see {@link io.millrace.redis.RedisSettings} for what addresses can say.
     *
     * @throws IllegalArgumentException if it is no address
     */
    public static Millrace connect(String redisAddress) {
        return connect(MillraceSettings.of(redisAddress));
    }

    /** As {@link #connect(String)}, with settings. */
    public static Millrace connect(MillraceSettings settings) {
        return new Millrace(Redis.open(settings.redis()), settings.queues(), Mono.empty());
    }

    /**
     * Starts a real {@code redis-server} of its own, from a binary that comes along, when first needed; for trials, demos and tests.
     * It listens on the loopback address only, keeps nothing, and ends with this process, however that ends.
     */
    public static Millrace embedded() {
        return embedded(EmbeddedRedis.builder(), RedisSettings.DEFAULT_NAMESPACE);
    }

    /** As {@link #embedded()}; what is stored is kept in a folder (append-only file, written to disk every second). */
    public static Millrace embedded(Path dataDir) {
        return embedded(EmbeddedRedis.builder().dataDir(dataDir), RedisSettings.DEFAULT_NAMESPACE);
    }

    /** As {@link #embedded()}, with a server as set up by the caller. */
    public static Millrace embedded(EmbeddedRedis.Builder builder, String namespace) {
        AtomicReference<EmbeddedRedis> started = new AtomicReference<>();
        Mono<RedisSettings> settings = builder.start()
                .doOnNext(started::set)
                .map(server ->
                        RedisSettings.builder(server.uri()).namespace(namespace).build());
        return new Millrace(Redis.openLater(settings, namespace), QueueSettings.defaults(), Mono.defer(() -> {
            EmbeddedRedis server = started.get();
            return server == null ? Mono.<Void>empty() : server.stop();
        }));
    }

    /**
     * Uses a Lettuce client the application has already, and does not close it; {@link #shutdown} closes the connections it was asked for.
     *
     * @param client a {@code RedisClient} with a default address, or a {@code RedisClusterClient}. Its options apply: set a command
     *     timeout of seconds, {@code DisconnectedBehavior.REJECT_COMMANDS} and a bounded request queue, else calls hang and memory
     *     grows while Redis is away.
     */
    public static Millrace with(AbstractRedisClient client) {
        return with(client, RedisSettings.DEFAULT_NAMESPACE);
    }

    /** As {@link #with(AbstractRedisClient)}, in another namespace. */
    public static Millrace with(AbstractRedisClient client, String namespace) {
        return new Millrace(
                Redis.with(client, namespace, RedisSettings.DEFAULT_COMMAND_TIMEOUT),
                QueueSettings.defaults(),
                Mono.empty());
    }

    /** Queues of this namespace. */
    public Queues queues() {
        return queues;
    }

    /** A queue by name, registered or not. */
    public FacetQueue queue(String name) {
        return queues.queue(name);
    }

    /** Puts an event on every queue that wants it; see {@link Queues#deliver(Event)}. */
    public Mono<Delivered> deliver(Event event) {
        return queues.deliver(event);
    }

    /** Delivers events as they come; see {@link Queues#deliver(Publisher)}. */
    public Flux<Delivered> deliver(Publisher<Event> events) {
        return queues.deliver(events);
    }

    /** Events as they are delivered, by a glob pattern over topics; lossy, see {@link LiveEvents#events}. */
    public Flux<Event> listen(String pattern) {
        return live.events(pattern);
    }

    /** As {@link #listen}, with word of what is missing. */
    public Flux<LiveSignal> listenSignals(String pattern) {
        return live.signals(pattern);
    }

    /** Change streams of this namespace. */
    public Streams streams() {
        return streams;
    }

    /** A lock by name, held by one owner at a time wherever it runs; see {@link Lock#whileHeld}. */
    public Lock lock(String name) {
        return new Lock(redis, LockKeys.of(redis.keys(), name));
    }

    /** A drain to be put together: takes change notifications, see {@link Drain}. */
    public DrainBuilder drain() {
        return new DrainBuilder(redis, queues);
    }

    /** Which resources changed, as the drain of the default name has it. */
    public DirtyMap dirtyMap() {
        return dirtyMap(Drain.DEFAULT_NAME);
    }

    /** As {@link #dirtyMap()}, of the drain of another name. */
    public DirtyMap dirtyMap(String name) {
        return new DirtyMap(redis, name);
    }

    /** What tells a cache of one's own whether what it holds is up to date. */
    public CacheIndex cacheIndex() {
        return new CacheIndex(redis);
    }

    /** The Redis underneath, for parts that are built on it. */
    public Redis redis() {
        return redis;
    }

    /**
     * Closes connections, once what is under way has its answer and what a cancelled consumer gives back is back, or a second has passed;
     * a server that was embedded stops. What consumers are handling is cut off and comes again: end them with their {@code until} first,
     * and wait for it.
     */
    public Mono<Void> shutdown() {
        return queues.close().then(redis.close()).then(alsoClose);
    }

    /** As {@link #shutdown()}, without waiting for its end. */
    @Override
    public void close() {
        shutdown().subscribe(nothing -> {}, error -> {});
    }
}
