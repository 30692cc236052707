package io.millrace.queue;

import io.millrace.MalformedEventException;
import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** The messages of one partition that were given up: lists them, gives them another chance, drops them. */
final class DeadLetters {

    private static final Logger log = LoggerFactory.getLogger(DeadLetters.class);

    private static final int A_PAGE = 100;

    /** Each is a list of entry, element, attempts, reason, order. */
    private static final int FIELDS = 5;

    /** Stands before all entries. */
    static final String FIRST = "-";

    /** Stands before all entries of a millisecond. */
    static String before(String ms) {
        long number = Long.parseLong(ms);
        return number == 0 ? FIRST : number - 1 + "-18446744073709551615";
    }

    /** What becomes of dead letters. */
    enum Fate {
        REDRIVE,
        DROP;

        private String word() {
            return this == REDRIVE ? "redrive" : "drop";
        }
    }

    private final Redis redis;
    private final Unit unit;

    DeadLetters(Redis redis, Unit unit) {
        this.redis = redis;
        this.unit = unit;
    }

    Mono<Long> count() {
        return redis.call("XLEN", unit.part("dead")).cast(Long.class);
    }

    /** @param behind the entry to go on behind, exclusive, or {@link #FIRST} */
    Flux<DeadLetter> list(String behind) {
        return page(behind)
                .expand(reply ->
                        reply.size() < 1 + FIELDS * A_PAGE ? Mono.empty() : page(reply.text(reply.size() - FIELDS)))
                .concatMapIterable(this::letters, 1);
    }

    /** Those with these entry ids; answers how many there were. */
    Mono<Long> treat(Fate fate, Collection<String> entries) {
        return Flux.fromIterable(entries)
                .buffer(A_PAGE)
                .concatMap(some -> {
                    List<Object> words = new ArrayList<>(List.of(fate.word(), "", "0", Insight.callName(), "ids"));
                    words.addAll(some);
                    return run(words.toArray());
                })
                .reduce(0L, (done, reply) -> done + reply.number(1));
    }

    /** All that are there when this begins, or those of one facet. What dies meanwhile is left. */
    Mono<Long> treatAll(Fate fate, @Nullable String facet) {
        return redis.call("XREVRANGE", unit.part("dead"), "+", "-", "COUNT", 1)
                .map(Reply::of)
                .filter(newest -> newest.size() > 0)
                .flatMap(newest -> pages(fate, facet, newest.list(0).text(0)))
                .defaultIfEmpty(0L);
    }

    /** Drops those that died before a time; in bounded steps. */
    Mono<Long> dropBefore(Instant time) {
        long ms = time.toEpochMilli();
        return ms <= 0 ? Mono.just(0L) : pages(Fate.DROP, null, (ms - 1) + "-" + Long.MAX_VALUE);
    }

    private Mono<Long> pages(Fate fate, @Nullable String facet, String last) {
        return treatPage(fate, facet, "-", last)
                .expand(reply -> reply.text(2).isEmpty() ? Mono.empty() : treatPage(fate, facet, reply.text(2), last))
                .reduce(0L, (done, reply) -> done + reply.number(1));
    }

    private Mono<Reply> treatPage(Fate fate, @Nullable String facet, String from, String last) {
        return Mono.defer(() -> run(
                fate.word(),
                facet == null ? "" : facet,
                facet == null ? "0" : "1",
                Insight.callName(),
                "page",
                from,
                last,
                A_PAGE));
    }

    private Mono<Reply> run(Object... words) {
        return redis.run(QueueScripts.REDRIVE, List.of(unit.prefix()), Insight.args(words));
    }

    private Mono<Reply> page(String from) {
        return redis.run(QueueScripts.DEAD, List.of(unit.prefix()), Insight.args(from, A_PAGE));
    }

    private List<DeadLetter> letters(Reply reply) {
        List<DeadLetter> page = new ArrayList<>();
        for (int i = 1; i + FIELDS <= reply.size(); i += FIELDS) {
            page.add(letter(reply, i));
        }
        return page;
    }

    private DeadLetter letter(Reply reply, int i) {
        String entry = reply.text(i);
        int attempts = (int) reply.number(i + 2);
        Message message;
        try {
            message = Elements.message(unit.queue(), attempts, reply.bytes(i + 1));
        } catch (MalformedEventException e) {
            log.warn("dead letter {} of queue \"{}\" is no event", entry, unit.queue());
            message = Elements.unreadable(unit.queue(), attempts, reply.bytes(i + 1));
        }
        String order = reply.text(i + 4);
        Instant first = order.isEmpty() || attempts == 0 ? null : time(order);
        String named = unit.partition() == 0 ? entry : entry + "." + unit.partition();
        return new DeadLetter(named, message, reply.text(i + 3), first, time(entry));
    }

    private static Instant time(String id) {
        return Instant.ofEpochMilli(Long.parseLong(id.substring(0, id.indexOf('-'))));
    }
}
