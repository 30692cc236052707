package io.millrace.testing;

import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * A test class that needs Redis. Parameters and fields (not final) of these types are filled in: {@link RedisServer},
 * the server all tests of this JVM share; {@link TestNamespace}, or a String marked {@link Namespace}, where this
 * test's keys go. What the tests stored there is removed after the class.
 *
 * <pre>{@code
 * @RedisTest
 * class QueueIT {
 *     @Test
 *     void pullsOldestFirst(RedisServer redis, @Namespace String namespace) { ... }
 * }
 * }</pre>
 */
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@Inherited
@ExtendWith(RedisExtension.class)
public @interface RedisTest {}
