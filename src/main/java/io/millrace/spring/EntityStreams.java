package io.millrace.spring;

import io.millrace.stream.Streams;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Which entity's changes go to which stream.
 *
 * <pre>{@code
 * EntityStreams.of(mill.streams())
 *         .entity(Product.class, "products")
 *         .entity(Order.class, "orders", order -> Map.of("id", order.id(), "customer", order.customer()))
 *         .build();
 * }</pre>
 *
 * <p>Repair notes are one an id and stream: entities whose ids may be equal need a stream each. Immutable, thread safe.
 */
public final class EntityStreams {

    private final Streams all;
    private final Map<Class<?>, EntityStream> streams;

    private EntityStreams(Builder builder) {
        this.all = builder.all;
        this.streams = Map.copyOf(builder.streams);
    }

    /** Begins with none. */
    public static Builder of(Streams streams) {
        return new Builder(streams);
    }

    /** The stream of an entity's class, else of the nearest class above it; {@code null}: its changes are nobody's business. */
    @Nullable
    EntityStream of(Class<?> entity) {
        for (Class<?> type = entity; type != null; type = type.getSuperclass()) {
            EntityStream found = streams.get(type);
            if (found != null) {
                return found;
            }
        }
        return null;
    }

    Streams streams() {
        return all;
    }

    Set<String> names() {
        return streams.values().stream().map(EntityStream::name).collect(Collectors.toSet());
    }

    /** Collects entities. */
    public static final class Builder {

        private final Streams all;
        private final Map<Class<?>, EntityStream> streams = new ConcurrentHashMap<>();

        private Builder(Streams all) {
            this.all = all;
        }

        /** Tells a stream about the changes of a class and of those below it; the payload is {@code {"id": …}}. */
        public Builder entity(Class<?> type, String stream) {
            return add(type, new EntityStream(stream, all, null));
        }

        /**
         * As {@link #entity(Class, String)}, with another payload.
         *
         * @param change of an entity as it is after a save or before a delete: a payload with the field {@code id}, or a
         *     {@link io.millrace.stream.Change}
         */
        public <T> Builder entity(Class<T> type, String stream, Function<? super T, ?> change) {
            return add(type, new EntityStream(stream, all, entity -> change.apply(type.cast(entity))));
        }

        private Builder add(Class<?> type, EntityStream stream) {
            if (streams.putIfAbsent(type, stream) != null) {
                throw new IllegalArgumentException(
                        type.getName() + " has a stream already; several consumers may read one stream");
            }
            return this;
        }

        /** Done. */
        public EntityStreams build() {
            return new EntityStreams(this);
        }
    }
}
