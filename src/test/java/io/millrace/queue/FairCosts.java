package io.millrace.queue;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.queue.FairFacet.Item;
import io.millrace.queue.FairFacet.Where;
import io.millrace.redis.Reply;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/**
 * What messages cost by the time they took. Only the server knows that to the millisecond: of the times there can have been, the one counts
 * that explains what is written down now, to the last bit; if none does, something else was charged.
 */
final class FairCosts {

    private final FairRun run;

    FairCosts(FairRun run) {
        this.run = run;
    }

    /** Times between which a lease took what it took, in ms. */
    private record Span(long from, long to) {}

    private Span during(Receipt receipt, Supplier<Boolean> what) {
        String entry = receipt.entry();
        long begin = Long.parseLong(entry.substring(0, entry.indexOf('-')));
        long from = run.serverMillis() - begin;
        assertThat(what.get()).isTrue();
        return new Span(from, run.serverMillis() - begin);
    }

    /** Ends a lease of these. */
    void end(FairModel model, List<Item> items, Receipt receipt, Supplier<Boolean> how) {
        Span span = during(receipt, how);
        if (model.cost != Cost.TIME) {
            return;
        }
        Map<FairFacet, Integer> counts = new LinkedHashMap<>();
        items.forEach(item -> counts.merge(model.facet(item.facet), 1, Integer::sum));
        double before = model.average;
        double stored = stored("HGET", model, "policy", "avg");
        List<long[]> took = candidates(span, counts.size())
                .filter(times -> average(before, counts.values(), times) == stored)
                .toList();
        assertThat(took)
                .as("average of %s s, then %s s, after %s of %s", before, stored, span, counts.values())
                .isNotEmpty();
        int i = 0;
        for (Map.Entry<FairFacet, Integer> each : counts.entrySet()) {
            model.charge(each.getKey(), seconds(took.get(0)[i++], each.getValue()), each.getValue());
        }
        assertThat(model.average).isEqualTo(stored);
    }

    /** What each of so many facets took; the clock may go on while they are charged. */
    private static Stream<long[]> candidates(Span span, int facets) {
        return LongStream.rangeClosed(span.from, span.to)
                .boxed()
                .flatMap(ms -> IntStream.rangeClosed(1, facets)
                        .mapToObj(early -> IntStream.range(0, facets)
                                .mapToLong(i -> i < early ? ms : ms + 1)
                                .toArray()));
    }

    private static double seconds(long ms, int count) {
        return ms / 1000.0 * count;
    }

    private static double average(double average, Collection<Integer> counts, long[] took) {
        int i = 0;
        for (int count : counts) {
            average = 0.9 * average + 0.1 * seconds(took[i++], count) / count;
        }
        return average;
    }

    /** Has a lease go on: what it took up to now is paid. */
    void extend(FairModel model, Item item, Receipt receipt, Supplier<Boolean> how) {
        Span span = during(receipt, how);
        if (model.cost != Cost.TIME) {
            return;
        }
        FairFacet facet = model.facet(item.facet);
        double paid = facet.where == Where.FAIR
                ? stored(
                        "ZSCORE",
                        model,
                        "fair",
                        run.rig.raw("HGET", key(model, "place"), item.facet).bytes(0))
                : stored("ZSCORE", model, "debts", item.facet);
        double before = Math.max(model.time, facet.debt);
        long took = LongStream.rangeClosed(span.from, span.to)
                .filter(ms -> {
                    double owed = seconds(ms, 1) / facet.weight;
                    return facet.weight == 0
                            || (facet.where == Where.FAIR
                                    ? facet.key + owed == paid
                                    : before + owed == paid || (ms == 0 && facet.debt <= before));
                })
                .findFirst()
                .orElseThrow(() -> new AssertionError("paid up to " + paid + " at " + facet.weight + " after " + span
                        + ", before up to " + (facet.where == Where.FAIR ? facet.key : before)));
        model.charge(facet, seconds(took, 1), 0);
    }

    private String key(FairModel model, String part) {
        return run.rig.key(run.models.indexOf(model), part);
    }

    /** NaN: nothing. */
    private double stored(String command, FairModel model, String part, Object member) {
        Reply reply = run.rig.raw(command, key(model, part), member);
        return reply.size() == 0 || reply.isNull(0) ? Double.NaN : Double.parseDouble(reply.text(0));
    }
}
