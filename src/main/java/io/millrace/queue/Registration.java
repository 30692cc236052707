package io.millrace.queue;

/**
 * A queue and what it wants.
 *
 * @param queue its name
 * @param pattern a regular expression (RE2 syntax) that must match a whole topic, {@code environment:type:name}
 * @param admission how many messages each of its facets may have waiting
 * @param partitions on how many units of their own its facets are spread; usually 1
 */
public record Registration(String queue, String pattern, Admission admission, int partitions) {

    /** One without limits, of one partition. */
    public Registration(String queue, String pattern) {
        this(queue, pattern, Admission.UNLIMITED, 1);
    }

    /** The partition of a facet, from 0: the same for all processes and for ever. */
    public int partitionOf(String facet) {
        return Facets.partition(facet, partitions);
    }
}
