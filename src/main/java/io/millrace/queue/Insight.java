package io.millrace.queue;

import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Looks at one partition of a queue, in pages that keep each script short; and removes it, in steps. */
final class Insight {

    static final int FACETS_A_PAGE = 100;
    private static final int FACETS_A_STEP = 250;
    static final int MESSAGES_A_PAGE = 200;

    /** Where facets with waiting messages stand; only the ring in a queue without policies. In the order of their turns. */
    private static final List<FacetState.Standing> ELSEWHERE =
            List.of(FacetState.Standing.FAIR, FacetState.Standing.PARKED, FacetState.Standing.THROTTLED);

    private final Redis redis;
    private final Unit unit;

    Insight(Redis redis, Unit unit) {
        this.redis = redis;
        this.unit = unit;
    }

    /**
     * What would be pulled.
     *
     * @param active the weights of the facets that may be served now
     */
    record Peeked(List<Message> messages, double active) {}

    Mono<Peeked> peek(int n) {
        return redis.run(QueueScripts.PEEK, List.of(unit.prefix()), args(n)).map(reply -> {
            List<Message> messages = new ArrayList<>();
            int last = reply.size() - 1;
            for (int i = 1; i < last; i++) {
                messages.add(Elements.messageOrUnreadable(unit.queue(), reply, i));
            }
            return new Peeked(messages, Double.parseDouble(reply.text(last)));
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

    Mono<Long> removeAll() {
        Mono<Reply> step = redis.run(QueueScripts.DESTROY, List.of(unit.prefix()), args(FACETS_A_STEP));
        return step.expand(reply -> reply.number(2) == 0 ? Mono.empty() : step)
                .reduce(0L, (removed, reply) -> removed + reply.number(1));
    }

    /** One page of the facets that stand somewhere. */
    record Page(FacetState.Standing standing, Reply reply) {

        /** Calls back with each facet, how many messages it has waiting, and when the oldest was delivered. */
        void forEach(Met met) {
            for (int i = 3; i + 2 < reply.size(); i += 3) {
                met.facet(reply.text(i), reply.number(i + 1), reply.number(i + 2));
            }
        }

        interface Met {
            void facet(String facet, long waiting, long oldest);
        }
    }

    /** All facets with waiting messages, wherever they stand. */
    Flux<Page> standings() {
        return pages(FacetState.Standing.RING).switchOnFirst((first, ring) -> {
            Page page = first.get();
            boolean plain = page == null || page.reply().number(2) == 0;
            return plain
                    ? ring
                    : Flux.concat(
                            pages(ELSEWHERE.get(0)),
                            ring,
                            Flux.fromIterable(ELSEWHERE).skip(1).concatMap(this::pages));
        });
    }

    /** The whole of it, and its facets with the most and the oldest messages; remembers no more than those. */
    Mono<QueueLoad> load(int top, DwellTimes dwell) {
        return Mono.defer(() -> {
            long now = redis.clock().millis();
            Comparator<FacetLoad> byWaiting = Comparator.comparingLong(FacetLoad::waiting);
            Comparator<FacetLoad> byAge = Comparator.comparing(FacetLoad::oldestAge);
            PriorityQueue<FacetLoad> noisiest = new PriorityQueue<>(byWaiting);
            PriorityQueue<FacetLoad> starved = new PriorityQueue<>(byAge);
            long[] sums = new long[2];
            return standings()
                    .doOnNext(page -> page.forEach((facet, waiting, oldest) -> {
                        FacetLoad load = new FacetLoad(
                                facet, waiting, Duration.ofMillis(oldest == 0 ? 0 : Math.max(0, now - oldest)));
                        sums[0]++;
                        sums[1] += waiting;
                        keep(noisiest, load, top);
                        keep(starved, load, top);
                    }))
                    .then(Mono.fromSupplier(() -> {
                        List<FacetLoad> oldest =
                                starved.stream().sorted(byAge.reversed()).toList();
                        PartitionLoad partition = new PartitionLoad(unit.partition(), sums[0], sums[1]);
                        return new QueueLoad(
                                unit.queue(),
                                sums[0],
                                sums[1],
                                oldest.isEmpty() ? Duration.ZERO : oldest.get(0).oldestAge(),
                                noisiest.stream().sorted(byWaiting.reversed()).toList(),
                                oldest,
                                dwell,
                                List.of(partition));
                    }));
        });
    }

    Mono<Long> length() {
        return standings()
                .map(page -> {
                    long[] waiting = new long[1];
                    page.forEach((facet, count, oldest) -> waiting[0] += count);
                    return waiting[0];
                })
                .reduce(0L, Long::sum);
    }

    private static void keep(PriorityQueue<FacetLoad> most, FacetLoad load, int top) {
        most.add(load);
        if (most.size() > top) {
            most.poll();
        }
    }

    private Flux<Page> pages(FacetState.Standing where) {
        return Flux.defer(() -> {
            AtomicInteger from = new AtomicInteger();
            return page(where, 0).expand(page -> {
                int next = from.addAndGet(FACETS_A_PAGE);
                return next < page.reply().number(1) ? page(where, next) : Mono.empty();
            });
        });
    }

    private Mono<Page> page(FacetState.Standing where, int from) {
        return redis.run(
                        QueueScripts.FACETS,
                        List.of(unit.prefix()),
                        args(from, FACETS_A_PAGE, where.name().toLowerCase(Locale.ROOT)))
                .map(reply -> new Page(where, reply));
    }

    private Mono<Void> waiting(Map<String, Counts> counts) {
        return standings()
                .doOnNext(page -> page.forEach((facet, waiting, oldest) -> {
                    Counts of = counts.computeIfAbsent(facet, name -> new Counts());
                    of.waiting = waiting;
                    of.standing = page.standing();
                    of.seen(oldest);
                }))
                .then();
    }

    private Mono<Void> leased(Map<String, Counts> counts) {
        return redis.run(QueueScripts.IN_FLIGHT, List.of(unit.prefix()), args("", "-", 1))
                .flatMapIterable(Insight::words)
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
            return new FacetState(
                    entry.getKey(),
                    of.waiting,
                    of.inFlight,
                    of.later,
                    Duration.ofMillis(age),
                    of.standing,
                    unit.partition());
        });
    }

    /** What an answer has behind its status word. */
    static List<String> words(Reply reply) {
        List<String> texts = new ArrayList<>();
        for (int i = 1; i < reply.size(); i++) {
            texts.add(reply.text(i));
        }
        return texts;
    }

    /** Names one call, so that its repeats are told from the next one like it. */
    static String callName() {
        return Long.toHexString(ThreadLocalRandom.current().nextLong());
    }

    static List<byte[]> args(Object... words) {
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
        private FacetState.Standing standing = FacetState.Standing.NOWHERE;

        void seen(long deliveredAt) {
            if (deliveredAt > 0) {
                oldest = Math.min(oldest, deliveredAt);
            }
        }
    }
}
