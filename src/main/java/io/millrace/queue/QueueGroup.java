package io.millrace.queue;

import io.millrace.redis.Redis;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Several queues read as one. While all have messages each gets its share of the turns by weight; what one does not use the others
 * get. Inside each queue everything is as in {@link FacetQueue}. Made by {@link Queues#group}. Thread safe; each subscription counts
 * its own turns.
 */
public final class QueueGroup {

    /** The greatest weight. */
    public static final int MAX_WEIGHT = 1000;

    /** The most queues a group has. */
    public static final int MAX_QUEUES = 100;

    private final Redis redis;
    private final Map<FacetQueue, Integer> weights;
    private final String name;

    QueueGroup(Redis redis, Map<FacetQueue, Integer> weights) {
        Check.between("queues of a group", weights.size(), 1, MAX_QUEUES);
        weights.values().forEach(weight -> Check.between("weight", weight, 1, MAX_WEIGHT));
        this.redis = redis;
        this.weights = new LinkedHashMap<>(weights);
        this.name = String.join(
                "+", this.weights.keySet().stream().map(FacetQueue::name).toList());
    }

    /** Takes the next messages for good, as {@link FacetQueue#pull(int)}; ends when there are no more, or it has n. */
    public Flux<Message> pull(int n) {
        Check.between("n", n, 1, Integer.MAX_VALUE);
        return Flux.defer(() -> {
            GroupPull<Message> pull = new GroupPull<>(
                    weights,
                    (queue, count, maintain) ->
                            queue.pulls().take(count).map(messages -> new Pulls.Pulled<>(messages, -1, 0)));
            AtomicInteger left = new AtomicInteger(n);
            return Mono.defer(() -> pull.pull(Math.min(left.get(), LeaseOptions.MAX_BATCH_SIZE), List.of(), false))
                    .map(Pulls.Pulled::items)
                    .doOnNext(taken ->
                            left.set(taken.size() < LeaseOptions.MAX_BATCH_SIZE ? 0 : left.get() - taken.size()))
                    .repeat(() -> left.get() > 0)
                    .concatMapIterable(taken -> taken, 1);
        });
    }

    /** Messages of all queues as they come, each under a lease; as {@link FacetQueue#receive(LeaseOptions)}. */
    public Flux<Delivery> receive(LeaseOptions options) {
        return Flux.defer(() -> reading(options).flux(Delivery.class));
    }

    /**
     * Handles messages of all queues as they come, as {@link FacetQueue#consume(Function, ConsumeOptions)}; {@link Message#queue()}
     * tells where each is from. Acknowledgements have round trips of their own.
     */
    public Mono<Void> consume(Function<? super Message, ? extends Publisher<?>> handler, ConsumeOptions options) {
        return Mono.defer(() -> new Consuming(redis, name, reading(options.lease()), options).run(handler));
    }

    private Reading<Delivery> reading(LeaseOptions options) {
        List<FacetQueue> queues = new ArrayList<>(weights.keySet());
        return Reading.ofMany(
                redis,
                queues.stream().map(FacetQueue::unit).toList(),
                queues.get(0).leases(),
                options,
                options.batchSize(),
                new GroupPull<>(weights, (queue, n, maintain) -> queue.pulls().each(n, options, List.of(), maintain)),
                Delivery::giveBack);
    }

    @Override
    public String toString() {
        return "QueueGroup[" + name + "]";
    }
}
