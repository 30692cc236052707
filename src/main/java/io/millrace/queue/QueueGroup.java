package io.millrace.queue;

import io.millrace.redis.Redis;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Several queues read as one. While all have messages each gets its share of the turns by weight; what one does not use the others
 * get. Inside each queue everything is as in {@link FacetQueue}. Made by {@link Queues#group}. Thread safe; {@link #pull} and
 * {@link #lease} count turns together, over all calls, each {@link #receive} and {@link #consume} its own. Turns begin anywhere in their
 * order, so that also those get their shares who make a group for each message.
 */
public final class QueueGroup {

    /** The greatest weight. */
    public static final int MAX_WEIGHT = 1000;

    /** The most queues a group has. */
    public static final int MAX_QUEUES = 100;

    private final Redis redis;
    private final Map<FacetQueue, Integer> weights;
    private final Function<Collection<Integer>, GroupTurns> counting;
    private final GroupTurns turns; // of those who come once
    private final String name;

    /** @param counting makes the turns of queues of these weights */
    QueueGroup(Redis redis, Map<FacetQueue, Integer> weights, Function<Collection<Integer>, GroupTurns> counting) {
        Check.between("queues of a group", weights.size(), 1, MAX_QUEUES);
        weights.values().forEach(weight -> Check.between("weight", weight, 1, MAX_WEIGHT));
        this.redis = redis;
        this.weights = new LinkedHashMap<>(weights);
        this.counting = counting;
        this.turns = counting.apply(this.weights.values());
        this.name = String.join(
                "+", this.weights.keySet().stream().map(FacetQueue::name).toList());
    }

    /**
     * Takes the next messages for good, as {@link FacetQueue#pull(int)}; ends when there are no more, or it has n. When one of the queues
     * cannot be read it fails, behind what the others gave.
     */
    public Flux<Message> pull(int n) {
        Check.between("n", n, 1, Integer.MAX_VALUE);
        return Flux.defer(() -> {
            Once<Message> once =
                    new Once<>((partition, some) -> partition.pulls().take(some));
            return Taken.upTo(n, once::take);
        });
    }

    /**
     * Leases the next messages that are there now, and ends; as {@link FacetQueue#lease}. When one of the queues cannot be read it fails,
     * behind what the others gave.
     *
     * @param n how many at most; 1 to {@value LeaseOptions#MAX_BATCH_SIZE}
     */
    public Flux<Delivery> lease(int n, LeaseOptions options) {
        Check.between("n", n, 1, LeaseOptions.MAX_BATCH_SIZE);
        return Flux.defer(
                () -> new Once<Delivery>((partition, some) -> partition.pulls().lease(some, options))
                        .take(n)
                        .flatMapMany(Taken::flux));
    }

    /** Pulls of somebody who comes only once, and is told of trouble in any case. */
    private final class Once<T> {

        private final AtomicReference<@Nullable Throwable> partly = new AtomicReference<>();
        private final GroupPull<T> pull;

        Once(PlainPull.From<T> from) {
            this.pull = new GroupPull<>(
                    turns,
                    weights.keySet().stream().map(queue -> taking(queue, from)).toList());
        }

        Mono<Taken<T>> take(int n) {
            return pull.take(n)
                    .map(taken -> taken.failure() == null ? new Taken<>(taken.items(), partly.getAndSet(null)) : taken);
        }

        /** Trouble in a queue of which something was taken all the same is kept for the end. */
        private Reading.Pull<T> taking(FacetQueue queue, PlainPull.From<T> from) {
            return request -> queue.take(request.n(), from).flatMap(taken -> {
                Throwable failure = taken.failure();
                if (failure != null && taken.items().isEmpty()) {
                    return Mono.error(failure);
                }
                partly.compareAndSet(null, failure);
                return Mono.just(new Pulls.Pulled<>(taken.items(), -1));
            });
        }
    }

    /** Messages of all queues as they come, each under a lease; as {@link FacetQueue#receive(LeaseOptions)}. */
    public Flux<Delivery> receive(LeaseOptions options) {
        return read(options, reading -> reading.flux(Delivery.class));
    }

    /**
     * Handles messages of all queues as they come, as {@link FacetQueue#consume(Function, ConsumeOptions)}; {@link Message#queue()}
     * tells where each is from. Acknowledgements have round trips of their own. Of queues with several partitions all are read.
     */
    public Mono<Void> consume(Function<? super Message, ? extends Publisher<?>> handler, ConsumeOptions options) {
        return read(
                        options.lease(),
                        reading -> new Consuming(redis, name, reading, options)
                                .run(handler)
                                .flux())
                .then();
    }

    private <R> Flux<R> read(LeaseOptions options, Function<Reading<Delivery>, Flux<R>> use) {
        List<Partitions> queues =
                weights.keySet().stream().map(FacetQueue::layout).toList();
        return Partitions.whileSo(queues, (now, changed) -> use.apply(reading(options, now, changed)));
    }

    private Reading<Delivery> reading(LeaseOptions options, List<Partitions.Layout> layouts, Mono<Void> changed) {
        List<Reading.Pull<Delivery>> pulls =
                layouts.stream().map(layout -> Readings.each(layout, options)).toList();
        List<Unit> units = layouts.stream()
                .flatMap(layout -> layout.all().stream())
                .map(Partition::unit)
                .toList();
        Reading<Delivery> reading = new Reading<>(
                redis,
                new Lookout(redis.worker()),
                units,
                receipt -> {
                    throw new IllegalStateException("which queue a receipt is of, only its delivery knows");
                },
                options,
                options.batchSize(),
                new GroupPull<>(counting.apply(weights.values()), pulls),
                Delivery::giveBack);
        return reading.acknowledgingApart().alongside(changed.then(Mono.fromRunnable(reading::stop)));
    }

    @Override
    public String toString() {
        return "QueueGroup[" + name + "]";
    }
}
