package io.millrace.queue;

import io.millrace.Event;

/** What a live listener hears. */
public sealed interface LiveSignal {

    /** From now on events are heard; again after each reconnect. */
    record Listening() implements LiveSignal {}

    /** An event that was delivered just now. */
    record Heard(Event event) implements LiveSignal {}

    /**
     * Events are missing here.
     *
     * @param lost how many, because the listener was slow; 0 when the connection was away and nobody knows
     */
    record Gap(long lost) implements LiveSignal {}
}
