package io.millrace.spring;

import static io.millrace.spring.Shop.SOON;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.springframework.data.relational.core.query.Criteria.where;
import static org.springframework.data.relational.core.query.Query.query;

import io.millrace.redis.Redis;
import io.millrace.testing.Namespace;
import io.millrace.testing.PostgresServer;
import io.millrace.testing.PostgresServer.Database;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.dao.DataAccessException;
import org.springframework.data.r2dbc.repository.support.R2dbcRepositoryFactory;
import org.springframework.data.relational.core.query.Query;
import org.springframework.data.relational.core.query.Update;
import org.springframework.transaction.TransactionDefinition;
import org.springframework.transaction.reactive.TransactionalOperator;
import org.springframework.transaction.support.DefaultTransactionDefinition;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** What Spring Data R2DBC writes reaches its stream: notes within the save, changes after the commit, nothing after a rollback. */
@RedisTest
class R2dbcHooksIT {

    private static final Product A = Product.fresh("a", "anvil", 1);
    private static final Product B = Product.fresh("b", "bell", 2);

    private static Database database;

    private Shop shop;

    @BeforeAll
    static void tables() {
        database = PostgresServer.database();
        database.execute(Product.TABLE);
        database.execute(Note.TABLE);
    }

    @BeforeEach
    void open(RedisServer redis, @Namespace String namespace) {
        database.execute("TRUNCATE products, notes");
        shop = Shop.on(database, redis.uri(), namespace);
    }

    @AfterEach
    void close() {
        shop.close();
    }

    private Product changed(Product product) {
        return new Product(product.id(), product.name(), product.stock() + 1);
    }

    private long rows() {
        return shop.template.count(Query.empty(), Product.class).block(SOON);
    }

    private Mono<String> look() {
        return Mono.zip(shop.stream.state().next(), shop.template.count(Query.empty(), Product.class))
                .map(both -> both.getT1().notes() + " notes, " + both.getT1().length() + " told");
    }

    @Test
    @DisplayName(
            "within a transaction: notes as rows are written, one change a row after the commit, in the order of writes")
    void transaction() {
        String before = shop.template
                .insert(B)
                .then(shop.template.insert(A))
                .then(shop.template.update(changed(A)))
                .then(look())
                .as(shop.transaction::transactional)
                .block(SOON);
        assertThat(before).isEqualTo("2 notes, 0 told");
        assertThat(shop.told()).containsExactly("b", "a");
        assertThat(shop.notes()).isEqualTo(2);
    }

    @Test
    @DisplayName("a rollback tells nothing; its note stays, and is harmless")
    void rollback() {
        Mono<Object> work = shop.template.insert(A).then(Mono.error(new IllegalStateException("no")));
        assertThatThrownBy(() -> shop.transaction.transactional(work).block(SOON))
                .hasMessage("no");
        shop.transaction
                .execute(status -> shop.template.insert(B).doOnNext(done -> status.setRollbackOnly()))
                .blockLast(SOON);
        assertThat(rows()).isZero();
        assertThat(shop.told()).isEmpty();
        assertThat(shop.notes()).isEqualTo(2);
    }

    @Test
    @DisplayName("a save that changes nothing because it fails tells nothing")
    void failing() {
        shop.template.insert(A).block(SOON);
        assertThatThrownBy(() -> shop.template.insert(A).block(SOON)).isInstanceOf(DataAccessException.class);
        assertThat(shop.told()).containsExactly("a");
    }

    @Test
    @DisplayName("without a transaction: the note before the row, the change after it")
    void alone(RedisServer redis, @Namespace String namespace) {
        shop.template.insert(A).block(SOON);
        assertThat(shop.told()).containsExactly("a");
        assertThat(shop.notes()).isEqualTo(1);
        breakNotes();
        assertThatThrownBy(() -> shop.template.insert(B).block(SOON)).hasMessageContaining("WRONGTYPE");
        assertThat(rows()).as("no row without its note").isEqualTo(1);
        assertThat(shop.told()).containsExactly("a");
    }

    private void breakNotes() {
        Redis redis = shop.mill.redis();
        String notes = redis.keys().unitText("stream", Shop.STREAM, 0) + "notes";
        redis.call("DEL", notes).then(redis.call("SET", notes, "no sorted set")).block(SOON);
    }

    @Test
    @DisplayName("when the note cannot be taken the transaction does not commit")
    void noNote() {
        breakNotes();
        assertThatThrownBy(() ->
                        shop.transaction.transactional(shop.template.insert(A)).block(SOON))
                .hasMessageContaining("WRONGTYPE");
        assertThat(rows()).isZero();
    }

    @Test
    @DisplayName(
            "ids that the database makes: noted within the transaction; without one told all the same; payloads of one's own")
    void generatedIds() {
        Note note = shop.template
                .insert(Note.of("x"))
                .flatMap(saved -> shop.mill.streams().stream("notes")
                        .state()
                        .next()
                        .doOnNext(state -> assertThat(state.notes()).isEqualTo(1))
                        .thenReturn(saved))
                .as(shop.transaction::transactional)
                .block(SOON);
        Note alone = shop.template.insert(Note.of("y")).block(SOON);
        assertThat(shop.notes("notes")).isEqualTo(1);
        assertThat(shop.mill.streams().stream("notes")
                        .entries(io.millrace.stream.EntryId.ZERO)
                        .map(entry -> entry.payload())
                        .collectList()
                        .block(SOON))
                .isEqualTo(List.of(
                        Map.of("id", note.id().intValue(), "text", "x"),
                        Map.of("id", alone.id().intValue(), "text", "y")));
        assertThat(shop.told()).isEmpty();
    }

    @Test
    @DisplayName("deletes: of an entity, by a query, by the fluent way, and what a repository deletes")
    void deletes() {
        Products products = new R2dbcRepositoryFactory(shop.template).getRepository(Products.class);
        Flux.range(0, 8)
                .concatMap(n -> products.save(Product.fresh("p" + n, "n", n)))
                .blockLast(SOON);
        assertThat(shop.told()).hasSize(8);
        shop.template.delete(new Product("p0", "n", 0)).block(SOON);
        assertThat(shop.template
                        .delete(query(where("stock").is(1)), Product.class)
                        .block(SOON))
                .isEqualTo(1);
        assertThat(shop.template
                        .delete(Product.class)
                        .from("products")
                        .matching(query(where("stock").is(2)))
                        .all()
                        .block(SOON))
                .isEqualTo(1);
        products.deleteById("p3").block(SOON);
        products.delete(new Product("p4", "n", 4)).block(SOON);
        products.deleteAllById(List.of("p5")).block(SOON);
        assertThat(shop.told().subList(8, 14)).containsExactly("p0", "p1", "p2", "p3", "p4", "p5");
        products.deleteAll().block(SOON);
        assertThat(shop.told().subList(14, 16)).containsExactlyInAnyOrder("p6", "p7");
        assertThat(rows()).isZero();
        assertThat(shop.template
                        .delete(query(where("stock").is(1)), Product.class)
                        .block(SOON))
                .as("nothing there")
                .isZero();
        assertThat(shop.told()).hasSize(16);
    }

    @Test
    @DisplayName("a delete within a transaction: note before, change after the commit, nothing after a rollback")
    void deleteWithin() {
        shop.template.insert(A).then(shop.template.insert(B)).block(SOON);
        shop.mill
                .redis()
                .call("DEL", shop.mill.redis().keys().unitText("stream", Shop.STREAM, 0) + "notes")
                .block(SOON);
        String before = shop.template
                .delete(new Product("a", "anvil", 1))
                .then(look())
                .as(shop.transaction::transactional)
                .block(SOON);
        assertThat(before).isEqualTo("1 notes, 2 told");
        assertThat(shop.told()).containsExactly("a", "b", "a");
        shop.transaction
                .execute(status ->
                        shop.template.delete(Query.empty(), Product.class).doOnNext(done -> status.setRollbackOnly()))
                .blockLast(SOON);
        assertThat(rows()).isEqualTo(1);
        assertThat(shop.told()).hasSize(3);
    }

    @Test
    @DisplayName("updates by a query tell the rows they change, both ways of saying it")
    void updates() {
        shop.template.insert(A).then(shop.template.insert(B)).block(SOON);
        assertThat(shop.template
                        .update(query(where("stock").greaterThan(1)), Update.update("stock", 9), Product.class)
                        .block(SOON))
                .isEqualTo(1);
        assertThat(shop.template
                        .update(Product.class)
                        .inTable("products")
                        .apply(Update.update("name", "x"))
                        .block(SOON))
                .isEqualTo(2);
        assertThat(shop.told().subList(2, 3)).containsExactly("b");
        assertThat(shop.told().subList(3, 5)).containsExactlyInAnyOrder("a", "b");
    }

    @Test
    @DisplayName("more rows than one statement takes")
    void many() {
        List<Product> many = IntStream.range(0, 1_100)
                .mapToObj(n -> Product.fresh("m" + n, "n", n))
                .toList();
        Flux.fromIterable(many)
                .concatMap(shop.template::insert)
                .as(shop.transaction::transactional)
                .blockLast(SOON.multipliedBy(3));
        assertThat(shop.template.delete(Query.empty(), Product.class).block(SOON))
                .isEqualTo(1_100);
        assertThat(shop.told()).hasSize(2_200);
        assertThat(rows()).isZero();
    }

    @Test
    @DisplayName("a transaction within, suspended around: each tells what it commits itself")
    void requiresNew() {
        TransactionalOperator inner = TransactionalOperator.create(
                shop.transactions, new DefaultTransactionDefinition(TransactionDefinition.PROPAGATION_REQUIRES_NEW));
        Mono<Object> outer = shop.template
                .insert(A)
                .then(inner.transactional(shop.template.insert(B)))
                .then(look())
                .doOnNext(state -> assertThat(state).isEqualTo("2 notes, 1 told"))
                .then(Mono.error(new IllegalStateException("no")));
        assertThatThrownBy(() -> shop.transaction.transactional(outer).block(SOON))
                .hasMessage("no");
        assertThat(shop.told()).containsExactly("b");
    }

    @Test
    @DisplayName("work of any driver within a transaction: capture.toldBy(new ReactiveCommit())")
    void captureWithin() {
        Mono<Long> raw = shop.sql()
                .sql("INSERT INTO products VALUES ('r', 'raw', 1)")
                .fetch()
                .rowsUpdated();
        String before = shop.mill
                .streams()
                .capture(Shop.STREAM)
                .toldBy(new ReactiveCommit())
                .around(List.of("r"), raw)
                .then(look())
                .as(shop.transaction::transactional)
                .block(SOON);
        assertThat(before).isEqualTo("1 notes, 0 told");
        assertThat(shop.told()).containsExactly("r");
        shop.mill
                .streams()
                .capture(Shop.STREAM)
                .toldBy(new ReactiveCommit())
                .around(List.of("r"), Mono.empty())
                .block(SOON);
        assertThat(shop.told()).as("no transaction").containsExactly("r", "r");
    }

    @Test
    @DisplayName("an entity has one stream; its subclasses share it; others have none")
    void declared() {
        assertThat(shop.streams.of(Product.class).name()).isEqualTo(Shop.STREAM);
        assertThat(shop.streams.of(String.class)).isNull();
        EntityStreams numbers = EntityStreams.of(shop.mill.streams())
                .entity(Number.class, "numbers")
                .build();
        assertThat(numbers.of(Integer.class).name()).isEqualTo("numbers");
        assertThatThrownBy(() -> EntityStreams.of(shop.mill.streams())
                        .entity(Product.class, "one")
                        .entity(Product.class, "two"))
                .hasMessageContaining("has a stream already");
    }
}
