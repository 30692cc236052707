package io.millrace.queue;

import java.util.List;

/**
 * What became of one delivered event.
 *
 * @param id the event's id
 * @param queues the queues that have it now; empty if none matched, then it was only published to live listeners
 * @param duplicateIn those of them that had it already, within their deduplication window
 */
public record Delivered(String id, List<String> queues, List<String> duplicateIn) {}
