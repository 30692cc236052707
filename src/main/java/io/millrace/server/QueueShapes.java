package io.millrace.server;

import io.millrace.json.EventCodec;
import io.millrace.queue.Cap;
import io.millrace.queue.DeadLetter;
import io.millrace.queue.DwellTimes;
import io.millrace.queue.FacetLoad;
import io.millrace.queue.FacetPolicy;
import io.millrace.queue.PolicySettings;
import io.millrace.queue.QueueLoad;
import io.millrace.queue.Rate;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** How policies and dead letters are shown, on the command line and over HTTP alike. */
public final class QueueShapes {

    private QueueShapes() {}

    /** {@code queue, paused, cap, capEach, rate, rateEach, order, cost, facets[{facet, weight, paused, cap, rate, limitWaiting}]}. */
    public static Map<String, @Nullable Object> policies(String queue, PolicySettings settings) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("queue", queue);
        shape.put("paused", settings.paused());
        shape.put("cap", cap(settings.cap()));
        shape.put("capEach", cap(settings.capEach()));
        shape.put("rate", rate(settings.rate()));
        shape.put("rateEach", rate(settings.rateEach()));
        shape.put("order", settings.order().name().toLowerCase(Locale.ROOT));
        shape.put("cost", settings.cost().name().toLowerCase(Locale.ROOT));
        List<Map<String, @Nullable Object>> facets = settings.facets().entrySet().stream()
                .map(facet -> facet(facet.getKey(), facet.getValue()))
                .toList();
        shape.put("facets", facets);
        return shape;
    }

    private static Map<String, @Nullable Object> facet(String facet, FacetPolicy policy) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("facet", facet);
        shape.put("weight", policy.weight());
        shape.put("paused", policy.paused() || policy.weight() == 0);
        shape.put("cap", cap(policy.cap()));
        shape.put("rate", rate(policy.rate()));
        shape.put("limitWaiting", policy.limitWaiting() < 0 ? null : policy.limitWaiting());
        return shape;
    }

    private static @Nullable Map<String, Object> cap(Cap cap) {
        if (cap.messages() == 0) {
            return null;
        }
        Map<String, Object> shape = new LinkedHashMap<>();
        shape.put("messages", cap.messages());
        shape.put("elastic", cap.elastic());
        return shape;
    }

    private static @Nullable Map<String, Object> rate(Rate rate) {
        if (rate.count() == 0) {
            return null;
        }
        Map<String, Object> shape = new LinkedHashMap<>();
        shape.put("count", rate.count());
        shape.put("periodMs", rate.period().toMillis());
        shape.put("burst", rate.burst());
        return shape;
    }

    /**
     * {@code queue, facets, waiting, oldestAgeMs, noisiest[{facet, waiting, oldestAgeMs}], mostStarved[…], dwell{count, p50Ms, p99Ms,
     * buckets[{upToMs, count}]}}, buckets without any left out; of several partitions also {@code partitions[{partition, facets, waiting}]}.
     */
    public static Map<String, @Nullable Object> load(QueueLoad load) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("queue", load.queue());
        shape.put("facets", load.facets());
        shape.put("waiting", load.waiting());
        shape.put("oldestAgeMs", load.oldestAge().toMillis());
        shape.put("noisiest", load.noisiest().stream().map(QueueShapes::facet).toList());
        shape.put(
                "mostStarved",
                load.mostStarved().stream().map(QueueShapes::facet).toList());
        Map<String, Object> dwell = new LinkedHashMap<>();
        dwell.put("count", load.dwell().count());
        dwell.put("p50Ms", load.dwell().percentile(0.5).toMillis());
        dwell.put("p99Ms", load.dwell().percentile(0.99).toMillis());
        dwell.put(
                "buckets",
                load.dwell().buckets().stream()
                        .filter(bucket -> bucket.count() > 0)
                        .map(QueueShapes::bucket)
                        .toList());
        shape.put("dwell", dwell);
        if (load.partitions().size() > 1) {
            shape.put(
                    "partitions",
                    load.partitions().stream()
                            .map(one -> Map.of(
                                    "partition", one.partition(), "facets", one.facets(), "waiting", one.waiting()))
                            .toList());
        }
        return shape;
    }

    private static Map<String, Object> bucket(DwellTimes.Bucket bucket) {
        Map<String, Object> shape = new LinkedHashMap<>(); // in this order
        shape.put("upToMs", bucket.upTo().toMillis());
        shape.put("count", bucket.count());
        return shape;
    }

    private static Map<String, @Nullable Object> facet(FacetLoad facet) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("facet", facet.facet());
        shape.put("waiting", facet.waiting());
        shape.put("oldestAgeMs", facet.oldestAge().toMillis());
        return shape;
    }

    /** {@code entry, queue, facet, id, attempts, reason, deliveredAt, firstHandedOutAt, deadAt, event}. */
    public static Map<String, @Nullable Object> deadLetter(DeadLetter letter) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("entry", letter.entry());
        shape.put("queue", letter.message().queue());
        shape.put("facet", letter.message().facet());
        shape.put("id", letter.message().id());
        shape.put("attempts", letter.message().attempt());
        shape.put("reason", letter.reason());
        shape.put("deliveredAt", letter.message().deliveredAt().toString());
        shape.put(
                "firstHandedOutAt",
                letter.firstHandedOut() == null ? null : letter.firstHandedOut().toString());
        shape.put("deadAt", letter.at().toString());
        shape.put("event", EventCodec.plain(letter.message().event()));
        return shape;
    }
}
