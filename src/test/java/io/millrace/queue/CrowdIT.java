package io.millrace.queue;

import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Event;
import io.millrace.queue.Admission.Overflow;
import io.millrace.redis.RedisSettings;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import reactor.core.publisher.Mono;

/**
 * Random steps where nobody can say what comes next: many consumers that come and go, real time, costs in time, producers that wait. What
 * must hold all the same is looked at all the time: caps, rates and limits are kept, nothing is lost or handled twice, all of it drains.
 */
@RedisTest
class CrowdIT {

    private static final int PARTITIONS = 4;
    private static final int CAP_EACH = 3;
    private static final int LIMIT = 12;
    private static final Rate RATE = new Rate(100, Duration.ofSeconds(1), 5);
    private static final List<String> FACETS = List.of("a", "b", "c", "d", "e", "f");

    static Stream<Arguments> runs() {
        Long only = Long.getLong("model.seed");
        return IntStream.rangeClosed(1, only != null ? 1 : Integer.getInteger("model.seeds", 1))
                .mapToObj(seed -> only != null ? only : (long) seed)
                .flatMap(seed -> Stream.of(false, true).map(strict -> Arguments.of(seed, strict)));
    }

    private QueueRig rig;
    private Policies policies;
    private Crowd crowd;
    private Random random;
    private boolean strict;
    private int steps;
    private int delivered;
    private final AtomicInteger waiting = new AtomicInteger();

    @ParameterizedTest(name = "seed {0}, strict order: {1}")
    @MethodSource("runs")
    @Tag("F27")
    @Tag("P9")
    @Timeout(180)
    @DisplayName(
            "F27 P9 whatever a crowd does: caps, rates, limits and order are kept, nothing is lost, all of it drains")
    void keepsItsPromises(long seed, boolean strict, RedisServer server, @Namespace String namespace) {
        this.random = new Random(seed);
        this.strict = strict;
        RedisSettings settings = server.settings(namespace);
        try (QueueRig one = QueueRig.on(settings, PARTITIONS);
                QueueRig other = QueueRig.joining(settings, QueueSettings.defaults())) {
            rig = one;
            policies = rig.queue.policies();
            crowd = new Crowd(List.of(one, other), strict ? 300 : 500, random);
            begin();
            ModelRun.of(seed, PARTITIONS, this::step, this::look, this::drain);
        }
    }

    private void begin() {
        QueueOptions.Builder q = QueueOptions.builder().partitions(PARTITIONS);
        rig.mill
                .queues()
                .register(
                        "q",
                        ".*:q:.*",
                        strict
                                ? q.build()
                                : q.admission(Admission.of(LIMIT, Overflow.WAIT))
                                        .build())
                .then(rig.mill.queues().register("r", ".*:r:.*"))
                .then(strict ? policies.order(Order.STRICT) : policies.capEach(Cap.of(CAP_EACH)))
                .then(strict ? rig.mill.queue("r").policies().order(Order.STRICT) : Mono.empty())
                .then(rig.mill.queue("r").policies().rateEach(RATE))
                .then(rig.mill.queue("r").policies().capEach(Cap.of(2).whileOthersWait()))
                .block(SOON);
    }

    private String step() {
        int dice = random.nextInt(100);
        if (dice < 70) {
            return deliver();
        } else if (dice < 76) {
            return crowd.lease();
        } else if (dice < 84) {
            return crowd.come();
        } else if (dice < 90) {
            return crowd.go();
        }
        return policy();
    }

    /** One of each five is for "r", which has a rate. */
    private String deliver() {
        if (waiting.get() > 20) {
            return crowd.lease();
        }
        String facet = FACETS.get(random.nextInt(FACETS.size()));
        String queue = random.nextInt(5) == 0 ? "r" : "q";
        Event event = Event.of(facet, queue, "x").withId("m" + delivered++);
        waiting.incrementAndGet();
        crowd.checkers
                .get(queue)
                .delivering(event, rig.mill.deliver(event))
                .doFinally(end -> waiting.decrementAndGet())
                .subscribe();
        if (strict) { // one after the other, so that there is an order
            Eventually.await("the delivery", SOON, () -> waiting.get() == 0);
        }
        return "deliver " + event.id();
    }

    private String policy() {
        String facet = FACETS.get(random.nextInt(FACETS.size()));
        switch (random.nextInt(4)) {
            case 0 -> {
                double weight = List.of(0.5, 1.0, 3.0).get(random.nextInt(3));
                policies.weight(facet, weight).block(SOON);
                return "weight " + facet + " " + weight;
            }
            case 1 -> {
                boolean pause = random.nextInt(3) == 0;
                (pause ? policies.pause(facet) : policies.resume(facet)).block(SOON);
                return "pause " + facet + " " + pause;
            }
            case 2 -> {
                Cost cost = Cost.values()[random.nextInt(3)];
                policies.cost(cost)
                        .then(rig.mill.queue("r").policies().cost(cost))
                        .block(SOON);
                return "cost " + cost;
            }
            default -> {
                int cap = random.nextInt(3) * 8;
                policies.cap(cap == 0 ? Cap.NONE : Cap.of(cap)).block(SOON);
                return "cap " + cap;
            }
        }
    }

    private void look() {
        if (++steps % 5 > 0) {
            return;
        }
        assertThat(InFlight.look(rig).mostOfFacet()).isLessThanOrEqualTo(strict ? 1 : CAP_EACH);
        if (!strict) {
            for (String facet : FACETS) {
                assertThat(rig.number("LLEN", rig.key(rig.of(facet), "f:" + facet)))
                        .isLessThanOrEqualTo(LIMIT);
            }
        }
    }

    private void drain() {
        policies.cap(Cap.NONE).block(SOON);
        FACETS.forEach(facet -> policies.resume(facet).block(SOON));
        crowd.everybody();
        Eventually.await(
                "all to be handled",
                Duration.ofSeconds(60),
                () -> waiting.get() == 0
                        && crowd.checkers.values().stream()
                                .allMatch(checker -> checker.drained() && checker.allFinished()));
        look();
        crowd.allGo();
        crowd.checkers.values().forEach(checker -> (strict ? checker : checker.unordered()).check());
        rates();
        Eventually.await("nothing to be left", SOON, () -> rig.facets().isEmpty());
        for (String name : List.of("q", "r")) {
            FacetQueue queue = rig.mill.queue(name);
            assertThat(queue.doctor().block(SOON).findings()).isEmpty();
            Policies all = queue.policies();
            all.order(Order.FREE)
                    .then(all.capEach(Cap.NONE))
                    .then(all.rateEach(Rate.UNLIMITED))
                    .then(all.cost(Cost.MESSAGES))
                    .block(SOON);
            FACETS.forEach(facet -> all.weight(facet, 1).block(SOON));
            Eventually.await("a plain queue", SOON, () -> {
                queue.layout()
                        .now()
                        .block(SOON)
                        .all()
                        .forEach(one -> one.pulls().take(1).block(SOON));
                return rig.keys().stream()
                        .filter(key -> key.contains("{" + name + "/"))
                        .allMatch(key -> ModelRun.mayStay(key) || rig.number("PTTL", key) > 0);
            });
        }
    }

    /** In any time no more than a burst and what the rate lets through in it. */
    private void rates() {
        Map<String, List<Long>> times = crowd.handed.stream()
                .filter(one -> one.queue().equals("r"))
                .collect(Collectors.groupingBy(
                        Crowd.Handed::facet, Collectors.mapping(Crowd.Handed::at, Collectors.toList())));
        assertThat(times).isNotEmpty();
        times.forEach((facet, at) -> {
            at.sort(null);
            for (int from = 0; from < at.size(); from++) {
                for (int to = from; to < at.size(); to++) {
                    long allowed = RATE.burst() + (at.get(to) - at.get(from) + 1) * RATE.count() / 1000 + 1;
                    assertThat((long) to - from + 1)
                            .as("%s from %s to %s", facet, from, to)
                            .isLessThanOrEqualTo(allowed);
                }
            }
        });
    }
}
