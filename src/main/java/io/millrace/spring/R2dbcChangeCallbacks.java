package io.millrace.spring;

import io.millrace.spring.ReactiveCommit.Told;
import io.millrace.stream.Change;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.core.Ordered;
import org.springframework.data.mapping.context.MappingContext;
import org.springframework.data.r2dbc.mapping.OutboundRow;
import org.springframework.data.r2dbc.mapping.event.AfterSaveCallback;
import org.springframework.data.r2dbc.mapping.event.BeforeSaveCallback;
import org.springframework.data.relational.core.mapping.RelationalPersistentEntity;
import org.springframework.data.relational.core.mapping.RelationalPersistentProperty;
import org.springframework.data.relational.core.sql.SqlIdentifier;
import reactor.core.publisher.Mono;

/**
 * Tells streams what Spring Data R2DBC inserts, updates and upserts, by repositories and by the template. A bean of this type is found by
 * the template; deletes are seen by {@link R2dbcChangeTemplate}.
 *
 * <p>Within a transaction the repair note is taken when the row is written, and the immediate change is queued after the commit, see {@link
 * ReactiveCommit}. Without one the note is taken before the row is written, the change is queued after that. When the note cannot be
 * taken, the save fails.
 *
 * <p>Without a transaction, a new row whose id the database makes cannot have a note before it is there: a process that dies right then
 * leaves it untold. Save such entities within a transaction, or give them ids of your own; a warning says so once an entity.
 *
 * <p>Rows that are changed past the template, by {@code @Query}, derived deletes or a {@code DatabaseClient}, are not seen: put {@code
 * capture.around} around those.
 */
public final class R2dbcChangeCallbacks implements BeforeSaveCallback<Object>, AfterSaveCallback<Object>, Ordered {

    private static final Logger log = LoggerFactory.getLogger(R2dbcChangeCallbacks.class);

    private final EntityStreams streams;
    private final Ids ids;
    private final Set<Class<?>> warned = ConcurrentHashMap.newKeySet();

    /** @param entities knows their ids; the template's own */
    public R2dbcChangeCallbacks(
            EntityStreams streams,
            MappingContext<? extends RelationalPersistentEntity<?>, ? extends RelationalPersistentProperty> entities) {
        this.streams = streams;
        this.ids = new Ids(entities);
    }

    /** The last to see an entity, so that all others have done with it. */
    @Override
    public int getOrder() {
        return LOWEST_PRECEDENCE;
    }

    @Override
    public Mono<Object> onBeforeSave(Object entity, OutboundRow row, SqlIdentifier table) {
        EntityStream stream = streams.of(entity.getClass());
        if (stream == null) {
            return Mono.just(entity);
        }
        return ReactiveCommit.transaction()
                .flatMap(transaction -> transaction.isPresent() ? Mono.empty() : noteBefore(stream, entity))
                .thenReturn(entity);
    }

    private Mono<Void> noteBefore(EntityStream stream, Object entity) {
        Object id = ids.known(entity);
        if (id != null) {
            return stream.producer().delay(stream.change(entity, id));
        }
        if (warned.add(entity.getClass())) {
            log.warn(
                    "{} is saved without a transaction, and its id is made by the database: if this process dies right after"
                            + " such a save, stream \"{}\" is not told. Save it within a transaction, or give it an id beforehand",
                    entity.getClass().getName(),
                    stream.name());
        }
        return Mono.empty();
    }

    @Override
    public Mono<Object> onAfterSave(Object entity, OutboundRow row, SqlIdentifier table) {
        EntityStream stream = streams.of(entity.getClass());
        if (stream == null) {
            return Mono.just(entity);
        }
        Change change = stream.change(entity, ids.required(entity));
        return ReactiveCommit.transaction()
                .flatMap(transaction -> transaction.isPresent()
                        ? noteWithin(Told.in(transaction.get()).changes, stream, change)
                        : stream.producer().queueOrLeave(List.of(change)))
                .thenReturn(entity);
    }

    private static Mono<Void> noteWithin(Gathered written, EntityStream stream, Change change) {
        return written.has(stream.producer(), change)
                ? Mono.empty()
                : stream.producer().delay(change).then(Mono.fromRunnable(() -> written.add(stream.producer(), change)));
    }

    /** The ids of entities. */
    record Ids(
            MappingContext<? extends RelationalPersistentEntity<?>, ? extends RelationalPersistentProperty> entities) {

        Object required(Object entity) {
            return entities.getRequiredPersistentEntity(entity.getClass())
                    .getIdentifierAccessor(entity)
                    .getRequiredIdentifier();
        }

        /** {@code null} if the database is yet to make it, which it does for 0 too where that is no object. */
        @Nullable
        Object known(Object entity) {
            RelationalPersistentEntity<?> type = entities.getRequiredPersistentEntity(entity.getClass());
            Object id = type.getIdentifierAccessor(entity).getIdentifier();
            boolean none = id instanceof Number number
                    && number.longValue() == 0
                    && type.getRequiredIdProperty().getType().isPrimitive();
            return none ? null : id;
        }
    }
}
