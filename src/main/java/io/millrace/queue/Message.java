package io.millrace.queue;

import io.millrace.Event;
import java.time.Instant;

/**
 * One event in one queue.
 *
 * @param queue the queue's name
 * @param facet the environment it waited in
 * @param attempt 1 when it is handed out for the first time
 * @param deliveredAt when it was delivered, by the server's clock
 * @param event what was delivered
 */
public record Message(String queue, String facet, int attempt, Instant deliveredAt, Event event) {

    /** The event's id: the same in every attempt. */
    public String id() {
        return event.id();
    }
}
