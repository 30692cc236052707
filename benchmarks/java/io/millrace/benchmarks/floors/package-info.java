/**
 * Measures the floors of the facet queue beside their limits, in one run: {@code redis-benchmark} with the very scripts the library
 * sends, then the library. {@link io.millrace.benchmarks.floors.QueueFloors} is the program.
 */
@NullMarked
package io.millrace.benchmarks.floors;

import org.jspecify.annotations.NullMarked;
