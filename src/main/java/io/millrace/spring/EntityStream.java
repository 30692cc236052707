package io.millrace.spring;

import io.millrace.stream.Change;
import io.millrace.stream.StreamProducer;
import io.millrace.stream.Streams;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Where an entity's changes go.
 *
 * @param custom payload of an entity; {@code null}: its id
 */
record EntityStream(String name, Streams streams, @Nullable Function<Object, ?> custom) {

    StreamProducer producer() {
        return streams.producer(name);
    }

    Change change(Object entity, Object id) {
        return Change.of(custom == null ? Map.of("id", id) : custom.apply(entity));
    }
}
