package io.millrace.drain;

import org.reactivestreams.Publisher;

/**
 * One step of a drain. It gets a batch and answers what goes on to the next step: the batch, changed or not, or nothing when it ends
 * here. A failure, of this or of a later step, has the whole batch processed again from the first step; so a stage is idempotent.
 */
@FunctionalInterface
public interface Stage {

    /**
     * Does its part. Called on a thread that may block.
     *
     * @return the batch that goes on, or empty
     */
    Publisher<DrainBatch> apply(DrainBatch batch);
}
