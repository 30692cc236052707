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
 */
public record FacetState(String facet, long waiting, long inFlight, long later, Duration oldestAge) {}
