/**
 * Measures the floors of the facet queue beside their limits, in one run: {@code redis-benchmark} with the very scripts the library
 * sends, then the library. {@link io.millrace.benchmarks.floors.QueueFloors} is the program for queues,
 * {@link io.millrace.benchmarks.floors.PeerFloors} sets other job queues beside it, {@link io.millrace.benchmarks.floors.DrainFloors} is the
 * one for the drain, beside a bare HTTP server.
 */
@NullMarked
package io.millrace.benchmarks.floors;

import org.jspecify.annotations.NullMarked;
