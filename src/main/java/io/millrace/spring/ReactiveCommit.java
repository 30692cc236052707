package io.millrace.spring;

import io.millrace.stream.AfterCommit;
import io.millrace.stream.Change;
import io.millrace.stream.StreamProducer;
import java.util.List;
import java.util.Optional;
import org.springframework.core.Ordered;
import org.springframework.transaction.NoTransactionException;
import org.springframework.transaction.reactive.TransactionSynchronization;
import org.springframework.transaction.reactive.TransactionSynchronizationManager;
import reactor.core.publisher.Mono;

/**
 * Learns of commits from Spring's reactive transactions, whatever their transaction manager. What one transaction changes is queued
 * together, equal changes once; the transaction is over for its caller when that is done, which does not make it fail. Where there is no
 * transaction, changes are queued at once.
 *
 * <p>For work of one's own within a transaction: {@code mill.streams().capture("products").toldBy(new ReactiveCommit())}.
 */
public final class ReactiveCommit implements AfterCommit {

    /** For any transaction. */
    public ReactiveCommit() {}

    @Override
    public Mono<Void> queue(StreamProducer producer, List<Change> changes) {
        return transaction().flatMap(found -> {
            if (found.isEmpty()) {
                return AT_ONCE.queue(producer, changes);
            }
            Told told = Told.in(found.get());
            changes.forEach(change -> told.changes.add(producer, change));
            return Mono.empty();
        });
    }

    /** The caller's transaction, empty if there is none. */
    static Mono<Optional<TransactionSynchronizationManager>> transaction() {
        return TransactionSynchronizationManager.forCurrentTransaction()
                .filter(manager -> manager.isActualTransactionActive() && manager.isSynchronizationActive())
                .map(Optional::of)
                .onErrorResume(NoTransactionException.class, none -> Mono.empty())
                .defaultIfEmpty(Optional.empty());
    }

    /** What a transaction will tell. */
    static final class Told implements TransactionSynchronization, Ordered {

        final Gathered changes = new Gathered();

        private Told() {}

        /** Of this transaction: of a suspended one around it there is another. */
        static synchronized Told in(TransactionSynchronizationManager transaction) {
            for (TransactionSynchronization each : transaction.getSynchronizations()) {
                if (each instanceof Told told) {
                    return told;
                }
            }
            Told told = new Told();
            transaction.registerSynchronization(told);
            return told;
        }

        @Override
        public Mono<Void> afterCommit() {
            return changes.queue();
        }

        @Override
        public int getOrder() {
            return LOWEST_PRECEDENCE;
        }
    }
}
