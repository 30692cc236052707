package io.millrace.spring;

import static io.millrace.spring.Shop.SOON;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.redis.RedisSettings;
import io.millrace.stream.EntryId;
import io.millrace.stream.StreamState;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.OwnRedis;
import io.millrace.testing.PostgresServer;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import jakarta.persistence.EntityManager;
import jakarta.persistence.EntityManagerFactory;
import jakarta.persistence.PersistenceConfiguration;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import org.hibernate.SessionFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.SharedEntityManagerCreator;
import org.springframework.transaction.support.TransactionTemplate;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/** What Hibernate writes reaches its stream: notes right before the commit, changes after it, nothing after a rollback. */
@RedisTest
class HibernateHooksIT {

    private static final String STREAM = "articles";

    private Millrace mill;
    private EntityManagerFactory factory;

    @BeforeEach
    void open(RedisServer redis, @Namespace String namespace) {
        mill = connect(redis.uri(), namespace);
        factory = factory();
        listen(mill, HibernateChanges.DEFAULT_NOTE_TIMEOUT);
    }

    private static Millrace connect(String redis, String namespace) {
        return Millrace.connect(MillraceSettings.of(
                RedisSettings.builder(redis).namespace(namespace).build()));
    }

    private static EntityManagerFactory factory() {
        return new PersistenceConfiguration("shop")
                .managedClass(Article.class)
                .property(
                        PersistenceConfiguration.JDBC_URL,
                        PostgresServer.database().jdbc())
                .property(PersistenceConfiguration.SCHEMAGEN_DATABASE_ACTION, "create")
                .createEntityManagerFactory();
    }

    private void listen(Millrace told, Duration timeout) {
        HibernateChanges.listen(
                factory,
                EntityStreams.of(told.streams()).entity(Article.class, STREAM).build(),
                timeout);
    }

    @AfterEach
    void close() {
        factory.close();
        mill.shutdown().block(SOON);
    }

    private List<Object> told() {
        return mill.streams().stream(STREAM)
                .entries(EntryId.ZERO)
                .mapNotNull(entry -> entry.get("id"))
                .collectList()
                .block(SOON);
    }

    private long notes() {
        return mill.streams().stream(STREAM).state().map(StreamState::notes).blockLast(SOON);
    }

    /** Changes leave after the commit, and nobody waits for them; what does not come is seen by what comes after it. */
    private void awaitTold(Object... ids) {
        Eventually.await("told " + List.of(ids), SOON, () -> told().equals(List.of(ids)));
    }

    private Article saved(String title) {
        Article article = new Article(title);
        factory.runInTransaction(entities -> entities.persist(article));
        return article;
    }

    private void change(Long id, Consumer<Article> change) {
        factory.runInTransaction(entities -> change.accept(entities.find(Article.class, id)));
    }

    @Test
    @DisplayName(
            "insert, update, delete: notes before the commit, one change each after it; what was not changed is not told")
    void transactions() {
        Article one = new Article("one");
        factory.runInTransaction(entities -> {
            entities.persist(one);
            entities.flush();
            one.title("first");
            assertThat(notes()).as("not before the commit").isZero();
        });
        assertThat(notes()).isEqualTo(1);
        awaitTold(1);
        change(1L, same -> same.title("first"));
        change(1L, other -> other.title("other"));
        awaitTold(1, 1);
        factory.runInTransaction(entities -> entities.remove(entities.find(Article.class, 1L)));
        awaitTold(1, 1, 1);
    }

    @Test
    @DisplayName("a collection that changes is a change of its owner")
    void collections() {
        saved("one");
        awaitTold(1);
        change(1L, article -> article.tags().add("new"));
        awaitTold(1, 1);
        change(1L, article -> article.tags().clear());
        awaitTold(1, 1, 1);
        change(1L, article -> assertThat(article.tags()).isEmpty());
        saved("two");
        awaitTold(1, 1, 1, 2);
    }

    @Test
    @DisplayName("a rollback tells nothing")
    void rollback() {
        assertThatThrownBy(() -> factory.runInTransaction(entities -> {
                    entities.persist(new Article("one"));
                    entities.flush();
                    throw new IllegalStateException("no");
                }))
                .hasMessage("no");
        saved("two");
        awaitTold(2);
        assertThat(notes()).isEqualTo(1);
    }

    @Test
    @DisplayName("a transaction commits only with its notes: without them it is rolled back, and the error says why")
    void withoutNotes() {
        String notes = mill.redis().keys().unitText("stream", STREAM, 0) + "notes";
        mill.redis().call("SET", notes, "no sorted set").block(SOON);
        assertThatThrownBy(() -> saved("one")).hasStackTraceContaining("WRONGTYPE");
        assertThat(count()).isZero();
        mill.redis().call("DEL", notes).block(SOON);
        saved("two");
        awaitTold(2);
    }

    private long count() {
        return factory.callInTransaction(entities -> entities.createQuery("select count(a) from Article a", Long.class)
                .getSingleResult());
    }

    @Test
    @DisplayName("a commit waits for its notes no longer than it may: a Redis that hangs rolls it back in time")
    void bounded(@Namespace String namespace) throws Exception {
        try (OwnRedis own = OwnRedis.start()) {
            Millrace other = connect(own.uri(), namespace);
            try {
                factory.close();
                factory = factory();
                listen(other, Duration.ofMillis(300));
                saved("one");
                own.pause();
                long began = System.nanoTime();
                assertThatThrownBy(() -> saved("two"))
                        .hasStackTraceContaining("repair notes were not taken within PT0.3S, so nothing is committed");
                assertThat(Duration.ofNanos(System.nanoTime() - began))
                        .isBetween(Duration.ofMillis(300), Duration.ofMillis(1_500));
                own.resume();
                assertThat(count()).isEqualTo(1);
            } finally {
                other.shutdown().block(SOON);
            }
        }
        assertThatThrownBy(() -> listen(mill, Duration.ZERO)).hasMessage("noteTimeout must be more than 0, was PT0S");
    }

    @Test
    @DisplayName("stateless sessions, and those of Hibernate itself")
    void stateless() {
        SessionFactory sessions = factory.unwrap(SessionFactory.class);
        Article article = new Article("one");
        article.tags().addAll(Set.of("a", "b"));
        sessions.inStatelessTransaction(session -> session.insert(article));
        awaitTold(1);
        sessions.inStatelessTransaction(session -> {
            article.title("other");
            session.update(article);
        });
        awaitTold(1, 1);
        sessions.inTransaction(session -> session.remove(session.find(Article.class, 1L)));
        awaitTold(1, 1, 1);
        assertThat(notes()).isEqualTo(1);
    }

    @Test
    @DisplayName("what is written while others are being noted, right before the commit, is noted too")
    void lateWrites() {
        factory.runInTransaction(entities -> {
            entities.persist(new Article("one"));
            entities.flush();
            entities.unwrap(org.hibernate.engine.spi.SessionImplementor.class)
                    .getTransactionCompletionCallbacks()
                    .registerCallback(session -> {
                        entities.persist(new Article("two"));
                        entities.flush();
                    });
        });
        assertThat(notes()).isEqualTo(2);
        awaitTold(1, 2);
    }

    @Test
    @DisplayName("transactions of Spring: the commit tells, the rollback does not")
    void spring() {
        JpaTransactionManager manager = new JpaTransactionManager(factory);
        TransactionTemplate transaction = new TransactionTemplate(manager);
        EntityManager entities = SharedEntityManagerCreator.createSharedEntityManager(factory);
        transaction.executeWithoutResult(status -> {
            entities.persist(new Article("one"));
            status.setRollbackOnly();
        });
        transaction.executeWithoutResult(status -> {
            entities.persist(new Article("two"));
            entities.persist(new Article("three"));
        });
        awaitTold(2, 3);
        assertThat(notes()).isEqualTo(2);
    }

    @Test
    @DisplayName("updates by JPQL are not seen; a capture around the transaction tells them")
    void jpql() {
        saved("one");
        awaitTold(1);
        Mono<Integer> update = Mono.fromCallable(() -> factory.callInTransaction(entities ->
                        entities.createQuery("update Article set title = 'all'").executeUpdate()))
                .subscribeOn(Schedulers.boundedElastic());
        mill.streams().capture(STREAM).around(List.of(1), update).block(SOON);
        awaitTold(1, 1);
    }
}
