/**
 * Millrace as a running server: {@link io.millrace.server.MillraceServer} puts events, queues and live listening on HTTP, with
 * health, metrics and an orderly end. What it has in common with the command line is here as well: the JSON shapes of what is shown
 * ({@link io.millrace.server.Shapes}), reading events line by line ({@link io.millrace.server.EventIntake}), and the examination of
 * a Redis server ({@link io.millrace.server.ServerDoctor}).
 */
@NullMarked
package io.millrace.server;

import org.jspecify.annotations.NullMarked;
