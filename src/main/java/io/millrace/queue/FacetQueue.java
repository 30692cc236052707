package io.millrace.queue;

import io.millrace.redis.Redis;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.List;
import java.util.function.Function;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * One queue. Facets (environments) with messages take turns, one message each; inside a facet the order is that of delivery.
 *
 * <p>{@link #pull()} takes at most once. {@link #receive} and {@link #consume} are at least once: a message is leased, and when the
 * lease ends without acknowledgement it comes again, from its old place in its facet and with the next attempt number; after its
 * last attempt it becomes a dead letter. What was leased by somebody who died comes again within the lease time and a second.
 *
 * <p>Everything is cold and may be subscribed to by any number of consumers in any number of processes, which share the messages.
 * Elements arrive on Millrace's worker threads. While Redis is away {@code receive} and {@code consume} wait and go on by themselves;
 * everything else fails at once with {@link io.millrace.RedisUnavailableException}. Thread safe.
 *
 * <h2>Several partitions</h2>
 *
 * A queue may be registered with several partitions ({@link QueueOptions.Builder#partitions}), each with a slot of its own; a facet is
 * always in the same one. What is different then:
 *
 * <ul>
 *   <li>{@code receive} and {@code consume} make the subscription a member of the queue's group. The members share the partitions among
 *       them, at most {@code ceil(partitions / members)} each, and share anew when one comes, leaves (at once) or dies (within 5 s). A
 *       member reads its own partitions first. When these have nothing more for it, it helps with the others, so nobody idles while there
 *       is work; more members than partitions all work. Two who read the same partition do no harm: each message has its own lease.
 *   <li>{@code pull} and {@code lease} look at all partitions, and are no members.
 *   <li>One reader serves its partitions by turns in proportion to the weights of their active facets: facets get equal shares however
 *       they hash. Between members shares are fair as far as partitions are evenly filled; who reads alone is fair to all.
 *   <li>{@code facets} goes partition by partition; {@code peek} shows one of the orders in which partitions may take turns;
 *       {@link #cancel} asks all of them; a batch is of one partition.
 *   <li>An event id is single within a facet's partition: the same id under another environment may be another message.
 *   <li>When one partition cannot be read, in Cluster, the others go on; {@code pull} hands out what it took, then fails.
 * </ul>
 */
public final class FacetQueue {

    /** How long a message that was given back is held back at most. */
    public static final Duration MAX_NACK_DELAY = Duration.ofDays(365);

    private final String name;
    private final Redis redis;
    private final Registry registry;
    private final Partitions partitions;
    private final Overview overview;
    private final Graveyard graveyard;
    private final Policies policies;
    private final Readings readings;
    private final DelayedDelivery delayed;

    FacetQueue(String name, Redis redis, Registry registry, DelayedDelivery delayed) {
        this.name = name;
        this.redis = redis;
        this.registry = registry;
        this.partitions = new Partitions(name, redis, registry);
        this.overview = new Overview(name, redis, partitions);
        this.graveyard = new Graveyard(partitions);
        this.policies = new Policies(redis, partitions);
        this.readings = new Readings(redis, partitions);
        this.delayed = delayed;
    }

    /** The queue's name. */
    public String name() {
        return name;
    }

    /**
     * Takes the next message for good; empty when nothing is queued. At most once: what is lost on the way is lost, and a cancel after
     * subscription may lose it.
     */
    public Mono<Message> pull() {
        return pull(1).next();
    }

    /**
     * Takes the next messages for good, as {@link #pull()} would one by one.
     *
     * @param n how many at most; 1 or more. More than {@value LeaseOptions#MAX_BATCH_SIZE} take several round trips.
     */
    public Flux<Message> pull(int n) {
        Check.between("n", n, 1, Integer.MAX_VALUE);
        return Taken.upTo(
                n, most -> take(most, (partition, some) -> partition.pulls().take(some)));
    }

    /**
     * Leases the next messages that are there now, and ends. Meant for tools; a program uses {@link #receive} or {@link #consume}.
     *
     * @param n how many at most; 1 to {@value LeaseOptions#MAX_BATCH_SIZE}
     */
    public Flux<Delivery> lease(int n, LeaseOptions options) {
        Check.between("n", n, 1, LeaseOptions.MAX_BATCH_SIZE);
        return take(n, (partition, some) -> partition.pulls().lease(some, options))
                .flatMapMany(Taken::flux);
    }

    /** As {@link #receive(LeaseOptions)}, with everything by default. */
    public Flux<Delivery> receive() {
        return receive(LeaseOptions.defaults());
    }

    /**
     * Messages as they come, each under a lease that begins when it is handed out; without end.
     *
     * <p>Demand decides how much is leased: never more than was requested and not yet delivered. A cancel gives back what was leased
     * but not handed out, as if it had never been taken; what was handed out stays with its holder.
     */
    public Flux<Delivery> receive(LeaseOptions options) {
        return readings.deliveries(options, reading -> reading.flux(Delivery.class));
    }

    /**
     * Messages as they come, up to {@link LeaseOptions#batchSize()} under one lease; without end. About half the work for the server
     * of {@link #receive}. Each element of demand leases one batch.
     */
    public Flux<DeliveryBatch> receiveBatches(LeaseOptions options) {
        return readings.batches(options, reading -> reading.flux(DeliveryBatch.class));
    }

    /** As {@link #consume(Function, ConsumeOptions)}, with everything by default. */
    public Mono<Void> consume(Function<? super Message, ? extends Publisher<?>> handler) {
        return consume(handler, ConsumeOptions.defaults());
    }

    /**
     * Handles messages as they come. A message is acknowledged when its handler completes; when it fails, the message comes again
     * after a growing delay, and after its last attempt it becomes a dead letter with the error as its reason. Leases are extended
     * while handlers run.
     *
     * <p>As many messages are leased as handlers are free, and {@link ConsumeOptions#prefetch} more. Acknowledgements travel with the next pull and are not waited for: when
     * this process dies at that moment the message comes again. A cancel stops handlers and gives their messages back at once, as
     * failed attempts; {@link ConsumeOptions.Builder#until} ends gracefully.
     *
     * @param handler is called on {@link ConsumeOptions#scheduler()}; the message is done when what it returns completes
     * @return ends only by {@code until}, by cancel, or by an error that trying again does not cure (access denied, for example)
     */
    public Mono<Void> consume(Function<? super Message, ? extends Publisher<?>> handler, ConsumeOptions options) {
        return readings.deliveries(
                        options.lease(),
                        reading -> new Consuming(redis, name, reading, options)
                                .run(handler)
                                .flux())
                .then();
    }

    /**
     * Handles batches as they come, each under one lease, {@link ConsumeOptions#concurrency()} at a time. When the handler fails all
     * messages of the batch come again.
     *
     * @param handler is called with 1 to {@link LeaseOptions#batchSize()} messages
     */
    public Mono<Void> consumeBatches(
            Function<? super List<Message>, ? extends Publisher<?>> handler, ConsumeOptions options) {
        return readings.batches(
                        options.lease(),
                        reading -> new Consuming(redis, name, reading, options)
                                .runBatches(handler)
                                .flux())
                .then();
    }

    /**
     * Acknowledges by receipt, for a process that did not take the message itself.
     *
     * @return false: the lease was not held any more
     */
    public Mono<Boolean> acknowledge(Receipt receipt) {
        return leases(receipt).flatMap(leases -> leases.acknowledge(receipt)).defaultIfEmpty(false);
    }

    /**
     * Gives back by receipt, as {@link Delivery#nack(Duration, String)}; a batch's receipt stands for all its messages.
     *
     * @param delay for how long the message is held back; 0 to 365 days
     * @return false: the lease was not held any more
     */
    public Mono<Boolean> nack(Receipt receipt, Duration delay, String reason) {
        return end(receipt, Leases.Return.all(receipt, 1, delay, reason));
    }

    /** Gives back by receipt as if it had never been handed out, as {@link Delivery#release()}. */
    public Mono<Boolean> release(Receipt receipt) {
        return end(receipt, Leases.Return.untouched(receipt, 1));
    }

    /** Makes it a dead letter by receipt, as {@link Delivery#bury(String)}. */
    public Mono<Boolean> bury(Receipt receipt, String reason) {
        return end(receipt, Leases.Return.dead(receipt, 1, reason));
    }

    /**
     * Begins a lease anew by receipt, as {@link Delivery#extend(Duration)}.
     *
     * @param lease for how long; 100 ms to 12 h
     * @return the receipt that is good from now on; empty: the lease was not held any more
     */
    public Mono<Receipt> extend(Receipt receipt, Duration lease) {
        String profile = LeaseOptions.builder()
                .lease(lease)
                .maxAttempts(Math.min(receipt.maxAttempts(), LeaseOptions.MOST_ATTEMPTS)) // more were never leased
                .build()
                .profile();
        return leases(receipt)
                .flatMap(leases -> leases.extend(receipt, 1, profile))
                .filter(renewed -> !renewed.equals(Receipt.GONE));
    }

    private Mono<Boolean> end(Receipt receipt, Leases.Return how) {
        return leases(receipt)
                .flatMap(leases -> leases.end(how))
                .map(ended -> ended != Leases.Ended.GONE)
                .defaultIfEmpty(false);
    }

    /** Empty: the queue has no such partition. */
    private Mono<Leases> leases(Receipt receipt) {
        return partitions
                .now()
                .filter(now -> receipt.partition() < now.size())
                .map(now -> now.all().get(receipt.partition()).leases());
    }

    /** The messages that {@link #pull(int)} would take, left where they are; 1 to {@value LeaseOptions#MAX_BATCH_SIZE}. */
    public Flux<Message> peek(int n) {
        Check.between("n", n, 1, LeaseOptions.MAX_BATCH_SIZE);
        return overview.peek(n);
    }

    /**
     * Facets that have messages, in the order of their turns; those with nothing waiting last. Counted, not kept: exact while nobody
     * changes the queue, else each number as of its own moment.
     */
    public Flux<FacetState> facets() {
        return overview.facets();
    }

    /**
     * The queue at a glance: in all, and the facets with the most and with the oldest messages. Reads all facets page by page and
     * remembers only what it answers.
     *
     * @param top how many facets of each kind; 1 to 1,000
     */
    public Mono<QueueLoad> load(int top) {
        Check.between("top", top, 1, 1_000);
        return overview.load(top);
    }

    /** How long messages waited that were handed out, by whichever process. */
    public Mono<DwellTimes> dwell() {
        return partitions.dwell();
    }

    /** How many messages wait to be pulled, over all facets; without those in flight or held back. */
    public Mono<Long> length() {
        return partitions.sum(partition -> partition.insight().length());
    }

    /** How it hands out its messages: weights, caps, rates, pauses, order. */
    public Policies policies() {
        return policies;
    }

    /**
     * Takes a delayed delivery back, as if it had never been asked for; the same id may be delivered again. Other queues that keep the
     * event get it all the same, and then live listeners hear of it; when none is left, they do not.
     *
     * @param id the event's
     * @return false: there is none of that id that is still to come
     */
    public Mono<Boolean> cancel(String id) {
        return delayed.cancel(partitions, id);
    }

    /** Messages that were given up, oldest first. They stay until they are redriven or dropped. */
    public Flux<DeadLetter> deadLetters() {
        return graveyard.list();
    }

    /** How many they are, without reading them. */
    public Mono<Long> deadLetterCount() {
        return partitions.sum(partition -> partition.deadLetters().count());
    }

    /**
     * As {@link #deadLetters()}, those behind one of them, which need not be there any more.
     *
     * @param entry of {@link DeadLetter#entry()}
     * @throws IllegalArgumentException if it has not the form of one
     */
    public Flux<DeadLetter> deadLetters(String entry) {
        return graveyard.listAfter(entry);
    }

    /**
     * Gives dead letters another chance: back to their old place in their facet, under their own id, with all attempts before them.
     *
     * @param entries of {@link DeadLetter#entry()}
     * @return how many of them were still there
     */
    public Mono<Long> redrive(Collection<String> entries) {
        return graveyard.treat(DeadLetters.Fate.REDRIVE, entries);
    }

    /** As {@link #redrive}, all that are there when it begins; in bounded steps. */
    public Mono<Long> redriveAll() {
        return graveyard.treatAll(DeadLetters.Fate.REDRIVE, null);
    }

    /** As {@link #redriveAll()}, those of one facet. */
    public Mono<Long> redriveAll(String facet) {
        return graveyard.treatAll(DeadLetters.Fate.REDRIVE, facet);
    }

    /**
     * Drops dead letters for good.
     *
     * @param entries of {@link DeadLetter#entry()}
     * @return how many of them were still there
     */
    public Mono<Long> dropDeadLetters(Collection<String> entries) {
        return graveyard.treat(DeadLetters.Fate.DROP, entries);
    }

    /** Drops all dead letters that are there when it begins, for good; in bounded steps. */
    public Mono<Long> dropAllDeadLetters() {
        return graveyard.treatAll(DeadLetters.Fate.DROP, null);
    }

    /** As {@link #dropAllDeadLetters()}, those of one facet. */
    public Mono<Long> dropAllDeadLetters(String facet) {
        return graveyard.treatAll(DeadLetters.Fate.DROP, facet);
    }

    /**
     * Drops dead letters that died before a time, for good; in bounded steps. Dead letters stay until somebody does so: who lets nobody
     * look at them calls this now and then.
     */
    public Mono<Long> dropDeadLettersBefore(Instant time) {
        return graveyard.dropBefore(time);
    }

    /** Checks that the queue's data are in order, and repairs what is not; in bounded steps. */
    public Mono<DoctorReport> doctor() {
        return overview.doctor();
    }

    /**
     * Removes the queue: its registration, its messages wherever they are, its dead letters. In Cluster it waits meanwhile for a second,
     * since other processes may deliver for so long by what they knew before.
     *
     * @return how many messages were removed, dead letters among them
     */
    public Mono<Long> destroy() {
        return registry.unregister(name)
                .then(registry.settled())
                .then(partitions.sum(partition -> partition.insight().removeAll()))
                .delayUntil(removed -> registry.forget(name));
    }

    /** How many partitions it has, registered or not; see {@link QueueOptions.Builder#partitions}. */
    public Mono<Integer> partitions() {
        return partitions.now().map(Partitions.Layout::size);
    }

    Partitions layout() {
        return partitions;
    }

    <T> Mono<Taken<T>> take(int n, PlainPull.From<T> from) {
        return partitions.now().flatMap(now -> now.plain().pull(n, from));
    }

    @Override
    public String toString() {
        return "FacetQueue[" + name + "]";
    }
}
