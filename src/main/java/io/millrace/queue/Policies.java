package io.millrace.queue;

import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.function.IntFunction;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * How one queue hands out its messages: weights, caps, rates, pauses, order. Kept in Redis and the same for all consumers; a change is
 * in force for the next pull, also for facets that have no messages yet. A queue without any of them pays nothing for them, and is a
 * plain one again some time after the last was taken away.
 *
 * <p>In a queue of several partitions what is set for a facet holds in its partition, and what is set for each facet in all of them. A
 * cap or rate of the whole queue is divided among the partitions: it is never exceeded, and reached only while all of them have
 * something to do.
 *
 * <p>Everything is cold; repeating a change is harmless.
 */
public final class Policies {

    /** The least and the greatest weight besides 0. */
    public static final double MIN_WEIGHT = 0.001;

    /** See {@link #MIN_WEIGHT}. */
    public static final double MAX_WEIGHT = 1000;

    private final Redis redis;
    private final Partitions partitions;

    Policies(Redis redis, Partitions partitions) {
        this.redis = redis;
        this.partitions = partitions;
    }

    /**
     * The facet's share: with weights 3 and 1 one facet is served three times as often as the other while both have messages. By
     * self-clocked fair queueing (Golestani, 1994); equal weights take turns exactly.
     *
     * @param weight {@value #MIN_WEIGHT} to {@value #MAX_WEIGHT}, rounded to three decimals; 1 is the default, 0 pauses the facet
     */
    public Mono<Void> weight(String facet, double weight) {
        if (weight != 0 && !(weight >= MIN_WEIGHT && weight <= MAX_WEIGHT)) {
            throw new IllegalArgumentException(
                    "weight must be 0, or " + MIN_WEIGHT + " to " + MAX_WEIGHT + ", was " + weight);
        }
        BigDecimal rounded = BigDecimal.valueOf(weight).setScale(3, RoundingMode.HALF_UP);
        String stored = rounded.compareTo(BigDecimal.ONE) == 0
                ? ""
                : rounded.stripTrailingZeros().toPlainString();
        return set(facet, "w:" + facet, stored);
    }

    /** Nothing of the queue is handed out until {@link #resume()}. Leases that are held go on. */
    public Mono<Void> pause() {
        return setAll("pause", "1");
    }

    /** Nothing of the facet is handed out until {@link #resume(String)}. */
    public Mono<Void> pause(String facet) {
        return set(facet, "p:" + facet, "1");
    }

    /** Ends {@link #pause()}; facets that were paused themselves stay so. */
    public Mono<Void> resume() {
        return setAll("pause", "");
    }

    /** Ends {@link #pause(String)}, and a weight of 0. */
    public Mono<Void> resume(String facet) {
        return partitions
                .of(
                        facet,
                        partition -> redis.call("HGET", partition.unit().part("policy"), "w:" + facet)
                                .cast(byte[].class))
                .map(weight -> new String(weight, StandardCharsets.US_ASCII).equals("0"))
                .defaultIfEmpty(false)
                .flatMap(none -> none ? set(facet, "p:" + facet, "", "w:" + facet, "") : set(facet, "p:" + facet, ""));
    }

    /**
     * At most so many messages of the queue are in flight, over all consumers. {@link Cap#NONE} takes it away. Where there are several
     * partitions each gets its part of it, so it must be one each at least.
     */
    public Mono<Void> cap(Cap cap) {
        if (cap.elastic()) {
            throw new IllegalArgumentException(
                    "the cap of a whole queue cannot be elastic; there are no others that wait");
        }
        return partitions.now().flatMap(now -> {
            List<Cap> parts = QueueWide.divided(cap, now.size());
            return tracked(now.all(), cap.messages() > 0)
                    .then(set(now, "cap", i -> parts.get(i).stored()));
        });
    }

    /**
     * Fails as {@link #cap(Cap)} or {@link #rate(Rate)} would, where there are more partitions than one of these has parts for; changes
     * nothing. For those who want both or none.
     */
    public Mono<Void> check(Cap cap, Rate rate) {
        return partitions
                .now()
                .doOnNext(now -> {
                    QueueWide.divided(cap, now.size());
                    QueueWide.divided(rate, now.size());
                })
                .then();
    }

    /** At most so many messages of each facet are in flight, unless it has a cap of its own. */
    public Mono<Void> capEach(Cap cap) {
        return trackedEverywhere(cap.messages() > 0)
                .then(setAll("each.cap", cap.stored()))
                .then(releaseAll());
    }

    /** At most so many messages of the facet are in flight; {@link Cap#NONE}: what holds for each. */
    public Mono<Void> cap(String facet, Cap cap) {
        return partitions
                .now()
                .flatMap(now -> tracked(List.of(now.of(facet)), cap.messages() > 0))
                .then(set(facet, "c:" + facet, cap.stored()));
    }

    /**
     * So many messages of the queue are handed out in a time, over all consumers. {@link Rate#UNLIMITED} takes it away. Where there are
     * several partitions each gets its part of it, so it must be one each at least; and a burst is one each at least.
     */
    public Mono<Void> rate(Rate rate) {
        return partitions.now().flatMap(now -> {
            List<String> parts = QueueWide.divided(rate, now.size());
            return set(now, "rate", parts::get);
        });
    }

    /** So many messages of each facet are handed out in a time, unless it has a rate of its own. */
    public Mono<Void> rateEach(Rate rate) {
        return setAll("each.rate", rate.stored()).then(releaseAll());
    }

    /** So many messages of the facet are handed out in a time; {@link Rate#UNLIMITED}: what holds for each. */
    public Mono<Void> rate(String facet, Rate rate) {
        return set(facet, "r:" + facet, rate.stored());
    }

    /** What happens inside a facet while one of its messages is in flight or held back. */
    public Mono<Void> order(Order order) {
        boolean strict = order == Order.STRICT;
        return trackedEverywhere(strict)
                .then(setAll("strict", strict ? "1" : ""))
                .then(releaseAll());
    }

    /** What facets take fair shares of. Partitions take turns by messages in any case. */
    public Mono<Void> cost(Cost cost) {
        return trackedEverywhere(cost == Cost.TIME)
                .then(setAll("cost", cost == Cost.MESSAGES ? "" : cost.name().toLowerCase(Locale.ROOT)));
    }

    /**
     * How many messages the facet may have waiting, where its queue has {@link Admission} limits; 0: as many as it likes.
     *
     * @param limit 0 to {@value Admission#MAX_LIMIT}, at most 1,000 hold with {@link Admission.Overflow#NEWEST}; negative: what holds for each
     */
    public Mono<Void> limitWaiting(String facet, int limit) {
        Check.between("limit", limit, -1, Admission.MAX_LIMIT);
        return set(facet, "l:" + facet, limit < 0 ? "" : Integer.toString(limit));
    }

    /** Whether the whole queue is paused, at least in one of its partitions. */
    public Mono<Boolean> isPaused() {
        return partitions
                .sum(partition -> redis.call("HEXISTS", partition.unit().part("policy"), "pause")
                        .cast(Long.class))
                .map(pauses -> pauses > 0);
    }

    /** All that is set now. */
    public Mono<PolicySettings> show() {
        return settings(partition -> run(partition, "show", "0")
                .expand(reply -> reply.text(1).equals("0") ? Mono.empty() : run(partition, "show", reply.text(1))));
    }

    /** What is set for the whole queue and for one facet; {@link PolicySettings#facets()} has no other. */
    public Mono<PolicySettings> show(String facet) {
        return settings(partition -> run(partition, "show", "", facet).flux());
    }

    private Mono<PolicySettings> settings(Function<Partition, Flux<Reply>> pages) {
        return partitions
                .each(partition -> pages.apply(partition)
                        .<Map<String, String>>reduceWith(TreeMap::new, Policies::withPage)
                        .flux())
                .collectList()
                .map(QueueWide::together);
    }

    private static Map<String, String> withPage(Map<String, String> fields, Reply page) {
        for (int i = 2; i + 1 < page.size(); i += 2) {
            fields.put(page.text(i), page.text(i + 1));
        }
        return fields;
    }

    private Mono<Void> set(String facet, String... pairs) {
        List<Object> words = new ArrayList<>(List.of("set", facet, "1"));
        words.addAll(List.of(pairs));
        return partitions
                .of(facet, partition -> run(partition, words.toArray()))
                .then();
    }

    private Mono<Void> setAll(String field, String value) {
        return partitions.now().flatMap(now -> set(now, field, i -> value));
    }

    private Mono<Void> set(Partitions.Layout now, String field, IntFunction<String> value) {
        return Flux.fromIterable(now.all())
                .concatMap(partition -> run(partition, "set", "", "0", field, value.apply(partition.index())))
                .then();
    }

    private Mono<Void> trackedEverywhere(boolean needed) {
        return partitions.now().flatMap(now -> tracked(now.all(), needed));
    }

    /** Puts what is in flight on record, page by page, before a policy that needs to know it. */
    private Mono<Void> tracked(List<Partition> where, boolean needed) {
        return Flux.fromIterable(needed ? where : List.of())
                .concatMap(partition -> run(partition, "track", "", "-")
                        .flatMapIterable(Insight::words)
                        .concatMap(profile -> track(partition, profile)))
                .then();
    }

    private Mono<Void> track(Partition partition, String profile) {
        return run(partition, "track", profile, "-")
                .expand(reply ->
                        reply.text(1).isEmpty() ? Mono.empty() : run(partition, "track", profile, reply.text(1)))
                .then();
    }

    private Mono<Void> releaseAll() {
        return partitions
                .each(partition -> Flux.just("throttled", "parked")
                        .concatMap(where -> run(partition, "release", where, "0")
                                .expand(reply -> reply.text(1).equals("0")
                                        ? Mono.empty()
                                        : run(partition, "release", where, reply.text(1)))))
                .then();
    }

    private Mono<Reply> run(Partition partition, Object... words) {
        return Mono.defer(
                () -> redis.run(QueueScripts.POLICY, List.of(partition.unit().prefix()), Insight.args(words)));
    }
}
