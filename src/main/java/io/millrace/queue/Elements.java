package io.millrace.queue;

import io.millrace.Event;
import io.millrace.MalformedEventException;
import io.millrace.json.EventCodec;
import io.millrace.redis.Reply;
import java.nio.charset.StandardCharsets;
import java.time.Instant;

/** What queues store, read back: 13 digits of time, then the event as JSON. */
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
        if (element.length < Deliverer.TIME_DIGITS) {
            throw new MalformedEventException("a stored message of queue \"" + queue + "\" is cut short");
        }
        long deliveredAt = 0;
        for (int i = 0; i < Deliverer.TIME_DIGITS; i++) {
            int digit = element[i] - '0';
            if (digit < 0 || digit > 9) {
                throw new MalformedEventException(
                        "a stored message of queue \"" + queue + "\" does not begin with its time");
            }
            deliveredAt = deliveredAt * 10 + digit;
        }
        Event event = EventCodec.read(element, Deliverer.TIME_DIGITS, element.length - Deliverer.TIME_DIGITS);
        return new Message(queue, event.environment(), attempt, Instant.ofEpochMilli(deliveredAt), event);
    }

    /** Something that is stored as a message and is none, shown as one: its text is the data. */
    static Message unreadable(String queue, int attempt, byte[] element) {
        Event event = Event.of("", "unreadable", "").withData(new String(element, StandardCharsets.UTF_8));
        return new Message(queue, "", attempt, Instant.EPOCH, event);
    }
}
