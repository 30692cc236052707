package io.millrace.queue;

import java.time.Duration;

/**
 * One facet of a queue, as it was when looked at.
 *
 * @param facet the environment
 * @param waiting messages that can be pulled
 * @param inFlight messages that are leased
 * @param later messages held back until their time
 * @param oldestAge since when its oldest message has been there, whether it waits, is leased or held back
 * @param standing what its waiting messages wait for
 * @param partition the partition of the queue it is in, from 0
 */
public record FacetState(
        String facet, long waiting, long inFlight, long later, Duration oldestAge, Standing standing, int partition) {

    /** What the waiting messages of a facet wait for. */
    public enum Standing {
        /** For their turn. */
        RING,
        /** For their turn, in a queue with weights, caps, rates or pauses. */
        FAIR,
        /** For the facet to be resumed, or for one of its messages in flight to be done: it is paused or at its cap. */
        PARKED,
        /** For a time: the facet's rate is used up, or its first message is to be tried again then. */
        THROTTLED,
        /** It has none waiting. */
        NOWHERE
    }
}
