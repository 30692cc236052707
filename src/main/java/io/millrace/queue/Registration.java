package io.millrace.queue;

/**
 * A queue and what it wants.
 *
 * @param queue its name
 * @param pattern a regular expression (RE2 syntax) that must match a whole topic, {@code environment:type:name}
 */
public record Registration(String queue, String pattern) {}
