package io.millrace.stream;

import java.util.List;
import reactor.core.publisher.Mono;

/**
 * When changes may be told: not before the transaction that makes them is committed, or a consumer reads the old record and has it stay
 * until the repair note is due. Implemented for Spring's reactive transactions in {@code io.millrace.spring}; thread safe.
 */
@FunctionalInterface
public interface AfterCommit {

    /** Right after the write: for writes that commit by themselves, and for captures that go around a whole transaction. */
    AfterCommit AT_ONCE = StreamProducer::queueOrLeave;

    /**
     * Has changes queued once what is written in the caller's context is committed, and never if it is rolled back.
     *
     * @param producer see {@link StreamProducer#queueOrLeave}
     * @param changes what was written; their repair notes are taken
     * @return completes when they are queued, or are sure to be after the commit
     */
    Mono<Void> queue(StreamProducer producer, List<Change> changes);
}
