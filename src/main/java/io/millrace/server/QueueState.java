package io.millrace.server;

import io.millrace.Millrace;
import io.millrace.queue.FacetQueue;
import io.millrace.queue.FacetState;
import io.millrace.queue.Registration;
import java.time.Duration;
import java.util.List;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * A queue as it was when looked at.
 *
 * @param queue its name
 * @param pattern what it wants; {@code null} if it is not registered
 * @param facets facets that have messages
 * @param deadLetters messages that were given up
 * @param paused whether nothing of the whole queue is handed out
 * @param partitions how many it has
 */
public record QueueState(
        String queue,
        @Nullable String pattern,
        List<FacetState> facets,
        long deadLetters,
        boolean paused,
        int partitions) {

    /** How many queues are looked at side by side. */
    private static final int SIDE_BY_SIDE = 4;

    /** Looks at one queue; empty if it is not registered and holds nothing. */
    public static Mono<QueueState> of(Millrace mill, String name) {
        return mill.queues()
                .registrations()
                .filter(registration -> registration.queue().equals(name))
                .map(Registration::pattern)
                .next()
                .flatMap(pattern -> look(mill, name, pattern))
                .switchIfEmpty(Mono.defer(() -> look(mill, name, null))
                        .filter(state -> !state.facets().isEmpty() || state.deadLetters() > 0));
    }

    /** Whether it is registered or holds something. */
    public static Mono<Boolean> isKnown(Millrace mill, String name) {
        FacetQueue queue = mill.queue(name);
        return mill.queues()
                .registrations()
                .any(registration -> registration.queue().equals(name))
                .filter(registered -> registered)
                .switchIfEmpty(Mono.defer(() -> queue.facets().hasElements()))
                .filter(held -> held)
                .switchIfEmpty(Mono.defer(() -> queue.deadLetterCount().map(dead -> dead > 0)));
    }

    /** Looks at all registered queues, by name. */
    public static Flux<QueueState> all(Millrace mill) {
        return mill.queues()
                .registrations()
                .flatMapSequential(
                        registration -> look(mill, registration.queue(), registration.pattern()), SIDE_BY_SIDE);
    }

    private static Mono<QueueState> look(Millrace mill, String name, @Nullable String pattern) {
        FacetQueue queue = mill.queue(name);
        return Mono.zip(
                        queue.facets().collectList(),
                        queue.deadLetterCount(),
                        queue.policies().isPaused(),
                        queue.partitions())
                .map(seen -> new QueueState(name, pattern, seen.getT1(), seen.getT2(), seen.getT3(), seen.getT4()));
    }

    /** What it has in one partition; dead letters are not divided. */
    QueueState partition(int partition) {
        return new QueueState(
                queue,
                pattern,
                facets.stream().filter(facet -> facet.partition() == partition).toList(),
                0,
                paused,
                1);
    }

    /** Messages that can be pulled. */
    public long waiting() {
        return sum(FacetState::waiting);
    }

    /** Messages that are leased. */
    public long inFlight() {
        return sum(FacetState::inFlight);
    }

    /** Messages held back. */
    public long later() {
        return sum(FacetState::later);
    }

    /** Since when the oldest message has been there. */
    public Duration oldestAge() {
        return facets.stream()
                .map(FacetState::oldestAge)
                .max(Duration::compareTo)
                .orElse(Duration.ZERO);
    }

    private long sum(ToLongFunction<FacetState> part) {
        return facets.stream().mapToLong(part).sum();
    }
}
