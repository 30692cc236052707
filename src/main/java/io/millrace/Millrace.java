package io.millrace;

import io.millrace.queue.Delivered;
import io.millrace.queue.FacetQueue;
import io.millrace.queue.LiveEvents;
import io.millrace.queue.LiveSignal;
import io.millrace.queue.Queues;
import io.millrace.redis.Redis;
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
    private final Mono<Void> alsoClose;

    private Millrace(Redis redis, MillraceSettings settings, Mono<Void> alsoClose) {
        this.redis = redis;
        this.queues = new Queues(redis, settings.queues());
        this.live = new LiveEvents(redis);
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
        return new Millrace(Redis.open(settings.redis()), settings, Mono.empty());
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

    /** The Redis underneath, for parts that are built on it. */
    public Redis redis() {
        return redis;
    }

    /** Closes connections; a server that was embedded stops. */
    public Mono<Void> shutdown() {
        return Mono.fromRunnable(queues::close).then(redis.close()).then(alsoClose);
    }

    /** As {@link #shutdown()}, without waiting for its end. */
    @Override
    public void close() {
        shutdown().subscribe(nothing -> {}, error -> {});
    }
}
