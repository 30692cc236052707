package io.millrace.stream;

import java.util.List;

/**
 * How far a backfill has come, over all shards.
 *
 * @param stream of which stream
 * @param id which backfill
 * @param fed how many records have been added to the lane
 * @param closed whether those are all
 * @param cancelled whether it was taken back: what waits is passed over
 * @param consumers how far each registered consumer is, by name
 */
public record BackfillState(
        String stream, String id, long fed, boolean closed, boolean cancelled, List<ConsumerProgress> consumers) {

    /** @param consumers how far each registered consumer is, by name */
    public BackfillState {
        consumers = List.copyOf(consumers);
    }

    /**
     * How far a consumer is.
     *
     * @param consumer its name
     * @param handled how many of the records it is done with
     * @param overtaken how many of those it left out, since a later entry of the same record had come
     */
    public record ConsumerProgress(String consumer, long handled, long overtaken) {}

    /** Whether nothing of it is left to do: all was fed and handled by every consumer, or it was cancelled. */
    public boolean isOver() {
        return cancelled || (closed && consumers.stream().allMatch(one -> one.handled() >= fed));
    }
}
