package io.millrace.stream;

import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What one shard of a stream holds, at one moment.
 *
 * @param stream its name
 * @param shard which shard, from 0
 * @param shards how many the stream has
 * @param length how many entries there are
 * @param first id of the oldest; {@code null} if there is none
 * @param last the last id ever given
 * @param trimmed the highest id that was removed
 * @param notes how many repair notes wait
 * @param oldestNote age of the oldest of them; {@code null} if there is none
 * @param consumers who is registered, by name
 */
public record StreamState(
        String stream,
        int shard,
        int shards,
        long length,
        @Nullable EntryId first,
        EntryId last,
        EntryId trimmed,
        long notes,
        @Nullable Duration oldestNote,
        List<ConsumerState> consumers) {

    /**
     * Where a consumer stands.
     *
     * @param name its name
     * @param offset the last committed id
     * @param lag how many entries it has not committed
     * @param lagIsLeast whether there are more than {@code lag}, which were not counted
     * @param age how long the first of them has been there, by the server's clock; zero if there is none
     * @param backfillLag how many entries of backfills wait for it in their lane
     * @param deadLetters how many it has put aside
     * @param paused whether it is not to read on
     * @param active whether an instance holds the lock
     */
    public record ConsumerState(
            String name,
            EntryId offset,
            long lag,
            boolean lagIsLeast,
            Duration age,
            long backfillLag,
            long deadLetters,
            boolean paused,
            boolean active) {}
}
