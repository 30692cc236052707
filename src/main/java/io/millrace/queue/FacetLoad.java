package io.millrace.queue;

import java.time.Duration;

/**
 * What one facet has waiting.
 *
 * @param facet the environment
 * @param waiting messages that can be pulled
 * @param oldestAge for how long the first of them has been there
 */
public record FacetLoad(String facet, long waiting, Duration oldestAge) {}
