package io.millrace.queue;

import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/**
 * How one queue hands out its messages: weights, caps, rates, pauses, order. Kept in Redis and the same for all consumers; a change is
 * in force for the next pull, also for facets that have no messages yet. A queue without any of them pays nothing for them, and is a
 * plain one again some time after the last was taken away.
 *
 * <p>Everything is cold; repeating a change is harmless.
 */
public final class Policies {

    /** The least and the greatest weight besides 0. */
    public static final double MIN_WEIGHT = 0.001;

    /** See {@link #MIN_WEIGHT}. */
    public static final double MAX_WEIGHT = 1000;

    /** What is parked or throttled is judged anew in steps of this many. */
    private static final int RELEASED_AT_ONCE = 500;

    private static final int MAX_RELEASES = 10_000;

    private final Redis redis;
    private final Unit unit;

    Policies(Redis redis, Unit unit) {
        this.redis = redis;
        this.unit = unit;
    }

    /**
     * The facet's share: with weights 3 and 1 one facet is served three times as often as the other while both have messages. By
     * self-clocked fair queueing (Golestani, 1994); equal weights take turns exactly.
     *
     * @param weight {@value #MIN_WEIGHT} to {@value #MAX_WEIGHT}, up to three decimals; 1 is the default, 0 pauses the facet
     */
    public Mono<Void> weight(String facet, double weight) {
        if (weight != 0 && !(weight >= MIN_WEIGHT && weight <= MAX_WEIGHT)) {
            throw new IllegalArgumentException(
                    "weight must be 0, or " + MIN_WEIGHT + " to " + MAX_WEIGHT + ", was " + weight);
        }
        String stored = weight == 1
                ? ""
                : BigDecimal.valueOf(weight)
                        .setScale(3, RoundingMode.HALF_UP)
                        .stripTrailingZeros()
                        .toPlainString();
        return set(facet, "w:" + facet, stored);
    }

    /** Nothing of the queue is handed out until {@link #resume()}. Leases that are held go on. */
    public Mono<Void> pause() {
        return set(null, "pause", "1");
    }

    /** Nothing of the facet is handed out until {@link #resume(String)}. */
    public Mono<Void> pause(String facet) {
        return set(facet, "p:" + facet, "1");
    }

    /** Ends {@link #pause()}; facets that were paused themselves stay so. */
    public Mono<Void> resume() {
        return set(null, "pause", "");
    }

    /** Ends {@link #pause(String)}, and a weight of 0. */
    public Mono<Void> resume(String facet) {
        return show().flatMap(settings -> {
            FacetPolicy policy = settings.facets().get(facet);
            return policy != null && policy.weight() == 0
                    ? set(facet, "p:" + facet, "", "w:" + facet, "")
                    : set(facet, "p:" + facet, "");
        });
    }

    /** At most so many messages of the queue are in flight, over all consumers. {@link Cap#NONE} takes it away. */
    public Mono<Void> cap(Cap cap) {
        if (cap.elastic()) {
            throw new IllegalArgumentException(
                    "the cap of a whole queue cannot be elastic; there are no others that wait");
        }
        return tracked(cap.messages() > 0).then(set(null, "cap", cap.stored()));
    }

    /** At most so many messages of each facet are in flight, unless it has a cap of its own. */
    public Mono<Void> capEach(Cap cap) {
        return tracked(cap.messages() > 0)
                .then(set(null, "each.cap", cap.stored()))
                .then(releaseAll());
    }

    /** At most so many messages of the facet are in flight; {@link Cap#NONE}: what holds for each. */
    public Mono<Void> cap(String facet, Cap cap) {
        return tracked(cap.messages() > 0).then(set(facet, "c:" + facet, cap.stored()));
    }

    /** So many messages of the queue are handed out in a time, over all consumers. {@link Rate#UNLIMITED} takes it away. */
    public Mono<Void> rate(Rate rate) {
        return set(null, "rate", rate.stored());
    }

    /** So many messages of each facet are handed out in a time, unless it has a rate of its own. */
    public Mono<Void> rateEach(Rate rate) {
        return set(null, "each.rate", rate.stored()).then(releaseAll());
    }

    /** So many messages of the facet are handed out in a time; {@link Rate#UNLIMITED}: what holds for each. */
    public Mono<Void> rate(String facet, Rate rate) {
        return set(facet, "r:" + facet, rate.stored());
    }

    /** What happens inside a facet while one of its messages is in flight or held back. */
    public Mono<Void> order(Order order) {
        boolean strict = order == Order.STRICT;
        return tracked(strict).then(set(null, "strict", strict ? "1" : "")).then(releaseAll());
    }

    /** What facets take fair shares of. */
    public Mono<Void> cost(Cost cost) {
        return tracked(cost == Cost.TIME)
                .then(set(null, "cost", cost == Cost.MESSAGES ? "" : cost.name().toLowerCase(Locale.ROOT)));
    }

    /**
     * How many messages the facet may have waiting, where its queue has {@link Admission} limits; 0: as many as it likes.
     *
     * @param limit 0 to {@value Admission#MAX_LIMIT}; negative: what holds for each
     */
    public Mono<Void> limitWaiting(String facet, int limit) {
        Check.between("limit", limit, -1, Admission.MAX_LIMIT);
        return set(facet, "l:" + facet, limit < 0 ? "" : Integer.toString(limit));
    }

    /** All that is set now. */
    public Mono<PolicySettings> show() {
        return page("0")
                .expand(reply -> reply.text(1).equals("0") ? Mono.empty() : page(reply.text(1)))
                .collectList()
                .map(PolicySettings::read);
    }

    private Mono<Reply> page(String cursor) {
        return run("show", cursor);
    }

    private Mono<Void> set(@Nullable String facet, String... pairs) {
        List<Object> words = new ArrayList<>(List.of("set", facet == null ? "" : facet, facet == null ? "0" : "1"));
        words.addAll(List.of(pairs));
        return run(words.toArray()).then();
    }

    /** Puts what is in flight on record, page by page, before a policy that needs to know it. */
    private Mono<Void> tracked(boolean needed) {
        if (!needed) {
            return Mono.empty();
        }
        return run("track", "", "-")
                .flatMapIterable(Insight::words)
                .concatMap(this::track)
                .then();
    }

    private Mono<Void> track(String profile) {
        return run("track", profile, "-")
                .expand(reply -> reply.text(1).isEmpty() ? Mono.empty() : run("track", profile, reply.text(1)))
                .then();
    }

    private Mono<Void> releaseAll() {
        return run("release")
                .expand(reply -> reply.number(1) < RELEASED_AT_ONCE ? Mono.empty() : run("release"))
                .take(MAX_RELEASES)
                .then();
    }

    private Mono<Reply> run(Object... words) {
        return Mono.defer(() -> redis.run(QueueScripts.POLICY, List.of(unit.prefix()), Insight.args(words)));
    }
}
