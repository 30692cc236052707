package io.millrace.spring;

import static io.millrace.spring.Shop.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Millrace;
import io.millrace.stream.ChangeCapture;
import io.millrace.stream.StreamBatch;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.PostgresServer;
import io.millrace.testing.PostgresServer.Database;
import io.millrace.testing.ReadmeSnippet;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import jakarta.persistence.EntityManagerFactory;
import jakarta.persistence.PersistenceConfiguration;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.transaction.reactive.TransactionalOperator;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;

/** The README's hooks are compiled here, run on PostgreSQL and Lucene, and are the same as there. */
@RedisTest
class ReadmeHooksIT {

    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class Application {

        @Bean(destroyMethod = "close")
        ProductIndex index() {
            return new ProductIndex();
        }

        // <boot>
        @Bean
        EntityStreams entityStreams(Millrace mill) {
            return EntityStreams.of(mill.streams())
                    .entity(Product.class, "products")
                    .build();
        }

        @Bean(destroyMethod = "dispose")
        Disposable indexer(Millrace mill, Products products, ProductIndex index) {
            return mill.streams()
                    .consumer("products", "indexer")
                    .consume(batch -> index.refresh(ids(batch), products.findAllById(ids(batch))))
                    .subscribe();
        }
        // </boot>

        private static Set<String> ids(StreamBatch batch) {
            return batch.entries().stream().map(entry -> entry.key().toString()).collect(Collectors.toSet());
        }
    }

    private static Database products() {
        Database database = PostgresServer.database();
        database.execute(Product.TABLE);
        return database;
    }

    @Test
    @DisplayName("the README's application: what a repository saves is found in the index, what it deletes is not")
    void boot(RedisServer redis, @Namespace String namespace) {
        new ApplicationContextRunner()
                .withUserConfiguration(Application.class)
                .withPropertyValues(
                        "millrace.redis=" + redis.uri(),
                        "millrace.namespace=" + namespace,
                        "millrace.streams.repair-after=5m",
                        "spring.r2dbc.url=" + products().r2dbc())
                .run(context -> {
                    Products products = context.getBean(Products.class);
                    ProductIndex index = context.getBean(ProductIndex.class);
                    products.save(Product.fresh("a", "heavy anvil", 1)).block(SOON);
                    Eventually.await(
                            "indexed", SOON, () -> index.search("anvil").equals(List.of("a")));
                    products.deleteById("a").block(SOON);
                    Eventually.await("gone", SOON, () -> index.all().isEmpty());
                });
    }

    @Test
    @DisplayName("the README's JPA without Spring Boot")
    void jpa(RedisServer redis, @Namespace String namespace) {
        try (Shop shop = Shop.on(products(), redis.uri(), namespace);
                EntityManagerFactory factory = new PersistenceConfiguration("readme")
                        .managedClass(Article.class)
                        .property(
                                PersistenceConfiguration.JDBC_URL,
                                PostgresServer.database().jdbc())
                        .property(PersistenceConfiguration.SCHEMAGEN_DATABASE_ACTION, "create")
                        .createEntityManagerFactory()) {
            Millrace mill = shop.mill;
            // <jpa>
            EntityStreams streams = EntityStreams.of(mill.streams())
                    .entity(Article.class, "articles")
                    .build();
            HibernateChanges.listen(factory, streams);
            // </jpa>
            factory.runInTransaction(entities -> entities.persist(new Article("one")));
            Eventually.await("told", SOON, () -> shop.told("articles").equals(List.of(1)));
        }
    }

    @Test
    @DisplayName("the README's capture around any work, and within a transaction of Spring")
    void reactor(RedisServer redis, @Namespace String namespace) {
        try (Shop shop = Shop.on(products(), redis.uri(), namespace)) {
            Millrace mill = shop.mill;
            TransactionalOperator transaction = shop.transaction;
            List<Product> sold = List.of(new Product("a", "anvil", 0), new Product("b", "bell", 0));
            Mono<Long> updateStock =
                    shop.sql().sql("UPDATE products SET stock = 0").fetch().rowsUpdated();
            // <reactor>
            ChangeCapture<Product> capture = mill.streams().capture("products", Product::id);

            Mono<Long> around = capture.around(sold, transaction.transactional(updateStock));
            Mono<Long> within = capture.toldBy(new ReactiveCommit())
                    .around(sold, updateStock)
                    .as(transaction::transactional); // told after the commit
            // </reactor>
            around.then(within).block(SOON);
            assertThat(shop.told()).containsExactly("a", "b", "a", "b");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"boot", "jpa", "reactor"})
    @DisplayName("the README shows exactly the hooks that are compiled here")
    void readmeShowsThem(String snippet) {
        ReadmeSnippet.assertShown(ReadmeHooksIT.class, snippet);
    }
}
