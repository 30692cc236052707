package io.millrace.queue;

import java.util.List;
import java.util.Map;

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
        return equals(QueueWide.together(List.of(Map.of())));
    }
}
