package io.millrace.spring;

import io.millrace.stream.Change;
import io.millrace.stream.StreamProducer;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Where an entity's changes go.
 *
 * @param producer the same one for all entities of a stream: what a transaction writes is gathered by it
 * @param custom payload of an entity; {@code null}: its id
 */
record EntityStream(
        String name, StreamProducer producer, @Nullable Function<Object, ?> custom) {

    Change change(Object entity, Object id) {
        return Change.of(custom == null ? Map.of("id", id) : custom.apply(entity));
    }
}
