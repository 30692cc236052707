package io.millrace.spring;

import static org.springframework.data.relational.core.query.Criteria.where;
import static org.springframework.data.relational.core.query.Query.query;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import org.springframework.data.r2dbc.mapping.OutboundRow;
import org.springframework.data.r2dbc.mapping.event.AfterSaveCallback;
import org.springframework.data.relational.core.sql.SqlIdentifier;
import org.springframework.transaction.reactive.TransactionSynchronization;
import org.springframework.transaction.reactive.TransactionSynchronizationManager;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Saves and deletes products for ever, in a process of its own, to be killed. Says which window it enters, a line each: {@code saving},
 * {@code saved} (written and not committed), {@code committed} (and not told), {@code told}; in each it lingers for some milliseconds.
 */
final class KilledSeller {

    private static final int PRODUCTS = 8;
    private static final int LINGER_MS = 9;

    private final Shop shop;
    private final String prefix;
    private int stock;

    private KilledSeller(Shop shop, String prefix) {
        this.shop = shop;
        this.prefix = prefix;
    }

    /** @param args database, Redis, namespace, what its ids begin with */
    public static void main(String[] args) {
        KilledSeller seller = new KilledSeller(new Shop(args[0], args[1], args[2], new AfterRow()), args[3]);
        say("ready");
        while (true) {
            seller.once();
        }
    }

    private void once() {
        List<String> ids = new ArrayList<>();
        for (int i = 1 + ThreadLocalRandom.current().nextInt(3); i > 0; i--) {
            String id = prefix + ThreadLocalRandom.current().nextInt(PRODUCTS);
            if (!ids.contains(id)) {
                ids.add(id);
            }
        }
        enter("saving").block();
        switch (ThreadLocalRandom.current().nextInt(5)) {
            case 0 ->
                writes(ids)
                        .then(Mono.error(new RolledBack()))
                        .as(this::transaction)
                        .onErrorComplete()
                        .block();
            case 1 -> writes(ids.subList(0, 1)).block(); // no transaction
            case 2 -> captured(ids).block();
            default -> writes(ids).then(enter("saved")).as(this::transaction).block();
        }
        enter("told").block();
    }

    private <T> Mono<T> transaction(Mono<T> work) {
        return shop.transaction.transactional(TransactionSynchronizationManager.forCurrentTransaction()
                .doOnNext(transaction -> transaction.registerSynchronization(new Committed()))
                .then(work));
    }

    /** A change of each: an insert, an update or a delete. */
    private Mono<Void> writes(List<String> ids) {
        return Flux.fromIterable(ids).concatMap(this::write).then();
    }

    private Mono<?> write(String id) {
        if (ThreadLocalRandom.current().nextInt(3) == 0) {
            return shop.template.delete(query(where("id").is(id)), Product.class);
        }
        return shop.template.upsert(new Product(id, "from " + prefix, ++stock));
    }

    /** The same past the hooks, with plain SQL and a capture around the whole transaction. */
    private Mono<Void> captured(List<String> ids) {
        Mono<Void> sql = Flux.fromIterable(ids)
                .concatMap(id -> shop.sql()
                        .sql("INSERT INTO products VALUES (:id, :name, :stock)"
                                + " ON CONFLICT (id) DO UPDATE SET stock = excluded.stock")
                        .bind("id", id)
                        .bind("name", "captured")
                        .bind("stock", ++stock)
                        .then())
                .then(enter("saved"));
        return shop.mill
                .streams()
                .capture(Shop.STREAM)
                .around(ids, shop.transaction.transactional(sql).then(enter("committed")));
    }

    private static Mono<Void> enter(String window) {
        return Mono.fromRunnable(() -> say(window)).then(linger());
    }

    private static Mono<Void> linger() {
        return Mono.defer(() ->
                        Mono.delay(Duration.ofMillis(ThreadLocalRandom.current().nextInt(LINGER_MS))))
                .then();
    }

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    private static final class RolledBack extends RuntimeException {
        private static final long serialVersionUID = 1L;
    }

    /** Between a commit and our own synchronisation. */
    private static final class Committed implements TransactionSynchronization, Ordered {

        @Override
        public Mono<Void> afterCommit() {
            return enter("committed");
        }

        @Override
        public int getOrder() {
            return HIGHEST_PRECEDENCE;
        }
    }

    /** Between a row that commits by itself and our own callback. */
    @Order(Ordered.HIGHEST_PRECEDENCE)
    private static final class AfterRow implements AfterSaveCallback<Product> {

        @Override
        public Mono<Product> onAfterSave(Product product, OutboundRow row, SqlIdentifier table) {
            return ReactiveCommit.transaction()
                    .flatMap(transaction -> transaction.isPresent() ? Mono.empty() : enter("committed"))
                    .thenReturn(product);
        }
    }
}
