package io.millrace.stream;

/**
 * Entries are missing: a consumer would have had to read them, and they are gone. The secondary store can only be made whole again from
 * the primary one.
 *
 * @param stream whose entries
 * @param consumer who misses them
 * @param after the last id the consumer has read before the gap
 * @param upTo the highest id that is missing, as far as is known
 * @param reason what happened
 */
public record Gap(String stream, String consumer, EntryId after, EntryId upTo, Reason reason) {

    /** What happened to them. */
    public enum Reason {
        /** They were trimmed before the consumer had read them, or before it was registered. */
        TRIMMED,
        /** The stream was deleted, or Redis lost its end in a failover or restart. */
        RESET
    }
}
