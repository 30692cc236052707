package io.millrace.queue;

import io.millrace.redis.Reply;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/**
 * How a queue hands out its messages, as it is set now.
 *
 * @param paused whether nothing is handed out
 * @param cap of the whole queue
 * @param capEach of each facet that has none of its own
 * @param rate of the whole queue
 * @param rateEach of each facet that has none of its own
 * @param order inside each facet
 * @param cost what facets take fair shares of
 * @param facets what is set for facets, by name
 */
public record PolicySettings(
        boolean paused,
        Cap cap,
        Cap capEach,
        Rate rate,
        Rate rateEach,
        Order order,
        Cost cost,
        Map<String, FacetPolicy> facets) {

    /** Whether nothing is set at all. */
    public boolean isPlain() {
        return equals(read(List.of()));
    }

    static PolicySettings read(List<Reply> pages) {
        Map<String, String> fields = new TreeMap<>();
        Map<String, FacetPolicy> facets = new TreeMap<>();
        for (Reply page : pages) {
            for (int i = 2; i + 1 < page.size(); i += 2) {
                String field = page.text(i);
                if (field.length() > 1 && field.charAt(1) == ':') {
                    facets.put(
                            field.substring(2),
                            facets.getOrDefault(field.substring(2), FacetPolicy.NONE)
                                    .with(field.charAt(0), page.text(i + 1)));
                } else {
                    fields.put(field, page.text(i + 1));
                }
            }
        }
        return new PolicySettings(
                fields.containsKey("pause"),
                cap(fields, "cap"),
                cap(fields, "each.cap"),
                rate(fields, "rate"),
                rate(fields, "each.rate"),
                fields.containsKey("strict") ? Order.STRICT : Order.FREE,
                Cost.valueOf(fields.getOrDefault("cost", "messages").toUpperCase(Locale.ROOT)),
                Collections.unmodifiableMap(facets));
    }

    private static Cap cap(Map<String, String> fields, String name) {
        String stored = fields.get(name);
        return stored == null ? Cap.NONE : Cap.read(stored);
    }

    private static Rate rate(Map<String, String> fields, String name) {
        String stored = fields.get(name);
        return stored == null ? Rate.UNLIMITED : Rate.read(stored);
    }
}
