/**
 * The drain: takes batches of change notifications, makes them safe in Redis before anybody is told that they arrived, and processes
 * them from there, at least once: {@link io.millrace.drain.Drain}. It tells what changed to listeners, filters what is old, and marks
 * in the {@link io.millrace.drain.DirtyMap} which resources changed, once however often they did. No sockets here: HTTP is in
 * {@code drain.http}.
 *
 * <p>What is stored, and the scripts that change it: {@code lua/drain/unit.lua}. Every publisher is cold.
 */
@NullMarked
package io.millrace.drain;

import org.jspecify.annotations.NullMarked;
