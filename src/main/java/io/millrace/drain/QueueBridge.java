package io.millrace.drain;

import io.millrace.Event;
import io.millrace.MalformedEventException;
import io.millrace.OverloadedException;
import io.millrace.queue.Delivered;
import io.millrace.queue.Queues;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Delivers what passes into facet queues: the environment is what the drain's owner says, the type is the type of change, the name is
 * the URL, the topic an attribute. The id is the same for the same event of a drain however often it is processed, so that queues keep it
 * single. Senders were told that their events are safe: what a queue refuses has the batch processed again, what is too large for queues
 * goes without its data.
 */
final class QueueBridge implements Stage {

    private static final Logger log = LoggerFactory.getLogger(QueueBridge.class);

    private static final long LATEST = Instant.parse("9999-12-31T23:59:59.999Z").toEpochMilli();

    private final byte[] drain;
    private final Queues queues;
    private final Function<? super DrainEvent, String> environment;

    QueueBridge(String drain, Queues queues, Function<? super DrainEvent, String> environment) {
        this.drain = drain.getBytes(StandardCharsets.UTF_8);
        this.queues = queues;
        this.environment = environment;
    }

    @Override
    public Publisher<DrainBatch> apply(DrainBatch batch) {
        return Mono.defer(() -> queues.deliverAll(batch.events().stream()
                        .map(one -> event(one, one.data()))
                        .toList()))
                .onErrorResume(
                        MalformedEventException.class,
                        tooLarge -> Flux.fromIterable(batch.events())
                                .concatMap(this::alone, 1)
                                .collectList())
                .flatMap(all -> mustBeTaken(all).thenReturn(batch));
    }

    /** An event that queues cannot take as it is does not keep the others of its batch from being delivered, for ever. */
    private Mono<Delivered> alone(DrainEvent one) {
        return Mono.defer(() -> queues.deliver(event(one, one.data())))
                .onErrorResume(MalformedEventException.class, tooLarge -> {
                    log.warn("{} is delivered without its data: {}", one, tooLarge.getMessage());
                    return queues.deliver(event(one, null));
                });
    }

    private static Mono<Void> mustBeTaken(List<Delivered> all) {
        List<String> refusing =
                all.stream().flatMap(one -> one.refusedBy().stream()).distinct().toList();
        return refusing.isEmpty()
                ? Mono.empty()
                : Mono.error(new OverloadedException(
                        "as many messages wait in " + refusing + " as may; the batch is delivered again"));
    }

    private Event event(DrainEvent event, @Nullable Map<String, @Nullable Object> data) {
        return Event.of(
                environment.apply(event),
                event.type().word(),
                event.url(),
                "drain-" + HexFormat.of().formatHex(Digests.of(16, drain, event.identity())),
                Instant.ofEpochMilli(Math.min(event.t(), LATEST)),
                data,
                Map.of("topic", event.topic()));
    }
}
