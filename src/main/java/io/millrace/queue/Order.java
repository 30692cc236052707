package io.millrace.queue;

/** What happens inside a facet while one of its messages is in flight, or waits to be tried again. */
public enum Order {
    /** The others go on: a message that is held back steps aside. The default. */
    FREE,
    /** One after another: while a message is in flight or held back its facet waits, and no other facet does. */
    STRICT
}
