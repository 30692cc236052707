package io.millrace.queue;

/**
 * What one partition of a queue has waiting.
 *
 * @param partition which, from 0
 * @param facets how many of its facets have messages waiting
 * @param waiting messages that can be pulled
 */
public record PartitionLoad(int partition, long facets, long waiting) {}
