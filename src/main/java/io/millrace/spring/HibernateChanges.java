package io.millrace.spring;

import io.millrace.RedisUnavailableException;
import io.millrace.stream.Change;
import jakarta.persistence.EntityManagerFactory;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.WeakHashMap;
import org.hibernate.collection.spi.AbstractPersistentCollection;
import org.hibernate.engine.spi.SessionFactoryImplementor;
import org.hibernate.engine.spi.SharedSessionContractImplementor;
import org.hibernate.event.service.spi.EventListenerRegistry;
import org.hibernate.event.spi.AbstractCollectionEvent;
import org.hibernate.event.spi.AbstractPostDatabaseOperationEvent;
import org.hibernate.event.spi.EventType;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;

/**
 * Tells streams what Hibernate writes, in JPA's entity managers, its sessions and stateless sessions, whoever begins and ends their
 * transactions: Spring, JTA, or the application itself. Entities that were saved and not changed are not told; a change of an entity's
 * collections counts as a change of the entity.
 *
 * <p>What a transaction writes is gathered as it is flushed. Right before the commit the repair notes of all of it are taken in one call,
 * <b>for which the committing thread waits</b>: JDBC blocks it anyway, and there is no other way to have a note before a commit. It is the
 * only place of this library where a thread that works has to wait, for the time given at the most; if the notes are not there then, the
 * transaction is rolled back. After the commit the changes are queued, for which nobody waits: if the process ends before that is done, their notes
 * bring those records back. After a rollback nothing is queued.
 *
 * <p>What is written by JPQL, criteria or SQL is not seen: say what it changes with {@code capture.around}, around the whole transaction.
 */
public final class HibernateChanges {

    /** 5 s. */
    public static final Duration DEFAULT_NOTE_TIMEOUT = Duration.ofSeconds(5);

    private static final Logger log = LoggerFactory.getLogger(HibernateChanges.class);

    private final EntityStreams streams;
    private final Duration noteTimeout;
    private final Map<SharedSessionContractImplementor, Transaction> open =
            Collections.synchronizedMap(new WeakHashMap<>());

    private HibernateChanges(EntityStreams streams, Duration noteTimeout) {
        this.streams = streams;
        this.noteTimeout = noteTimeout;
    }

    /** From now on everything that is written through this factory; repair notes may take {@link #DEFAULT_NOTE_TIMEOUT}. */
    public static void listen(EntityManagerFactory factory, EntityStreams streams) {
        listen(factory, streams, DEFAULT_NOTE_TIMEOUT);
    }

    /**
     * As {@link #listen(EntityManagerFactory, EntityStreams)}.
     *
     * @param noteTimeout how long a commit may wait for its repair notes; more than 0
     * @throws jakarta.persistence.PersistenceException if the factory is not Hibernate's
     */
    public static void listen(EntityManagerFactory factory, EntityStreams streams, Duration noteTimeout) {
        if (noteTimeout.isZero() || noteTimeout.isNegative()) {
            throw new IllegalArgumentException("noteTimeout must be more than 0, was " + noteTimeout);
        }
        HibernateChanges changes = new HibernateChanges(streams, noteTimeout);
        EventListenerRegistry events =
                factory.unwrap(SessionFactoryImplementor.class).getEventListenerRegistry();
        events.appendListeners(EventType.POST_INSERT, changes::written);
        events.appendListeners(EventType.POST_UPDATE, changes::written);
        events.appendListeners(EventType.POST_UPSERT, changes::written);
        events.appendListeners(EventType.POST_DELETE, changes::written);
        events.appendListeners(EventType.POST_COLLECTION_RECREATE, changes::written);
        events.appendListeners(EventType.POST_COLLECTION_UPDATE, changes::written);
        events.appendListeners(EventType.POST_COLLECTION_REMOVE, changes::written);
    }

    private void written(AbstractPostDatabaseOperationEvent event) {
        written(event.getSession(), event.getEntity(), event.getId());
    }

    private void written(AbstractCollectionEvent event) {
        // A stateless session is not in the event, and tells of the entity as well.
        if (event.getCollection() instanceof AbstractPersistentCollection<?> collection
                && collection.getSession() != null) {
            written(collection.getSession(), event.getAffectedOwnerOrNull(), event.getAffectedOwnerIdOrNull());
        }
    }

    private void written(SharedSessionContractImplementor session, @Nullable Object entity, @Nullable Object id) {
        EntityStream stream = entity == null || id == null ? null : streams.of(entity.getClass());
        if (stream == null || entity == null || id == null) {
            return;
        }
        Change change = stream.change(entity, id);
        if (!session.isTransactionInProgress()) { // committed by itself: too late for a note
            subscribe(stream.producer().queueOrLeave(List.of(change)));
            return;
        }
        Transaction transaction = open.computeIfAbsent(session, this::begin);
        if (transaction.written.add(stream.producer(), change)) {
            transaction.toBeNoted.add(stream.producer(), change);
            beforeCommit(session, transaction);
        }
    }

    private Transaction begin(SharedSessionContractImplementor session) {
        Transaction transaction = new Transaction();
        session.getTransactionCompletionCallbacks().registerCallback((committed, over) -> {
            open.remove(session);
            if (committed) {
                subscribe(transaction.written.queue());
            }
        });
        return transaction;
    }

    /** Once, and once more if others write after that and before the commit. */
    private void beforeCommit(SharedSessionContractImplementor session, Transaction transaction) {
        if (transaction.announced) {
            return;
        }
        transaction.announced = true;
        session.getTransactionCompletionCallbacks().registerCallback(committing -> {
            transaction.announced = false;
            await(transaction.toBeNoted.takeNotes());
            transaction.toBeNoted.clear();
        });
    }

    private void await(Mono<Void> notes) {
        notes.timeout(
                        noteTimeout,
                        Mono.error(() -> new RedisUnavailableException(
                                "repair notes were not taken within " + noteTimeout + ", so nothing is committed",
                                true,
                                null)))
                .block();
    }

    private static void subscribe(Mono<Void> queued) {
        queued.subscribe(none -> {}, error -> log.warn("changes are left to their repair notes", error));
    }

    /** Of one session, on its thread. */
    private static final class Transaction {
        private final Gathered written = new Gathered();
        private final Gathered toBeNoted = new Gathered();
        private boolean announced;
    }
}
