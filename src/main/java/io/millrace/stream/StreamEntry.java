package io.millrace.stream;

import io.millrace.MalformedEventException;
import io.millrace.json.Json;
import io.millrace.redis.Reply;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** One change, at its place in the stream. Its payload is read when first asked for. */
public final class StreamEntry {

    /** The field of an entry that has it all. */
    static final byte[] PAYLOAD = StreamKeys.bytes("payload");

    private static final Object UNREAD = new Object();

    private final EntryId id;
    private final byte @Nullable [] bytes;
    private @Nullable Object payload = UNREAD;

    /** @param bytes the payload as JSON; {@code null} if the entry has none */
    StreamEntry(EntryId id, byte @Nullable [] bytes) {
        this.id = id;
        this.bytes = bytes;
    }

    /** Those of an answer, as {@code XRANGE} gives them. */
    static List<StreamEntry> of(Reply answer) {
        List<StreamEntry> entries = new ArrayList<>(answer.size());
        for (int i = 0; i < answer.size(); i++) {
            Reply one = answer.list(i);
            EntryId id = EntryId.parse(one.text(0));
            byte[] payload = null;
            if (!one.isNull(1)) {
                Reply fields = one.list(1);
                for (int f = 0; f + 1 < fields.size() && payload == null; f += 2) {
                    payload = Arrays.equals(fields.bytes(f), PAYLOAD) ? fields.bytes(f + 1) : null;
                }
            }
            entries.add(new StreamEntry(id, payload));
        }
        return entries;
    }

    /** Where it stands. */
    public EntryId id() {
        return id;
    }

    /**
     * What was produced, as a plain JSON value; see {@link Json}.
     *
     * @throws MalformedEventException if the entry has no payload, or one that is not JSON. A consumer whose handler lets this pass has
     *     the entry put aside as a dead letter
     */
    public @Nullable Object payload() {
        if (payload == UNREAD) {
            payload = Json.read(payloadBytes());
        }
        return payload;
    }

    /** As {@link #payload()}, as a type of the caller's. */
    public <T> @Nullable T payload(Class<T> type) {
        return Json.convert(payload(), type);
    }

    /** The payload as it is stored: JSON, UTF-8. */
    public byte[] payloadBytes() {
        if (bytes == null) {
            throw new MalformedEventException("the entry " + id + " has no field \"payload\"");
        }
        return bytes;
    }

    byte[] bytesOrEmpty() {
        return bytes == null ? new byte[0] : bytes;
    }

    /** A field of a payload that is an object; {@code null} if it is none or has no such field. */
    public @Nullable Object get(String field) {
        return payload() instanceof Map<?, ?> map ? map.get(field) : null;
    }

    /** What its order is kept by unless the consumer says otherwise: the field {@code id}, else the whole payload. */
    public Object key() {
        return Change.keyOf(get(Change.ID), payloadBytes());
    }

    /** Never the payload: it may be private. */
    @Override
    public String toString() {
        return "StreamEntry[" + id + "]";
    }
}
