package io.millrace.queue;

/** What facets take fair shares of. */
public enum Cost {
    /** Messages; the default. */
    MESSAGES,
    /** Bytes, as events are stored. Charged when they are handed out. */
    BYTES,
    /** Time in flight, charged when a lease ends; until then a message is taken for an average one. */
    TIME
}
