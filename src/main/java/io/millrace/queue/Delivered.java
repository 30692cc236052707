package io.millrace.queue;

import java.util.List;

/**
 * What became of one delivered event.
 *
 * @param id the event's id
 * @param queues the queues that have it now; empty if none matched, then it was only published to live listeners
 * @param duplicateIn those of them that had it already, within their deduplication window
 * @param refusedBy queues that matched and do not have it: its facet has as many messages waiting there as it may
 * @param displaced ids of messages that were dropped, or replaced, to make room for it; see {@link Admission.Overflow}
 */
public record Delivered(
        String id, List<String> queues, List<String> duplicateIn, List<String> refusedBy, List<String> displaced) {}
