package io.millrace.spring;

import static io.millrace.spring.Shop.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Millrace;
import io.millrace.stream.EntryId;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.PostgresServer;
import io.millrace.testing.PostgresServer.Database;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import jakarta.persistence.EntityManagerFactory;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.context.ApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.data.r2dbc.core.R2dbcEntityTemplate;
import org.springframework.jdbc.datasource.SimpleDriverDataSource;
import org.springframework.orm.jpa.SharedEntityManagerCreator;
import org.springframework.r2dbc.connection.R2dbcTransactionManager;
import org.springframework.r2dbc.core.DatabaseClient;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.reactive.TransactionalOperator;
import org.springframework.transaction.support.TransactionTemplate;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** What an application of Spring Boot gets by its properties and one bean that says which entity goes to which stream. */
@RedisTest
class SpringBootIT {

    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class Application {

        @Bean
        EntityStreams entityStreams(Millrace mill) {
            return EntityStreams.of(mill.streams())
                    .entity(Product.class, "products")
                    .entity(Article.class, "articles")
                    .build();
        }
    }

    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class Bare {}

    private static final String NO_R2DBC = "org.springframework.boot.r2dbc.autoconfigure.R2dbcAutoConfiguration";
    private static final String NO_DATABASE = "spring.autoconfigure.exclude=" + NO_R2DBC
            + ",org.springframework.boot.jdbc.autoconfigure.DataSourceAutoConfiguration";

    private ApplicationContextRunner application;

    @BeforeEach
    void configure(RedisServer redis, @Namespace String namespace) {
        application = new ApplicationContextRunner()
                .withPropertyValues("millrace.redis=" + redis.uri(), "millrace.namespace=" + namespace);
    }

    private static List<Object> told(ApplicationContext context, String stream) {
        return context.getBean(Millrace.class).streams().stream(stream)
                .entries(EntryId.ZERO)
                .mapNotNull(entry -> entry.get("id"))
                .collectList()
                .block(SOON);
    }

    private static ApplicationContextRunner onR2dbc(ApplicationContextRunner runner) {
        Database database = PostgresServer.database();
        database.execute(Product.TABLE);
        return runner.withPropertyValues("spring.r2dbc.url=" + database.r2dbc());
    }

    @Test
    @DisplayName(
            "R2DBC: repositories and transactions are told; what was rolled back is repaired; the end waits for Millrace's")
    void r2dbc() {
        Millrace[] mill = new Millrace[1];
        onR2dbc(application)
                .withUserConfiguration(Application.class)
                .withPropertyValues("millrace.streams.repair-after=300ms")
                .run(context -> {
                    mill[0] = context.getBean(Millrace.class);
                    Products products = context.getBean(Products.class);
                    TransactionalOperator transaction =
                            TransactionalOperator.create(context.getBean(R2dbcTransactionManager.class));
                    Flux.just("a", "b")
                            .concatMap(id -> products.save(Product.fresh(id, "n", 1)))
                            .thenMany(products.deleteById("a"))
                            .as(transaction::transactional)
                            .blockLast(SOON);
                    assertThat(told(context, "products").subList(0, 2)).containsExactly("a", "b");
                    transaction
                            .transactional(products.save(Product.fresh("c", "n", 1))
                                    .then(Mono.error(new IllegalStateException("no"))))
                            .onErrorComplete()
                            .block(SOON);
                    Eventually.await(
                            "repaired by the delayer that runs here",
                            SOON,
                            () -> told(context, "products").contains("c"));
                    assertThat(context.getBean(StreamUpkeep.class).isRunning()).isTrue();
                    assertThat(context).hasSingleBean(R2dbcEntityTemplate.class);
                });
        mill[0].redis().closed().block(SOON);
    }

    @Test
    @DisplayName("JPA: what a transaction commits is told")
    void jpa() {
        application
                .withUserConfiguration(Application.class)
                .withPropertyValues(
                        "spring.autoconfigure.exclude=" + NO_R2DBC,
                        "spring.datasource.type=" + SimpleDriverDataSource.class.getName(),
                        "spring.datasource.url=" + PostgresServer.database().jdbc(),
                        "spring.jpa.hibernate.ddl-auto=create")
                .run(context -> {
                    EntityManagerFactory factory = context.getBean(EntityManagerFactory.class);
                    new TransactionTemplate(context.getBean(PlatformTransactionManager.class))
                            .executeWithoutResult(
                                    status -> SharedEntityManagerCreator.createSharedEntityManager(factory)
                                            .persist(new Article("one")));
                    Eventually.await(
                            "told", SOON, () -> told(context, "articles").equals(List.of(1)));
                    assertThat(context).doesNotHaveBean(StreamUpkeep.class);
                });
    }

    @Test
    @DisplayName(
            "without an address there is no Millrace; without declared entities no hooks; what an application has itself stays")
    void backsOff() {
        new ApplicationContextRunner()
                .withUserConfiguration(Bare.class)
                .withPropertyValues(NO_DATABASE)
                .run(context -> assertThat(context).hasNotFailed().doesNotHaveBean(Millrace.class));
        onR2dbc(application).withUserConfiguration(Bare.class).run(context -> {
            assertThat(context).hasSingleBean(Millrace.class).doesNotHaveBean(R2dbcChangeCallbacks.class);
            assertThat(context.getBean(R2dbcEntityTemplate.class)).isNotInstanceOf(R2dbcChangeTemplate.class);
        });
        onR2dbc(application)
                .withUserConfiguration(Application.class)
                .withBean(
                        "r2dbcEntityTemplate",
                        R2dbcEntityTemplate.class,
                        () -> new R2dbcEntityTemplate(
                                io.r2dbc.spi.ConnectionFactories.get("r2dbc:postgresql://u:p@127.0.0.1:1/none")))
                .run(context -> {
                    assertThat(context).hasSingleBean(R2dbcEntityTemplate.class).hasSingleBean(DatabaseClient.class);
                    assertThat(context.getBean(R2dbcEntityTemplate.class)).isNotInstanceOf(R2dbcChangeTemplate.class);
                });
    }

    @Test
    @DisplayName("an address that is none fails the start and says so; a password is in no text of the properties")
    void addresses() {
        application
                .withUserConfiguration(Bare.class)
                .withPropertyValues(NO_DATABASE, "millrace.redis=nonsense")
                .run(context -> assertThat(context.getStartupFailure()).hasStackTraceContaining("nonsense"));
        application
                .withUserConfiguration(Bare.class)
                .withPropertyValues(NO_DATABASE, "millrace.redis=redis://user:secret@127.0.0.1:1")
                .run(context -> assertThat(Objects.toString(context.getBean(MillraceProperties.class)))
                        .contains("MillraceProperties")
                        .doesNotContain("secret"));
    }
}
