/**
 * A real {@code redis-server} without installing one: {@link io.millrace.redis.embedded.EmbeddedRedis} starts the
 * program that the {@code org.signal:embedded-redis} artifact carries (7.0.15 for Linux and macOS), or the one that
 * {@code -Dredis.bin} names.
 *
 * <p>It is for trials, demos and tests. The server has no password, so every user of this machine can connect to it,
 * and it is built without jemalloc, so it says nothing about speed or memory. It listens on 127.0.0.1 only.
 *
 * <p>The server ends within 2 s of the JVM, however the JVM ended, and never before it: a Ctrl-C at the terminal does
 * not reach it, so that the application can finish its work first.
 */
@NullMarked
package io.millrace.redis.embedded;

import org.jspecify.annotations.NullMarked;
