package io.millrace.cli;

import io.millrace.server.StreamShapes;
import io.millrace.stream.EntryId;
import io.millrace.stream.StreamDelivery;
import io.millrace.stream.StreamState;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;

@Command(
        name = "consume",
        description = "Read as a consumer: {stream, id, payload} each, committed after it was printed."
                + " Ends with the last entry there is, unless --follow; or when nobody reads any more: a batch that could"
                + " not be printed whole is not committed.",
        footer = {
            "%nExamples:",
            "  millrace stream consume products indexer --batch 100",
            "  millrace stream consume products indexer --follow | while read -r line; do ...; done"
        })
final class StreamConsumeCommand extends StreamConsumerAction {

    private static final Duration LOOK = Duration.ofSeconds(1);

    @Option(names = "--batch", paramLabel = "N", defaultValue = "100", description = "How many to read at a time.")
    private int batch;

    @Option(names = "--follow", description = "Wait for further entries, until interrupted.")
    private boolean follow;

    @Override
    int run(Session session) {
        Map<Integer, EntryId> ends = Objects.requireNonNull(
                stream(session).register(consumer).then(open(session)).block());
        if (!follow && ends.isEmpty()) {
            return Main.DONE;
        }
        Map<Integer, EntryId> left = new HashMap<>(ends);
        Sinks.Empty<Void> stop = Sinks.empty();
        Signals.onEnd(stop::tryEmitEmpty);
        Waiting.forEach(
                consumer(session)
                        .batchSize(batch)
                        .until(follow ? stop.asMono() : Mono.firstWithSignal(stop.asMono(), others(session, ends)))
                        .batches()
                        .concatMap(
                                one -> printed(session, one).then(one.commit()).thenReturn(one), 0)
                        .takeUntil(one -> {
                            left.computeIfPresent(
                                    one.batch().shard(),
                                    (shard, end) -> end.isAfter(one.batch().lastId()) ? end : null);
                            return !follow && left.isEmpty();
                        }),
                one -> {});
        return Main.DONE;
    }

    /** The last ids there are, of the shards with entries this consumer has not committed; what is gone it need not read. */
    private Mono<Map<Integer, EntryId>> open(Session session) {
        return stream(session).state(0).filter(this::isBehind).collectMap(StreamState::shard, StreamState::last);
    }

    /** Ends when everything is committed, by other members of the consumer too: shards that are theirs are not seen here. */
    private Mono<Void> others(Session session, Map<Integer, EntryId> ends) {
        return Flux.interval(LOOK)
                .onBackpressureDrop()
                .concatMap(tick -> open(session))
                .filter(open -> ends.keySet().stream().noneMatch(open::containsKey))
                .next()
                .then();
    }

    /** Nothing was counted: that there is more than nothing is enough. */
    private boolean isBehind(StreamState state) {
        return state.consumers().stream().anyMatch(one -> one.name().equals(consumer) && one.lagIsLeast());
    }

    private Mono<Void> printed(Session session, StreamDelivery one) {
        return Mono.<Void>fromRunnable(() ->
                        one.batch().entries().forEach(entry -> session.console().data(StreamShapes.entry(name, entry))))
                .subscribeOn(Schedulers.boundedElastic());
    }
}
