/**
 * Redis, in one place: the only package that knows Lettuce. {@link io.millrace.redis.Redis} runs scripts and commands, hands out
 * connections by role and tells live listeners what is published; {@link io.millrace.redis.GroupCommit} lets concurrent callers
 * share round trips; {@link io.millrace.redis.LuaScript} is one script with its typed answer. Nothing here knows what is stored.
 *
 * <p>Every publisher is cold, answers come on Millrace's own workers, never on a Netty event loop, and every error is a
 * {@link io.millrace.MillraceException}.
 */
@NullMarked
package io.millrace.redis;

import org.jspecify.annotations.NullMarked;
