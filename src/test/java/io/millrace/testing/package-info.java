/**
 * What tests stand on. {@link io.millrace.testing.RedisTest} gives a test class a shared Redis and key namespaces of
 * its own; {@link io.millrace.testing.OwnRedis}, {@link io.millrace.testing.RedisClusterFixture} and {@link
 * io.millrace.testing.RedisSentinelFixture} are private servers that a test may kill; {@link
 * io.millrace.testing.FaultProxy} harms connections, {@link io.millrace.testing.JvmChild} is a process of ours to be
 * killed; and {@link io.millrace.testing.Eventually} waits for a condition.
 *
 * <p>Everything listens on 127.0.0.1 and ends with the test JVM.
 */
@NullMarked
package io.millrace.testing;

import org.jspecify.annotations.NullMarked;
