package io.millrace.cli;

import io.millrace.stream.EntryId;
import io.millrace.stream.StreamConsumer;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Parameters;
import reactor.core.publisher.Mono;

/** A command about a consumer of a stream. */
abstract class StreamConsumerAction extends StreamAction {

    @Parameters(index = "1", paramLabel = "CONSUMER", description = "The consumer's name.")
    String consumer;

    StreamConsumer consumer(Session session) {
        return session.mill().streams().consumer(name, consumer);
    }

    void showOffset(Session session) {
        Map<String, @Nullable Object> shape = shape();
        shape.put("consumer", consumer);
        EntryId offset = stream(session).maxCommittedId(consumer).block();
        shape.put("offset", offset == null ? null : offset.toString());
        session.console().data(shape);
    }

    int showPaused(Session session, boolean paused, Mono<Boolean> changing) {
        boolean changed = Objects.requireNonNull(changing.block());
        Map<String, @Nullable Object> shape = shape();
        shape.put("consumer", consumer);
        shape.put("paused", paused);
        shape.put("changed", changed);
        session.console().data(shape);
        return changed ? Main.DONE : Main.PARTLY;
    }
}
