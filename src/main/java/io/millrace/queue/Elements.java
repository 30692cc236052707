package io.millrace.queue;

import io.millrace.Event;
import io.millrace.MalformedEventException;
import io.millrace.json.EventCodec;
import io.millrace.redis.Reply;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;

/** What queues store, read back: events as JSON with the time of delivery in front. */
final class Elements {

    private Elements() {}

    /**
     * The message at a position of a reply, either an element, or a list of attempt and element.
     *
     * @throws MalformedEventException if it is none
     */
    static Message message(String queue, Reply reply, int position) {
        if (reply.isList(position)) {
            Reply again = reply.list(position);
            return message(queue, (int) again.number(0), again.bytes(1));
        }
        return message(queue, 1, reply.bytes(position));
    }

    /** As above, of an element itself. */
    static Message message(String queue, int attempt, byte[] element) {
        EventCodec.Stored stored = EventCodec.readStored(element);
        Event event = stored.event();
        return new Message(queue, event.environment(), attempt, stored.at(), event);
    }

    /** As {@link #message(String, Reply, int)}, showing what is no event as one. */
    static Message messageOrUnreadable(String queue, Reply reply, int position) {
        try {
            return message(queue, reply, position);
        } catch (MalformedEventException e) {
            boolean again = reply.isList(position);
            return unreadable(
                    queue,
                    again ? (int) reply.list(position).number(0) : 1,
                    again ? reply.list(position).bytes(1) : reply.bytes(position));
        }
    }

    /** What is at a position of a reply, and which attempt it is, as they are. */
    static List<byte[]> raw(Reply reply, int position) {
        if (reply.isList(position)) {
            Reply again = reply.list(position);
            return List.of(again.bytes(1), Leases.bytes(Long.toString(again.number(0))));
        }
        return List.of(reply.bytes(position), Leases.bytes("1"));
    }

    /** Something that is stored as a message and is none, shown as one: its text is the data. */
    static Message unreadable(String queue, int attempt, byte[] element) {
        Event event = Event.of("", "unreadable", "").withData(new String(element, StandardCharsets.UTF_8));
        return new Message(queue, "", attempt, Instant.EPOCH, event);
    }
}
