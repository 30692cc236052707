package io.millrace.queue;

import java.time.Instant;

/**
 * A message that was given up and is kept for a person to look at.
 *
 * @param entry where it lies, oldest first; not the event's id
 * @param message what it was; its attempt is the last one
 * @param reason why it was given up
 * @param at when
 */
public record DeadLetter(String entry, Message message, String reason, Instant at) {}
