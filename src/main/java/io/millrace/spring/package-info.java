/**
 * Change streams for those who write with Spring or Hibernate: {@link io.millrace.spring.EntityStreams} says which entity's changes go to
 * which stream; {@link io.millrace.spring.R2dbcChangeCallbacks} and {@link io.millrace.spring.R2dbcChangeTemplate} see what Spring Data
 * R2DBC saves and deletes, {@link io.millrace.spring.HibernateChanges} what JPA and Hibernate write. A repair note is taken before the
 * commit, the immediate change is queued after it. What is rolled back is not told; its note is harmless.
 *
 * <p>With Spring Boot all of it sets itself up: {@link io.millrace.spring.MillraceAutoConfiguration}. Its dependencies are optional: use what you have. Nothing else in Millrace knows of this package. Start reading at {@link
 * io.millrace.spring.EntityStreams}.
 */
@NullMarked
package io.millrace.spring;

import org.jspecify.annotations.NullMarked;
