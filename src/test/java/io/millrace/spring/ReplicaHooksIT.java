package io.millrace.spring;

import static io.millrace.spring.Shop.SOON;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.stream.EntryId;
import io.millrace.stream.ReplicaWait;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.PostgresServer;
import io.millrace.testing.PostgresServer.Database;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import jakarta.persistence.EntityManagerFactory;
import jakarta.persistence.PersistenceConfiguration;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.context.ApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** Hooks that wait for replicas, on a server that has none. */
@Tag("T12")
@RedisTest
class ReplicaHooksIT {

    private static final Duration SHORT = Duration.ofMillis(100);

    private final Logger logger = (Logger) LoggerFactory.getLogger("io.millrace.stream");
    private final ListAppender<ILoggingEvent> log = new ListAppender<>();

    private RedisServer redis;

    @Namespace
    private String namespace;

    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class Application {

        @Bean
        EntityStreams entityStreams(Millrace mill) {
            return EntityStreams.of(mill.streams())
                    .entity(Product.class, "products")
                    .build();
        }
    }

    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class OwnWait {

        @Bean
        EntityStreams entityStreams(Millrace mill) {
            return EntityStreams.of(mill.streams())
                    .entity(Product.class, "products")
                    .waitFor(new ReplicaWait(1, SHORT, false))
                    .build();
        }
    }

    @BeforeEach
    void listen() {
        log.start();
        logger.addAppender(log);
    }

    @AfterEach
    void unlisten() {
        logger.detachAppender(log);
    }

    private List<String> logged() {
        return List.copyOf(log.list).stream()
                .map(ILoggingEvent::getFormattedMessage)
                .toList();
    }

    private ApplicationContextRunner application(Class<?> configuration, String... more) {
        Database database = PostgresServer.database();
        database.execute(Product.TABLE);
        return new ApplicationContextRunner()
                .withUserConfiguration(configuration)
                .withPropertyValues(
                        "millrace.redis=" + redis.uri(),
                        "millrace.namespace=" + namespace,
                        "spring.r2dbc.url=" + database.r2dbc(),
                        "millrace.streams.replicas.count=1",
                        "millrace.streams.replicas.at-most=100ms")
                .withPropertyValues(more);
    }

    private static List<Object> told(Millrace mill, String stream) {
        return mill.streams().stream(stream)
                .entries(EntryId.ZERO)
                .mapNotNull(entry -> entry.get("id"))
                .collectList()
                .block(SOON);
    }

    private static void saveA(ApplicationContext context) {
        context.getBean(Products.class).save(Product.fresh("a", "n", 1)).block(SOON);
    }

    @Test
    @DisplayName("R2DBC, by properties: a save whose note no replica has fails, and nothing is written")
    void strict() {
        application(Application.class).run(context -> {
            assertThatThrownBy(() -> saveA(context))
                    .hasStackTraceContaining("confirmed by 0 of 1 replicas within PT0.1S");
            assertThat(context.getBean(Products.class).count().block(SOON)).isZero();
            assertThat(told(context.getBean(Millrace.class), "products")).isEmpty();
        });
    }

    @Test
    @DisplayName("R2DBC, lenient by properties: it is written and told, a warning says what replicas lack")
    void lenient() {
        application(Application.class, "millrace.streams.replicas.failing=false")
                .run(context -> {
                    saveA(context);
                    assertThat(told(context.getBean(Millrace.class), "products"))
                            .containsExactly("a");
                    assertThat(logged())
                            .anyMatch(line -> line.contains("confirmed by 0 of 1 replicas"))
                            .noneMatch(line -> line.contains("not queued"));
                });
    }

    @Test
    @DisplayName("what entities say themselves holds, whatever the properties say")
    void own() {
        application(OwnWait.class).run(context -> {
            saveA(context);
            assertThat(told(context.getBean(Millrace.class), "products")).containsExactly("a");
        });
    }

    @Test
    @DisplayName("0 replicas, or a wait out of range, fail the start and say so")
    void outOfRange() {
        application(Application.class, "millrace.streams.replicas.count=0")
                .run(context ->
                        assertThat(context.getStartupFailure()).hasStackTraceContaining("replicas must be 1 to 100"));
        application(Application.class, "millrace.streams.replicas.at-most=6s")
                .run(context -> assertThat(context.getStartupFailure()).hasStackTraceContaining("atMost must be"));
    }

    @Test
    @DisplayName("JPA: a commit whose notes no replica has is rolled back; lenient, it is told, and not called lost")
    void hibernate() {
        Millrace mill = Millrace.connect(MillraceSettings.of(redis.settings(namespace)));
        String jdbc = PostgresServer.database().jdbc();
        try (EntityManagerFactory strict = factory(jdbc, "create");
                EntityManagerFactory lenient = factory(jdbc, "none")) {
            HibernateChanges.listen(strict, waiting(mill, true));
            HibernateChanges.listen(lenient, waiting(mill, false));
            assertThatThrownBy(() -> strict.runInTransaction(entities -> entities.persist(new Article("one"))))
                    .hasStackTraceContaining("confirmed by 0 of 1 replicas");
            assertThat(count(strict)).isZero();
            lenient.runInTransaction(entities -> entities.persist(new Article("two")));
            assertThat(count(lenient)).isEqualTo(1);
            Eventually.await("told", SOON, () -> told(mill, "articles").size() == 1);
            assertThat(logged())
                    .anyMatch(line -> line.contains("confirmed by 0 of 1 replicas"))
                    .noneMatch(line -> line.contains("not queued"));
        } finally {
            mill.shutdown().block(SOON);
        }
    }

    private static EntityStreams waiting(Millrace mill, boolean failing) {
        return EntityStreams.of(mill.streams())
                .entity(Article.class, "articles")
                .waitFor(new ReplicaWait(1, SHORT, failing))
                .build();
    }

    private static EntityManagerFactory factory(String jdbc, String schema) {
        return new PersistenceConfiguration("shop")
                .managedClass(Article.class)
                .property(PersistenceConfiguration.JDBC_URL, jdbc)
                .property(PersistenceConfiguration.SCHEMAGEN_DATABASE_ACTION, schema)
                .createEntityManagerFactory();
    }

    private static long count(EntityManagerFactory factory) {
        return factory.callInTransaction(entities -> entities.createQuery("select count(a) from Article a", Long.class)
                .getSingleResult());
    }
}
