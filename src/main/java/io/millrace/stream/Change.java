package io.millrace.stream;

import io.millrace.json.Json;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * That a record was changed: a small JSON payload, {@code {"id": 42}} by default, from which a consumer finds the record again.
 * Immutable.
 */
public final class Change {

    /** The field a payload is known by. */
    static final String ID = "id";

    private final String key;
    private final byte[] payload;
    private final @Nullable String producerId;

    private Change(String key, byte[] payload, @Nullable String producerId) {
        this.key = key;
        this.payload = payload;
        this.producerId = producerId;
    }

    /**
     * The change of a record.
     *
     * @param record its id, a text or a number: the payload is {@code {"id": …}}; or the payload itself: a map, or an object that
     *     becomes JSON; or a change, which stays what it is
     * @throws io.millrace.MalformedEventException if it has no JSON form
     */
    public static Change of(Object record) {
        if (record instanceof Change change) {
            return change;
        }
        boolean isId = record instanceof String
                || record instanceof UUID
                || record instanceof Integer
                || record instanceof Long
                || record instanceof BigInteger
                || record instanceof BigDecimal;
        if (isId) {
            Object id = record instanceof UUID ? record.toString() : record;
            return new Change(id.toString(), Json.write(Map.of(ID, id)), null);
        }
        return json(Json.write(record));
    }

    /**
     * A payload that is JSON already.
     *
     * @throws io.millrace.MalformedEventException if it is not
     */
    public static Change json(byte[] payload) {
        return new Change(keyOf(Json.field(payload, ID), payload).toString(), payload.clone(), null);
    }

    /** The same, known by an id of the producer's own: producing it again gives the entry that is there. */
    public Change withProducerId(String id) {
        if (id.isEmpty()) {
            throw new IllegalArgumentException("a producer's id must not be empty");
        }
        return new Change(key, payload, id);
    }

    /** What repair notes are taken by, one for each: the field {@code id} of the payload, else the whole payload. */
    public String key() {
        return key;
    }

    /** JSON, UTF-8. */
    public byte[] payload() {
        return payload.clone();
    }

    /** The producer's own id of it; {@code null}: none, each time it is produced is an entry. */
    public @Nullable String producerId() {
        return producerId;
    }

    byte[] bytes() {
        return payload;
    }

    /** @param id what the payload has in its field {@value #ID} */
    static Object keyOf(@Nullable Object id, byte[] bytes) {
        return id == null ? new String(bytes, StandardCharsets.UTF_8) : id;
    }

    @Override
    public String toString() {
        return "Change[" + key + "]";
    }
}
