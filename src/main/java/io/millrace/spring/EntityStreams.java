package io.millrace.spring;

import io.millrace.stream.ReplicaWait;
import io.millrace.stream.StreamProducer;
import io.millrace.stream.Streams;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
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

    private final Builder made;
    private final Streams all;
    private final Map<Class<?>, EntityStream> streams;

    private EntityStreams(Builder builder) {
        this.made = builder;
        this.all = builder.all;
        Map<String, StreamProducer> producers = new HashMap<>();
        Map<Class<?>, EntityStream> known = new HashMap<>();
        builder.entities.forEach((type, entity) -> known.put(
                type,
                new EntityStream(
                        entity.stream(),
                        producers.computeIfAbsent(entity.stream(), builder::producer),
                        entity.custom())));
        this.streams = Map.copyOf(known);
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

    /** The same, waiting for replicas, unless this says already how to. */
    EntityStreams waitingUnlessSaid(ReplicaWait wait) {
        return made.wait != null ? this : made.copy().waitFor(wait).build();
    }

    Set<String> names() {
        return streams.values().stream().map(EntityStream::name).collect(Collectors.toSet());
    }

    /** Collects entities. */
    public static final class Builder {

        private record Entity(String stream, @Nullable Function<Object, ?> custom) {}

        private final Streams all;
        private final Map<Class<?>, Entity> entities = new HashMap<>();
        private @Nullable ReplicaWait wait;

        private Builder(Streams all) {
            this.all = all;
        }

        /** Tells a stream about the changes of a class and of those below it; the payload is {@code {"id": …}}. */
        public Builder entity(Class<?> type, String stream) {
            return add(type, new Entity(stream, null));
        }

        /**
         * As {@link #entity(Class, String)}, with another payload.
         *
         * @param change of an entity as it is after a save or before a delete: a payload with the field {@code id}, or a
         *     {@link io.millrace.stream.Change}
         */
        public <T> Builder entity(Class<T> type, String stream, Function<? super T, ?> change) {
            return add(type, new Entity(stream, entity -> change.apply(type.cast(entity))));
        }

        /**
         * Has what is produced wait until replicas have it. Repair notes they have not confirmed fail the save, or the commit, where the
         * wait is failing, with {@link io.millrace.stream.NotReplicatedException}; else it is logged. Immediate changes never fail
         * anything: what they lack is logged. Each stream takes a connection for it. Defaults to no wait.
         */
        public Builder waitFor(ReplicaWait newWait) {
            this.wait = newWait;
            return this;
        }

        private Builder add(Class<?> type, Entity entity) {
            if (entities.putIfAbsent(type, entity) != null) {
                throw new IllegalArgumentException(
                        type.getName() + " has a stream already; several consumers may read one stream");
            }
            return this;
        }

        private StreamProducer producer(String stream) {
            return wait == null ? all.producer(stream) : all.producer(stream, wait);
        }

        private Builder copy() {
            Builder copy = new Builder(all);
            copy.entities.putAll(entities);
            copy.wait = wait;
            return copy;
        }

        /**
         * Done.
         *
         * @throws IllegalArgumentException if it is to wait for replicas on a cluster, where no {@code WAIT} is possible
         */
        public EntityStreams build() {
            return new EntityStreams(copy());
        }
    }
}
