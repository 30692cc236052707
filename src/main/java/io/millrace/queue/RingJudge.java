package io.millrace.queue;

import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Judges facets that may stand where they must not. Whether one has a turn can be seen from the ring alone; a long one is walked page by
 * page, each holding on to where the last one has got to meanwhile, and what came behind its end is looked at in the step that judges.
 */
final class RingJudge {

    private static final Set<String> TAKEN_OUT = Set.of("DOUBLE", "IDLE");
    private static final int AT_ONCE = 50;
    private static final int A_PAGE = 1_000;
    private static final int MOST_TRIES = 20;
    private static final int MOST_LOST = 100;

    private final Redis redis;
    private final Unit unit;
    private final Set<String> suspects;
    private final Map<String, List<Long>> met = new HashMap<>(); // indexes, plus all heads served before they were met
    private long served;
    private long last = -1;
    private String lastFacet = "";
    private boolean ended;
    private int lost;

    RingJudge(Redis redis, Unit unit, Set<String> suspects) {
        this.redis = redis;
        this.unit = unit;
        this.suspects = suspects;
    }

    /** What became of a facet. */
    record Verdict(String facet, String word) {}

    /** Those of which something had to be repaired. Of a ring that turns too fast to be walked some may be left for another time. */
    Flux<Verdict> verdicts() {
        return Flux.fromIterable(suspects)
                .buffer(AT_ONCE)
                .concatMap(this::judge)
                .concatMapIterable(verdicts -> verdicts)
                .filter(verdict -> !verdict.word().equals("FINE"));
    }

    private Mono<List<Verdict>> judge(List<String> some) {
        return Mono.defer(() -> run(words(some)))
                .flatMap(reply -> switch (reply.text(1)) {
                    case "JUDGED" -> Mono.just(verdicts(some, reply));
                    case "LOST" -> {
                        beginAnew();
                        yield walk().then(Mono.<List<Verdict>>empty());
                    }
                    default -> walk().then(Mono.<List<Verdict>>empty());
                })
                .repeat(MOST_TRIES)
                .next();
    }

    private List<Object> words(List<String> some) {
        List<Object> words = new ArrayList<>(List.of("facets", last, lastFacet));
        for (String facet : some) {
            List<Long> indexes = met.getOrDefault(facet, List.of());
            words.add(facet);
            words.add(indexes.size());
            indexes.forEach(index -> words.add(index - served));
        }
        return words;
    }

    private List<Verdict> verdicts(List<String> some, Reply reply) {
        List<Verdict> verdicts = new ArrayList<>();
        for (int i = 0; i < some.size(); i++) {
            verdicts.add(new Verdict(some.get(i), reply.text(i + 2)));
        }
        if (verdicts.stream().anyMatch(verdict -> TAKEN_OUT.contains(verdict.word()))) {
            beginAnew(); // others have moved
        }
        return verdicts;
    }

    private void beginAnew() {
        met.clear();
        last = -1;
        lastFacet = "";
        served = 0;
    }

    /** To the end of the ring, from where the last walk has ended. */
    private Mono<Void> walk() {
        return Mono.defer(() -> {
            ended = false;
            return Mono.defer(() -> run(List.of("ring", last, lastFacet, A_PAGE)))
                    .doOnNext(this::meet)
                    .repeat(() -> !ended)
                    .then();
        });
    }

    private void meet(Reply page) {
        if (page.text(1).equals("LOST")) {
            beginAnew();
            ended = ++lost > MOST_LOST;
            return;
        }
        long from = page.number(2);
        served += last - from;
        last = from;
        for (int i = 3; i < page.size(); i++) {
            String facet = page.text(i);
            last = from + i - 2;
            lastFacet = facet;
            if (suspects.contains(facet)) {
                met.computeIfAbsent(facet, name -> new ArrayList<>(1)).add(last + served);
            }
        }
        ended = page.size() < 3 + A_PAGE;
    }

    private Mono<Reply> run(List<Object> words) {
        return redis.run(QueueScripts.JUDGE, List.of(unit.prefix()), Insight.args(words.toArray()));
    }
}
