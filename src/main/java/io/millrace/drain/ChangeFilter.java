package io.millrace.drain;

import java.util.List;
import java.util.Objects;
import reactor.core.publisher.Mono;

/**
 * Tells what is news from what is old: the newest event of an entity wins, whatever the order of arrival. What it knows is shared by all
 * processes, and by the drain of the same name. For use without a drain; a drain with {@code mapping()} or {@code caching()} has one.
 *
 * <p>At equal times the same event is a duplicate, nothing follows a delete, and everything else passes.
 */
public final class ChangeFilter {

    private final Decisions decisions;

    /** For the facade. */
    public ChangeFilter(io.millrace.redis.Redis redis, String name, DrainSettings settings) {
        DrainScripts.load();
        this.decisions = new Decisions(
                new DrainUnit(name, redis),
                Objects.requireNonNull(settings).filterMemory().toMillis(),
                false,
                false);
    }

    /**
     * The events among these that are news, in their order; they are known from then on. What is done with them is not part of it: a
     * crash before that loses them, unlike in a drain.
     */
    public Mono<List<DrainEvent>> changed(List<DrainEvent> events) {
        return decisions.decide("", events).map(Decisions.Decided::events);
    }
}
