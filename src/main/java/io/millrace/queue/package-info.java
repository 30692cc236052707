/**
 * Facet queues: many tenants share a queue and none can make the others wait. {@link io.millrace.queue.Queues} registers queues and
 * delivers events to those whose pattern matches, {@link io.millrace.queue.FacetQueue} takes messages out again, one of each
 * environment in turn, {@link io.millrace.queue.LiveEvents} listens to what passes.
 *
 * <p>What is stored, and the scripts that change it: {@code lua/queue/unit.lua}. Every publisher is cold.
 */
@NullMarked
package io.millrace.queue;

import org.jspecify.annotations.NullMarked;
