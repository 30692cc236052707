package io.millrace.server;

import io.millrace.Event;
import io.millrace.MalformedEventException;
import io.millrace.json.EventCodec;
import io.millrace.queue.Delivered;
import io.millrace.queue.Queues;
import java.util.function.Function;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Delivers events that come as lines of JSON. A bad line is told and does not keep the others from being delivered. */
public final class EventIntake {

    /** What became of one line. */
    public sealed interface Outcome {

        /** Which line, from 1. */
        long line();
    }

    /** The event of a line is safe. */
    public record Accepted(long line, Delivered delivered) implements Outcome {}

    /** A line was no event. */
    public record Rejected(long line, String problem) implements Outcome {}

    private final Function<Event, Mono<Delivered>> delivery;
    private final int maxLineBytes;

    /**
     * With a way to deliver.
     *
     * @param delivery delivers one event, {@code mill::deliver} for example
     * @param maxLineBytes how long a line may be, for the message about one that is longer
     */
    public EventIntake(Function<Event, Mono<Delivered>> delivery, int maxLineBytes) {
        this.delivery = delivery;
        this.maxLineBytes = maxLineBytes;
    }

    /**
     * Delivers lines as they come, in their order within each facet; asks for as many as are done. Fails with the first failure that
     * is not the line's fault; the outcomes before it stand.
     *
     * @return an outcome a line, in their order
     */
    public Flux<Outcome> deliver(Flux<LineSplitter.Line> lines) {
        return lines.flatMapSequential(this::deliver, Queues.DELIVER_CONCURRENCY, 1);
    }

    private Mono<Outcome> deliver(LineSplitter.Line line) {
        if (line.tooLong()) {
            return Mono.just(new Rejected(
                    line.number(),
                    "longer than " + maxLineBytes + " bytes; store the bulk elsewhere and send a reference"));
        }
        Event event;
        try {
            event = EventCodec.read(line.bytes());
        } catch (MalformedEventException e) {
            return Mono.just(new Rejected(line.number(), reason(e)));
        }
        return delivery.apply(event)
                .<Outcome>map(delivered -> new Accepted(line.number(), delivered))
                .onErrorResume(MalformedEventException.class, e -> Mono.just(new Rejected(line.number(), reason(e))));
    }

    /** A line is one line: where in the text the parser stood is said by its column alone. */
    private static String reason(MalformedEventException e) {
        return String.valueOf(e.getMessage())
                .replace(" at line 1, column ", " at column ")
                .replaceAll("\\s+", " ");
    }
}
