package io.millrace.stream;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Entries that follow each other, oldest first; never empty.
 *
 * @param stream where they come from
 * @param shard which shard of it
 * @param entries what is to be handled
 * @param backfill whether they are of a {@link Backfill}; their ids are of its lane then, not of the stream
 * @param fence number of the instance that read them, higher than that of any instance before: a store that keeps the highest it has
 *     seen can refuse what an instance writes that was paused and has been replaced
 */
public record StreamBatch(String stream, int shard, List<StreamEntry> entries, boolean backfill, long fence) {

    /** @throws IllegalArgumentException if there is no entry */
    public StreamBatch {
        if (entries.isEmpty()) {
            throw new IllegalArgumentException("a batch has one entry at least");
        }
        entries = List.copyOf(entries);
    }

    /** The last entry's id. */
    public EntryId lastId() {
        return entries.get(entries.size() - 1).id();
    }

    /** How many there are. */
    public int size() {
        return entries.size();
    }

    /** The payloads as a type, in order. */
    public <T> List<T> payloads(Class<T> type) {
        return entries.stream()
                .map(entry -> Objects.requireNonNull(entry.payload(type)))
                .toList();
    }

    /** The last change of each record, in the order of those last changes: what a store that is written as a whole needs. */
    public StreamBatch latest() {
        return latest(StreamEntry::key);
    }

    /** As {@link #latest()}, with another idea of what a record is. */
    public StreamBatch latest(Function<? super StreamEntry, ?> key) {
        Map<Object, StreamEntry> last = new HashMap<>();
        entries.forEach(entry -> last.put(key.apply(entry), entry));
        return with(entry -> last.get(key.apply(entry)) == entry);
    }

    /**
     * Of each record the change with the highest version, of equal ones the last: an old state that was produced late does not win.
     *
     * @param version of an entry, such as a time or a number; where it is {@code null} the entry counts as the oldest
     */
    public <V extends Comparable<? super V>> StreamBatch latest(
            Function<? super StreamEntry, ?> key, Function<? super StreamEntry, ? extends @Nullable V> version) {
        Map<Object, StreamEntry> newest = new HashMap<>();
        entries.forEach(entry -> newest.merge(key.apply(entry), entry, (known, next) -> {
            V before = version.apply(known);
            V after = version.apply(next);
            return before == null || (after != null && after.compareTo(before) >= 0) ? next : known;
        }));
        return with(entry -> newest.get(key.apply(entry)) == entry);
    }

    private StreamBatch with(java.util.function.Predicate<StreamEntry> kept) {
        List<StreamEntry> some = new ArrayList<>();
        for (StreamEntry entry : entries) {
            if (kept.test(entry)) {
                some.add(entry);
            }
        }
        return new StreamBatch(stream, shard, some, backfill, fence);
    }

    StreamBatch with(List<StreamEntry> some) {
        return new StreamBatch(stream, shard, some, backfill, fence);
    }
}
