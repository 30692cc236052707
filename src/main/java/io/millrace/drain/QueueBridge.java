package io.millrace.drain;

import io.millrace.Event;
import io.millrace.queue.Queues;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.HexFormat;
import java.util.Map;
import java.util.function.Function;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Mono;

/**
 * Delivers what passes into facet queues: the environment is what the drain's owner says, the type is the type of change, the name is
 * the URL, the topic an attribute. The id is the same for the same event of a drain however often it is processed, so that queues keep it
 * single.
 */
final class QueueBridge implements Stage {

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
        return Mono.defer(() -> queues.deliverAll(
                        batch.events().stream().map(this::event).toList()))
                .thenReturn(batch);
    }

    private Event event(DrainEvent event) {
        return Event.of(
                environment.apply(event),
                event.type().word(),
                event.url(),
                "drain-" + HexFormat.of().formatHex(Digests.of(16, drain, event.identity())),
                Instant.ofEpochMilli(Math.min(event.t(), LATEST)),
                event.data(),
                Map.of("topic", event.topic()));
    }
}
