package io.millrace.queue;

import io.millrace.Event;
import io.millrace.redis.GroupCommit.Outcome;
import io.millrace.redis.Redis;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.function.Function;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** All queues of one namespace: registers them, and delivers events to those that want them. Thread safe. */
public final class Queues {

    /** How many events {@link #deliver(Publisher)} has under way at a time. */
    public static final int DELIVER_CONCURRENCY = 256;

    /** How far ahead a delivery may be asked for: ten years. */
    public static final Duration MAX_DELAY = Duration.ofDays(3650);

    /** Queues whose objects are kept. */
    private static final int MAX_REMEMBERED = 10_000;

    private static final Duration LAST_WORDS = Duration.ofSeconds(1);

    private final Redis redis;
    private final Registry registry;
    private final Deliverer deliverer;
    private final DelayedDelivery delayed;
    private final ConcurrentMap<String, FacetQueue> queues = new ConcurrentHashMap<>();

    /** For the facade. */
    public Queues(Redis redis, QueueSettings settings) {
        QueueScripts.load(); // now, on the caller's thread: reading resources blocks
        this.redis = redis;
        this.registry = new Registry(redis);
        this.deliverer = new Deliverer(redis, registry, settings);
        this.delayed = new DelayedDelivery(redis, registry, settings);
    }

    /**
     * From now on events whose topic matches go to this queue too; registering again replaces the pattern. The pattern is a regular
     * expression in RE2 syntax (matched in linear time) and must match the whole topic, {@code environment:type:name}.
     *
     * <p>On a single server and with Sentinel the next event delivered by anybody already follows it. In Cluster other processes may
     * route by the old pattern for up to a second; {@link #settled()} waits for them.
     *
     * @throws io.millrace.MillraceException in the returned Mono, if the pattern is malformed; nothing is changed then
     */
    public Mono<Void> register(String queue, String pattern) {
        return register(queue, pattern, QueueOptions.defaults()).then();
    }

    /** As {@link #register(String, String)}, with a limit to what each facet may have waiting; it is replaced like the pattern. */
    public Mono<Void> register(String queue, String pattern, Admission admission) {
        return register(
                        queue,
                        pattern,
                        QueueOptions.builder().admission(admission).build())
                .then();
    }

    /**
     * As {@link #register(String, String)}, with options; they are replaced like the pattern, all but the number of partitions.
     *
     * <p>A queue of P partitions keeps each facet in one of them, by a hash of its name, and each partition in a slot of its own. All
     * that is said of queues holds for it; {@link FacetQueue} tells what is different.
     *
     * @return how it is registered now; fails, and nothing is changed, if the queue has another number of partitions
     */
    public Mono<Registration> register(String queue, String pattern, QueueOptions options) {
        return registry.register(queue, pattern, options);
    }

    /**
     * From now on nothing goes to this queue any more; what is on it stays, until it is pulled or the queue is destroyed. So does the
     * number of its partitions.
     *
     * @return false: it was not registered
     */
    public Mono<Boolean> unregister(String queue) {
        return registry.unregister(queue);
    }

    /**
     * Completes when every producer that can read the registrations routes by those there were when this was asked: at once on a single
     * server and with Sentinel, after a little more than a second in Cluster.
     *
     * <pre>{@code
     * queues.register("searches", ".*:page:.*google.*").then(queues.settled())
     * }</pre>
     */
    public Mono<Void> settled() {
        return registry.settled();
    }

    /** All registered queues, by name. */
    public Flux<Registration> registrations() {
        return registry.load().flatMapIterable(Routes::all).map(Routes.Route::registration);
    }

    /** A queue by name, registered or not. */
    public FacetQueue queue(String name) {
        if (queues.size() >= MAX_REMEMBERED) {
            queues.clear(); // names may come from outside; a queue's object holds nothing that another could not
        }
        return queues.computeIfAbsent(name, key -> new FacetQueue(key, redis, registry, delayed));
    }

    /**
     * Several queues read as one, each getting its share of the turns by weight.
     *
     * @param weights by queue name; 1 to {@value QueueGroup#MAX_WEIGHT} each, up to {@value QueueGroup#MAX_QUEUES} queues
     */
    public QueueGroup group(Map<String, Integer> weights) {
        return group(weights, GroupTurns::anywhere);
    }

    /** @param counting makes the turns of queues of these weights */
    QueueGroup group(Map<String, Integer> weights, Function<Collection<Integer>, GroupTurns> counting) {
        Map<FacetQueue, Integer> members = new LinkedHashMap<>();
        weights.forEach((name, weight) -> members.put(queue(name), weight));
        return new QueueGroup(redis, members, counting);
    }

    /**
     * Puts an event on every queue that wants it, once each, and publishes it to live listeners. On a single server all queues have it
     * or none. Callers at the same time share round trips. After an error that says the outcome is not known, deliver the same event
     * again: its id keeps it single.
     *
     * @return which queues have it now
     */
    public Mono<Delivered> deliver(Event event) {
        return deliverer.deliver(event);
    }

    /**
     * Delivers events as they come, up to {@value #DELIVER_CONCURRENCY} at a time; asks the source for as many as are done. They keep
     * their order within each facet, also where they wait for room ({@link Admission.Overflow#WAIT}). The first failure ends it; the events before it are delivered, some behind it may be.
     *
     * @return an outcome an event, in their order
     */
    public Flux<Delivered> deliver(Publisher<Event> events) {
        return Flux.defer(() -> Flux.from(events)
                .flatMapSequential(new InOrder(registry, deliverer::deliver)::deliver, DELIVER_CONCURRENCY, 1));
    }

    /**
     * Keeps an event back for the queues that want it now, until a time; then it joins its facet behind what is there, and is
     * published to live listeners. {@link FacetQueue#cancel} takes it back. An event that no queue wants is not kept, which the answer
     * tells. Limits to what facets may have waiting do not concern it. After an error that says the outcome is not known, ask again.
     *
     * @param when by the server's clock; the past is now, up to ten years ahead
     * @return which queues keep it; those that know its id already are among {@link Delivered#duplicateIn()}
     */
    public Mono<Delivered> deliverAt(Event event, Instant when) {
        Duration ahead = Duration.between(Instant.ofEpochMilli(redis.clock().millis()), when);
        Check.between("delay", ahead.isNegative() ? Duration.ZERO : ahead, Duration.ZERO, MAX_DELAY);
        return delayed.deliver(event, Long.toString(ahead.isNegative() ? 0 : when.toEpochMilli()));
    }

    /** As {@link #deliverAt}, so long from now. */
    public Mono<Delivered> deliverAfter(Event event, Duration delay) {
        Check.between("delay", delay, Duration.ZERO, MAX_DELAY);
        return delayed.deliver(event, "+" + delay.toMillis());
    }

    /**
     * Delivers many events with the fewest round trips; on a single server each round trip of up to 100 is all or nothing.
     *
     * @return an outcome an event, in their order
     * @throws io.millrace.MillraceException in the returned Mono, the first failure; the other events may be delivered
     */
    public Mono<List<Delivered>> deliverAll(Collection<Event> events) {
        return Flux.fromIterable(events)
                .buffer(Deliverer.MAX_EXPLICIT_BATCH)
                .concatMap(deliverer::deliverAll, 1)
                .concatMapIterable(outcomes -> outcomes)
                .<Delivered>handle((outcome, sink) -> {
                    if (outcome instanceof Outcome.Done<Delivered> done) {
                        sink.next(done.value());
                    } else if (outcome instanceof Outcome.Failed<Delivered> failed) {
                        sink.error(failed.error());
                    }
                })
                .collectList();
    }

    /** Lets go of what follows registrations, and adds to the figures what was counted of messages. */
    public Mono<Void> close() {
        return Flux.fromIterable(queues.values())
                .flatMap(queue -> queue.layout().close())
                .then()
                .timeout(LAST_WORDS, Mono.empty(), redis.worker())
                .onErrorComplete() // closed already: nobody keeps the time any more
                .then(Mono.fromRunnable(registry::close));
    }
}
