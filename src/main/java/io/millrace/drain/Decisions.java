package io.millrace.drain;

import io.millrace.MillraceException;
import io.millrace.redis.Reply;
import java.util.ArrayList;
import java.util.List;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Asks Redis which events are news, and has their URLs marked in the same step. */
final class Decisions {

    static final int EVENTS_A_CALL = 500;

    private enum Status {
        OK,
        GONE
    }

    /** What became of one event: dropped, passed, or passed and its URL was clean until now. */
    private static final char DROPPED = '0';

    private static final char NEWLY_DIRTY = '2';

    private final DrainUnit unit;
    private final long memoryMs;
    private final boolean mark;
    private final boolean noopIsChange;

    /**
     * @param memoryMs how long the filter remembers an entity; 0: no filter
     * @param mark whether URLs are marked dirty
     * @param noopIsChange whether a noop counts as an update
     */
    Decisions(DrainUnit unit, long memoryMs, boolean mark, boolean noopIsChange) {
        this.unit = unit;
        this.memoryMs = memoryMs;
        this.mark = mark;
        this.noopIsChange = noopIsChange;
    }

    /** Events that pass, in their order, and URLs that are newly dirty. */
    record Decided(List<DrainEvent> events, List<String> newlyDirty) {}

    /** @param batch its id; the same batch gets the same answer again. Empty: of no batch */
    Mono<Decided> decide(String batch, List<DrainEvent> events) {
        int slices = (events.size() + EVENTS_A_CALL - 1) / EVENTS_A_CALL;
        return Flux.range(0, slices)
                .concatMap(slice -> decide(batch, slice, slice(events, slice)), 1)
                .collect(StringBuilder::new, StringBuilder::append)
                .map(decision -> decided(events, decision));
    }

    private Mono<String> decide(String batch, int slice, List<DrainEvent> events) {
        List<byte[]> args = DrainScripts.args(batch, slice, memoryMs);
        for (DrainEvent event : events) {
            boolean change = event.type() != ChangeType.NOOP || noopIsChange;
            args.add(Digests.of(16, DrainScripts.bytes(event.url())));
            args.add(DrainScripts.bytes(event.t()));
            args.add(DrainScripts.bytes(kind(event.type())));
            args.add(event.digest());
            args.add(DrainScripts.bytes(mark && change ? event.url() : ""));
        }
        return unit.redis().run(DrainScripts.DECIDE, unit.keys(), args).map(Decisions::decision);
    }

    private String kind(ChangeType type) {
        return switch (type) {
            case CREATE -> "c";
            case UPDATE -> "u";
            case DELETE -> "d";
            case NOOP -> noopIsChange ? "w" : "n";
        };
    }

    private static String decision(Reply reply) {
        if (reply.status(Status.class) == Status.GONE) {
            throw new MillraceException("the batch is not held any more", true, null);
        }
        return reply.text(1);
    }

    private static Decided decided(List<DrainEvent> events, CharSequence decision) {
        List<DrainEvent> passed = new ArrayList<>();
        List<String> newlyDirty = new ArrayList<>();
        for (int i = 0; i < events.size(); i++) {
            if (decision.charAt(i) != DROPPED) {
                passed.add(events.get(i));
            }
            if (decision.charAt(i) == NEWLY_DIRTY) {
                newlyDirty.add(events.get(i).url());
            }
        }
        return new Decided(passed, newlyDirty);
    }

    private static List<DrainEvent> slice(List<DrainEvent> events, int slice) {
        int from = slice * EVENTS_A_CALL;
        return events.subList(from, Math.min(events.size(), from + EVENTS_A_CALL));
    }
}
