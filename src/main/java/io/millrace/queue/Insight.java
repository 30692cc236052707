package io.millrace.queue;

import io.millrace.MalformedEventException;
import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Looks at one queue, in pages that keep each script short; and removes it, in steps. */
final class Insight {

    static final int FACETS_A_PAGE = 500;
    static final int MESSAGES_A_PAGE = 200;
    static final int ENTRIES_A_PAGE = 100;

    private static final Logger log = LoggerFactory.getLogger(Insight.class);

    private final Redis redis;
    private final Unit unit;

    Insight(Redis redis, Unit unit) {
        this.redis = redis;
        this.unit = unit;
    }

    Flux<Message> peek(int n) {
        return redis.run(QueueScripts.PEEK, List.of(unit.prefix()), args(n)).flatMapIterable(reply -> {
            List<Message> messages = new ArrayList<>();
            for (int i = 1; i < reply.size(); i++) {
                messages.add(Elements.messageOrUnreadable(unit.queue(), reply, i));
            }
            return messages;
        });
    }

    Flux<FacetState> facets() {
        return Flux.defer(() -> {
            Map<String, Counts> counts = new LinkedHashMap<>();
            return waiting(counts)
                    .then(Mono.defer(() -> leased(counts)))
                    .then(Mono.defer(() -> count(counts, "later", "0")))
                    .thenMany(Flux.defer(() -> states(counts)));
        });
    }

    Flux<DeadLetter> deadLetters() {
        return deadPage("-")
                .expand(reply ->
                        reply.size() < 1 + 4 * ENTRIES_A_PAGE ? Mono.empty() : deadPage(reply.text(reply.size() - 4)))
                .concatMapIterable(this::deadLetters, 1);
    }

    Mono<Long> removeAll() {
        Mono<Reply> step = redis.run(QueueScripts.DESTROY, List.of(unit.prefix()), args(FACETS_A_PAGE));
        return step.expand(reply -> reply.number(2) == 0 ? Mono.empty() : step)
                .reduce(0L, (removed, reply) -> removed + reply.number(1));
    }

    /** All pages of the ring; each answers how long the ring is. */
    Flux<Reply> ringPages() {
        AtomicInteger from = new AtomicInteger();
        return ringPage(0).expand(reply -> {
            int next = from.addAndGet(FACETS_A_PAGE);
            return next < reply.number(1) ? ringPage(next) : Mono.empty();
        });
    }

    private Mono<Reply> ringPage(int from) {
        return redis.run(QueueScripts.FACETS, List.of(unit.prefix()), args(from, FACETS_A_PAGE));
    }

    private Mono<Void> waiting(Map<String, Counts> counts) {
        return ringPages()
                .doOnNext(reply -> {
                    for (int i = 3; i + 2 < reply.size(); i += 3) {
                        Counts of = counts.computeIfAbsent(reply.text(i), facet -> new Counts());
                        of.waiting = reply.number(i + 1);
                        of.seen(reply.number(i + 2));
                    }
                })
                .then();
    }

    private Mono<Void> leased(Map<String, Counts> counts) {
        return redis.run(QueueScripts.IN_FLIGHT, List.of(unit.prefix()), args("", "-", 1))
                .flatMapIterable(reply -> texts(reply, 1))
                .concatMap(profile -> count(counts, profile, "-"))
                .then();
    }

    private Mono<Void> count(Map<String, Counts> counts, String profile, String from) {
        return countPage(profile, from)
                .expand(reply -> reply.text(1).isEmpty() ? Mono.empty() : countPage(profile, reply.text(1)))
                .doOnNext(reply -> {
                    for (int i = 2; i + 2 < reply.size(); i += 3) {
                        Counts of = counts.computeIfAbsent(reply.text(i), facet -> new Counts());
                        if (profile.equals("later")) {
                            of.later += reply.number(i + 1);
                        } else {
                            of.inFlight += reply.number(i + 1);
                        }
                        of.seen(reply.number(i + 2));
                    }
                })
                .then();
    }

    private Mono<Reply> countPage(String profile, String from) {
        return redis.run(QueueScripts.IN_FLIGHT, List.of(unit.prefix()), args(profile, from, MESSAGES_A_PAGE));
    }

    private Flux<FacetState> states(Map<String, Counts> counts) {
        long now = redis.clock().millis();
        return Flux.fromIterable(counts.entrySet()).map(entry -> {
            Counts of = entry.getValue();
            long age = of.oldest == Long.MAX_VALUE ? 0 : Math.max(0, now - of.oldest);
            return new FacetState(entry.getKey(), of.waiting, of.inFlight, of.later, Duration.ofMillis(age));
        });
    }

    private Mono<Reply> deadPage(String from) {
        return redis.run(QueueScripts.DEAD, List.of(unit.prefix()), args(from, ENTRIES_A_PAGE));
    }

    private List<DeadLetter> deadLetters(Reply reply) {
        List<DeadLetter> page = new ArrayList<>();
        for (int i = 1; i + 3 < reply.size(); i += 4) {
            page.add(deadLetter(reply, i));
        }
        return page;
    }

    private DeadLetter deadLetter(Reply reply, int i) {
        String entry = reply.text(i);
        Instant at = Instant.ofEpochMilli(Long.parseLong(entry.substring(0, entry.indexOf('-'))));
        Message message;
        try {
            message = Elements.message(unit.queue(), (int) reply.number(i + 2), reply.bytes(i + 1));
        } catch (MalformedEventException e) {
            log.warn("dead letter {} of queue \"{}\" is no event", entry, unit.queue());
            message = Elements.unreadable(unit.queue(), (int) reply.number(i + 2), reply.bytes(i + 1));
        }
        return new DeadLetter(entry, message, reply.text(i + 3), at);
    }

    private static List<String> texts(Reply reply, int from) {
        List<String> texts = new ArrayList<>();
        for (int i = from; i < reply.size(); i++) {
            texts.add(reply.text(i));
        }
        return texts;
    }

    private static List<byte[]> args(Object... words) {
        List<byte[]> args = new ArrayList<>(words.length);
        for (Object word : words) {
            args.add(word.toString().getBytes(StandardCharsets.UTF_8));
        }
        return args;
    }

    /** What one facet has, while it is counted. */
    private static final class Counts {

        private long waiting;
        private long inFlight;
        private long later;
        private long oldest = Long.MAX_VALUE;

        void seen(long deliveredAt) {
            if (deliveredAt > 0) {
                oldest = Math.min(oldest, deliveredAt);
            }
        }
    }
}
