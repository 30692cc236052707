package io.millrace.queue;

import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A message that was given up and is kept for a person to look at.
 *
 * @param entry where it lies, oldest first; not the event's id
 * @param message what it was; its attempt is the last one
 * @param reason why it was given up
 * @param firstHandedOut when it was leased for the first time, by the server's clock; null if it never was, or that was not written down
 * @param at when it was given up, by the server's clock
 */
public record DeadLetter(
        String entry,
        Message message,
        String reason,
        @Nullable Instant firstHandedOut,
        Instant at) {}
