package io.millrace.queue;

/**
 * A queue and what it wants.
 *
 * @param queue its name
 * @param pattern a regular expression (RE2 syntax) that must match a whole topic, {@code environment:type:name}
 * @param admission how many messages each of its facets may have waiting
 */
public record Registration(String queue, String pattern, Admission admission) {

    /** One without limits. */
    public Registration(String queue, String pattern) {
        this(queue, pattern, Admission.UNLIMITED);
    }
}
