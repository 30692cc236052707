package io.millrace.drain;

import io.millrace.json.Json;
import io.millrace.json.Notifications.Notification;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Something that happened to a resource. Immutable.
 *
 * @param topic what kind of resource it is
 * @param type what happened
 * @param url the resource; its URL is its identity
 * @param t when, epoch milliseconds of the sender's clock
 * @param data what the sender sent along; {@code null} if nothing
 */
public record DrainEvent(
        String topic,
        ChangeType type,
        String url,
        long t,
        @Nullable Map<String, @Nullable Object> data) {

    static DrainEvent of(Notification one) {
        return new DrainEvent(one.topic(), ChangeType.of(one.type()), one.url(), one.t(), one.data());
    }

    /** When it happened, by the sender's clock. */
    public Instant time() {
        return Instant.ofEpochMilli(t);
    }

    /** What tells it from others of its entity at the same time: type and data. */
    byte[] digest() {
        if (data == null) {
            return new byte[0];
        }
        return Digests.of(8, Json.write(data));
    }

    /** The same for the same event, however often and with whatever else it was sent. */
    byte[] identity() {
        return Digests.of(
                16,
                topic.getBytes(StandardCharsets.UTF_8),
                type.word().getBytes(StandardCharsets.UTF_8),
                url.getBytes(StandardCharsets.UTF_8),
                ByteBuffer.allocate(Long.BYTES).putLong(t).array(),
                digest());
    }

    /** Never the data, which may be private, nor what a URL carries in its query. */
    @Override
    public String toString() {
        int query = url.indexOf('?');
        return "DrainEvent[" + topic + ' ' + type.word() + ' ' + (query < 0 ? url : url.substring(0, query) + "?…")
                + " at " + t + ']';
    }
}
