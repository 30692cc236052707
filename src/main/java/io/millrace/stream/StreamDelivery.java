package io.millrace.stream;

import io.millrace.lock.LeaseLostException;
import java.util.List;
import reactor.core.publisher.Mono;

/** A batch that its receiver commits. */
public final class StreamDelivery {

    private final StreamBatch batch;
    private final Session session;

    StreamDelivery(StreamBatch batch, Session session) {
        this.batch = batch;
        this.session = session;
    }

    boolean handOver() {
        return session.handOver(batch);
    }

    /** What was read. */
    public StreamBatch batch() {
        return batch;
    }

    /**
     * Everything up to the end of this batch is handled, also what was handed out before it; cold.
     *
     * @return fails with {@link LeaseLostException} when another instance has become the active one, or the consumer was moved: then it
     *     is handled again there
     */
    public Mono<Void> commit() {
        return commit(batch.lastId());
    }

    /**
     * As {@link #commit()}, up to an entry in the middle.
     *
     * @throws IllegalArgumentException in the returned Mono, if that lies behind this batch: what was not handed out would be lost
     */
    public Mono<Void> commit(EntryId upTo) {
        if (upTo.isAfter(batch.lastId())) {
            return Mono.error(new IllegalArgumentException(
                    "a batch is committed up to its end, " + batch.lastId() + ", at the most; asked for was " + upTo));
        }
        return session.commit(batch.backfill(), upTo, List.of());
    }
}
