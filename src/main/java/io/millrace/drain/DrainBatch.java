package io.millrace.drain;

import java.time.Instant;
import java.util.List;

/**
 * Events that arrived together, as far as they have come through the stages. Immutable.
 *
 * @param id the same each time the batch is processed
 * @param attempt how many times it has been handed out, from 1; more than 1 after a failure or a crash
 * @param receivedAt when it was stored, to the millisecond of the server's clock
 * @param events in the order of the sender; what stages took out is missing
 * @param newlyDirty URLs among them that were clean until this batch; empty before, or without, the filter
 */
public record DrainBatch(String id, int attempt, Instant receivedAt, List<DrainEvent> events, List<String> newlyDirty) {

    /** Takes copies of the lists. */
    public DrainBatch {
        events = List.copyOf(events);
        newlyDirty = List.copyOf(newlyDirty);
    }

    /** The same batch with these events in place of its own. */
    public DrainBatch withEvents(List<DrainEvent> others) {
        return new DrainBatch(id, attempt, receivedAt, others, newlyDirty);
    }

    DrainBatch withNewlyDirty(List<String> urls) {
        return new DrainBatch(id, attempt, receivedAt, events, urls);
    }
}
