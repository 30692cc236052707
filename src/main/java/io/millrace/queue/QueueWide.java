package io.millrace.queue;

import io.millrace.MillraceException;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;

/**
 * What is set for a whole queue and kept by each of its partitions: divided, so that all together never exceed it, and put together
 * again.
 */
final class QueueWide {

    private QueueWide() {}

    /** Each gets as many; what is left over the first ones get. */
    static List<Cap> divided(Cap cap, int partitions) {
        if (cap.messages() > 0 && cap.messages() < partitions) {
            throw new MillraceException("the cap of a queue of " + partitions + " partitions must be " + partitions
                    + " or more, was " + cap.messages() + ": each partition gets its part; cap facets instead");
        }
        return IntStream.range(0, partitions)
                .mapToObj(i -> new Cap(part(cap.messages(), partitions, i), false))
                .toList();
    }

    /** Each gets as many in a time that is so much longer: the same interval for all, whatever the count. */
    static List<String> divided(Rate rate, int partitions) {
        if (rate.count() > 0 && rate.count() < partitions) {
            throw new MillraceException("the rate of a queue of " + partitions + " partitions must be " + partitions
                    + " a period or more, was " + rate.count() + " in " + rate.period()
                    + ": each partition gets its part; say it of a longer period, such as "
                    + rate.count() * partitions + " in " + rate.period().multipliedBy(partitions));
        }
        int burst = Math.max(rate.burst(), partitions);
        return IntStream.range(0, partitions)
                .mapToObj(i -> rate.count() == 0
                        ? ""
                        : rate.count() + "/" + rate.period().toMillis() * partitions + "/" + part(burst, partitions, i))
                .toList();
    }

    private static int part(int whole, int parts, int i) {
        return whole / parts + (i < whole % parts ? 1 : 0);
    }

    /** @param partitions what each of them has set, by field */
    static PolicySettings together(List<Map<String, String>> partitions) {
        Map<String, String> first = partitions.get(0);
        String each = first.get("each.rate");
        return new PolicySettings(
                partitions.stream().anyMatch(fields -> fields.containsKey("pause")), // one that was not resumed says so
                cap(partitions),
                first.containsKey("each.cap") ? Cap.read(first.get("each.cap")) : Cap.NONE,
                rate(partitions),
                each == null ? Rate.UNLIMITED : Rate.read(each),
                first.containsKey("strict") ? Order.STRICT : Order.FREE,
                Cost.valueOf(first.getOrDefault("cost", "messages").toUpperCase(Locale.ROOT)),
                facets(partitions));
    }

    private static Map<String, FacetPolicy> facets(List<Map<String, String>> partitions) {
        Map<String, FacetPolicy> facets = new TreeMap<>();
        for (Map<String, String> fields : partitions) {
            fields.forEach((field, value) -> {
                if (isOfFacet(field)) {
                    facets.compute(
                            field.substring(2),
                            (facet, known) -> (known == null ? FacetPolicy.NONE : known).with(field.charAt(0), value));
                }
            });
        }
        return Collections.unmodifiableMap(facets);
    }

    private static boolean isOfFacet(String field) {
        return field.length() > 1 && field.charAt(1) == ':';
    }

    private static Cap cap(List<Map<String, String>> partitions) {
        int messages = partitions.stream()
                .filter(fields -> fields.containsKey("cap"))
                .mapToInt(fields -> Cap.read(fields.get("cap")).messages())
                .sum();
        return new Cap(messages, false);
    }

    private static Rate rate(List<Map<String, String>> partitions) {
        String stored = partitions.get(0).get("rate");
        if (stored == null) {
            return Rate.UNLIMITED;
        }
        String[] words = stored.split("/", 3);
        int burst = partitions.stream()
                .filter(fields -> fields.containsKey("rate"))
                .mapToInt(fields -> Integer.parseInt(fields.get("rate").split("/", 3)[2]))
                .sum();
        return new Rate(
                Integer.parseInt(words[0]), Duration.ofMillis(Long.parseLong(words[1]) / partitions.size()), burst);
    }
}
