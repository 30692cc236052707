/**
 * Change streams: a database and its secondary stores (search index, cache, warehouse) are kept in step whatever crashes. {@link
 * io.millrace.stream.StreamProducer} appends changes and takes repair notes around every write, {@link
 * io.millrace.stream.StreamConsumer} reads them in order and commits after its handler, one active instance at a time, {@link
 * io.millrace.stream.Delayer} moves notes that are due to the stream, {@link io.millrace.stream.Trimmer} removes what every consumer has
 * committed. Delivery is at least once, so handlers are idempotent.
 *
 * <p>What is stored, and the scripts that change it: {@code lua/stream}. Every publisher is cold. Start reading at {@link
 * io.millrace.stream.StreamConsumer}.
 */
@NullMarked
package io.millrace.stream;

import org.jspecify.annotations.NullMarked;
