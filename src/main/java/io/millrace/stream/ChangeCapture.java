package io.millrace.stream;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Tells a stream what some work writes, whatever driver writes it: repair notes of its records before it, their immediate changes after
 * it, also when it fails or is cancelled, for it may have been done in part. When the notes cannot be taken, the work is not begun.
 *
 * <pre>{@code
 * ChangeCapture<Product> capture = mill.streams().capture("products", Product::id);
 * capture.around(products, transaction.execute(status -> store.saveAll(products)))
 * }</pre>
 *
 * <p>Put it around the whole transaction, as here; inside of one, say with {@link #toldBy} how its commit is learned. The records must be
 * known before: those whose ids the database makes are told by {@code io.millrace.spring}'s hooks, or with {@link StreamProducer#delay}
 * within their transaction.
 *
 * <p>Immediate changes that cannot be queued are logged and not told: the notes will bring those records back. Cold, immutable, thread
 * safe.
 *
 * @param <R> what a record is here
 */
public final class ChangeCapture<R> {

    private final StreamProducer producer;
    private final Function<? super R, ?> change;
    private final AfterCommit commit;

    ChangeCapture(StreamProducer producer, Function<? super R, ?> change, AfterCommit commit) {
        this.producer = producer;
        this.change = change;
        this.commit = commit;
    }

    /** The same, inside of transactions: immediate changes leave after their commit, and never if they are rolled back. */
    public ChangeCapture<R> toldBy(AfterCommit newCommit) {
        return new ChangeCapture<>(producer, change, newCommit);
    }

    /**
     * Around work with one result.
     *
     * @param records what the work writes, or may write; none: the work alone
     * @return what the work gives, after the changes were queued; its failure likewise
     */
    public <T> Mono<T> around(Iterable<? extends R> records, Mono<T> work) {
        return producer.bulk(() -> changes(records), work, commit);
    }

    /**
     * Around work with many results.
     *
     * @param records what the work writes, or may write; none: the work alone
     * @return what the work gives, as it gives it; the end comes after the changes were queued
     */
    public <T> Flux<T> around(Iterable<? extends R> records, Flux<T> work) {
        return producer.bulk(() -> changes(records), work, commit);
    }

    private List<Change> changes(Iterable<? extends R> records) {
        List<Change> changes = new ArrayList<>();
        records.forEach(record -> changes.add(Change.of(change.apply(record))));
        return changes;
    }
}
