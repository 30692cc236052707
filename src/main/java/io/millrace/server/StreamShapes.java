package io.millrace.server;

import io.millrace.MalformedEventException;
import io.millrace.stream.BackfillState;
import io.millrace.stream.ConsumerMember;
import io.millrace.stream.DeadLetter;
import io.millrace.stream.EntryId;
import io.millrace.stream.StreamEntry;
import io.millrace.stream.StreamState;
import io.millrace.stream.Trimmer;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** As {@link Shapes}, of change streams. */
public final class StreamShapes {

    private StreamShapes() {}

    /** {@code stream, id, payload}; a payload that is no JSON appears as text. */
    public static Map<String, @Nullable Object> entry(String stream, StreamEntry entry) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("stream", stream);
        shape.put("id", entry.id().toString());
        shape.put("payload", payload(entry));
        return shape;
    }

    /** {@code stream, consumer, letter, shard, id, attempts, cause, payload}. */
    public static Map<String, @Nullable Object> deadLetter(String stream, String consumer, DeadLetter letter) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("stream", stream);
        shape.put("consumer", consumer);
        shape.put("letter", letter.id().toString());
        shape.put("shard", letter.shard());
        shape.put("id", letter.entry().id().toString());
        shape.put("attempts", letter.attempts());
        shape.put("cause", letter.cause());
        shape.put("payload", payload(letter.entry()));
        return shape;
    }

    /** {@code stream, consumer, member, shards, leavesMs}. */
    public static Map<String, @Nullable Object> member(String stream, String consumer, ConsumerMember member) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("stream", stream);
        shape.put("consumer", consumer);
        shape.put("member", member.member());
        shape.put("shards", member.shards());
        shape.put("leavesMs", member.leaves().toMillis());
        return shape;
    }

    /** {@code stream, shard, shards, length, first, last, trimmed, notes, oldestNoteMs, consumers}. */
    public static Map<String, @Nullable Object> state(StreamState state) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("stream", state.stream());
        shape.put("shard", state.shard());
        shape.put("shards", state.shards());
        shape.put("length", state.length());
        shape.put("first", text(state.first()));
        shape.put("last", state.last().toString());
        shape.put("trimmed", state.trimmed().toString());
        shape.put("notes", state.notes());
        shape.put(
                "oldestNoteMs",
                state.oldestNote() == null ? null : state.oldestNote().toMillis());
        shape.put(
                "consumers",
                state.consumers().stream().map(StreamShapes::consumer).toList());
        return shape;
    }

    /** {@code stream, backfill, fed, closed, cancelled, over, consumers}. */
    public static Map<String, @Nullable Object> backfill(BackfillState state) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("stream", state.stream());
        shape.put("backfill", state.id());
        shape.put("fed", state.fed());
        shape.put("closed", state.closed());
        shape.put("cancelled", state.cancelled());
        shape.put("over", state.isOver());
        shape.put(
                "consumers",
                state.consumers().stream()
                        .map(one -> Map.of(
                                "consumer", one.consumer(), "handled", one.handled(), "overtaken", one.overtaken()))
                        .toList());
        return shape;
    }

    /** {@code removed, heldBackBy, stale}. */
    public static Map<String, @Nullable Object> trimmed(Trimmer.Report report) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("removed", report.removed());
        shape.put("heldBackBy", report.heldBackBy());
        shape.put("stale", report.stale());
        return shape;
    }

    private static Map<String, @Nullable Object> consumer(StreamState.ConsumerState state) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("consumer", state.name());
        shape.put("offset", state.offset().toString());
        shape.put("lag", state.lag());
        shape.put("lagIsLeast", state.lagIsLeast());
        shape.put("ageMs", state.age().toMillis());
        shape.put("backfillLag", state.backfillLag());
        shape.put("deadLetters", state.deadLetters());
        shape.put("paused", state.paused());
        shape.put("active", state.active());
        return shape;
    }

    private static @Nullable Object payload(StreamEntry entry) {
        try {
            return entry.payload();
        } catch (MalformedEventException e) {
            try {
                return new String(entry.payloadBytes(), StandardCharsets.UTF_8);
            } catch (MalformedEventException none) {
                return null;
            }
        }
    }

    private static @Nullable String text(@Nullable EntryId id) {
        return id == null ? null : id.toString();
    }
}
