package io.millrace.queue;

import java.time.Duration;
import java.util.List;

/**
 * A queue at a glance, however many facets it has.
 *
 * @param queue its name
 * @param facets how many facets have messages waiting
 * @param waiting messages that can be pulled
 * @param oldestAge for how long the oldest of them has been there
 * @param noisiest facets with the most messages waiting, the most first
 * @param mostStarved facets whose first message has waited longest, the longest first
 * @param dwell how long messages waited that were handed out, by whichever process
 * @param partitions what each of its partitions has, in order
 */
public record QueueLoad(
        String queue,
        long facets,
        long waiting,
        Duration oldestAge,
        List<FacetLoad> noisiest,
        List<FacetLoad> mostStarved,
        DwellTimes dwell,
        List<PartitionLoad> partitions) {}
