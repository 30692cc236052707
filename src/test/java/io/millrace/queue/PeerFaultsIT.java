package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SHORT;
import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.redis.RedisSettings;
import io.millrace.testing.Eventually;
import io.millrace.testing.OwnRedis;
import io.millrace.testing.Stopwatch;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** What broke in other queues: P1 to P4, P8, P11 to P13. Caps (P9) are in CapsIT, rates (P10) in PoliciesIT and IdleReadersIT. */
class PeerFaultsIT {

    /** The most that one script may do, a few milliseconds; the largest has 2,300. */
    private static final long WORDS = 3_000;

    private OwnRedis redis;
    private QueueRig rig;

    /** What makes a queue count what is in flight, and how many messages a facet has then. */
    enum Counted {
        NOT(400),
        FOR_CAPS(200),
        FOR_STRICT_ORDER(25);

        private final int each;

        Counted(int each) {
            this.each = each;
        }

        private Mono<Void> set(Policies policies) {
            return switch (this) {
                case NOT -> Mono.empty();
                case FOR_CAPS -> policies.capEach(Cap.of(16));
                case FOR_STRICT_ORDER -> policies.order(Order.STRICT);
            };
        }
    }

    @BeforeEach
    void start() {
        redis = OwnRedis.start();
        rig = QueueRig.on(redis.uri(), "p");
    }

    @AfterEach
    void stop() {
        rig.close();
        redis.close();
    }

    @ParameterizedTest(name = "with caps and strict order: {0}")
    @ValueSource(booleans = {false, true})
    @Tag("P1")
    @DisplayName(
            "P1 whoever vanishes between two scripts leaves nothing stuck: every facet drains, the doctor repairs nothing")
    void vanishedConsumers(boolean policies) {
        if (policies) {
            rig.queue.policies().capEach(Cap.of(4)).block(SOON);
        }
        Checker checker = new Checker();
        for (int i = 0; i < 60; i++) {
            checker.attempted(event("f" + i % 6, "m" + i));
            rig.deliver("f" + i % 6, "m" + i);
            checker.acknowledged("m" + i);
        }
        LeaseOptions other = SHORT.mutate().lease(Duration.ofMillis(150)).build();
        List<Delivery> taken = new ArrayList<>(rig.lease(12, SHORT));
        taken.addAll(rig.lease(12, other));
        taken.forEach(one -> checker.handedOut(one.message(), one.receipt()));
        for (Delivery one : taken) { // vanished after each kind of call; a third right after the pull
            switch (Integer.parseInt(one.message().id().substring(1)) % 4) {
                case 0 -> {
                    Receipt before = one.receipt();
                    if (one.extend(Duration.ofMillis(120)).block(SOON)) {
                        checker.extended(before, one.receipt());
                    }
                }
                case 1 -> one.nack(Duration.ofMillis(30)).block(SOON);
                case 2 -> one.release().block(SOON);
                default -> {}
            }
            checker.explain(one.message().id(), Checker.Cause.FAILED);
        }
        rig.queue.receiveBatches(SHORT.mutate().batchSize(7).build()).take(2).blockLast(SOON);
        if (policies) {
            rig.queue.policies().order(Order.STRICT).block(SOON);
            rig.lease(12, SHORT).forEach(one -> {
                checker.handedOut(one.message(), one.receipt());
                checker.explain(one.message().id(), Checker.Cause.FAILED);
            });
        }
        Flux<Delivery> rest = rig.queue.receive(LONG).doOnNext(one -> checker.handedOut(one.message(), one.receipt()));
        Set<String> acked = ConcurrentHashMap.newKeySet();
        rest.flatMap(one -> one.ack().doOnNext(accepted -> {
                    checker.ackAnswered(one.receipt(), accepted);
                    acked.add(one.message().id());
                }))
                .takeUntil(accepted -> acked.size() == 60)
                .blockLast(SOON);
        checker.unordered().check();
        nothingStuck();
    }

    private void nothingStuck() {
        assertThat(rig.doctor().findings()).isEmpty();
        assertThat(rig.facets()).isEmpty();
        assertThat(rig.number("EXISTS", rig.key("busy"), rig.key("parked"))).isZero();
    }

    @ParameterizedTest(name = "{0}")
    @EnumSource
    @Tag("P2")
    @DisplayName(
            "P2 races of acknowledging, giving back, extending and expiring: what is counted in flight is what is in flight")
    void noCounterDrifts(Counted counted) {
        counted.set(rig.queue.policies()).block(SOON);
        rig.fill("a", counted.each);
        rig.fill("b", counted.each);
        Set<String> done = ConcurrentHashMap.newKeySet();
        AtomicInteger accepted = new AtomicInteger();
        rig.queue
                .receive(SHORT.mutate().maxAttempts(0).build())
                .flatMap(
                        one -> Mono.delay(Duration.ofMillis(one.message().hashCode() & 127))
                                .then(Mono.zip(one.ack(), one.nack(), one.ack(), one.extend()))
                                .doOnNext(answers -> {
                                    if (answers.getT1() || answers.getT3()) {
                                        accepted.incrementAndGet();
                                        done.add(one.message().id());
                                    }
                                    assertThat(answers.getT1() && answers.getT3())
                                            .isFalse();
                                }),
                        64)
                .takeUntil(tick -> done.size() == 2 * counted.each)
                .blockLast(Duration.ofSeconds(30));
        Eventually.await(
                "nothing in flight",
                SOON,
                () -> rig.lease(1, SHORT).isEmpty() && rig.facets().isEmpty());
        assertThat(accepted).hasValue(2 * counted.each);
        nothingStuck();
        assertThat(rig.doctor()).satisfies(report -> {
            assertThat(report.findings()).isEmpty();
            assertThat(report.inFlight() + report.waiting() + report.later()).isZero();
        });
    }

    @Test
    @Tag("P3")
    @DisplayName("P3 the head of a facet is removed by hand, or the whole facet: the next is served")
    void removedHead() {
        rig.deliver("a", "1", "2");
        rig.deliver("b", "3");
        rig.raw("LPOP", rig.key("f:a"));
        assertThat(rig.pullIds(1)).containsExactly("2");
        rig.deliver("c", "4");
        rig.raw("DEL", rig.key("f:b"));
        assertThat(rig.next(LONG).message().id()).isEqualTo("4");
        rig.deliver("b", "5");
        assertThat(rig.next(LONG).message().id()).isEqualTo("5");
    }

    @Test
    @Tag("P4")
    @DisplayName(
            "P4 20,000 leases end while their queue is paused: each script does a bounded part of the work, none is lost")
    void boundedWhilePaused() {
        for (int facet = 0; facet < 10; facet++) {
            rig.fill("f" + facet, 2_000);
        }
        rig.queue
                .policies()
                .capEach(Cap.of(3_000))
                .then(rig.queue.policies().pause("f0"))
                .block(SOON);
        LeaseOptions lease = SHORT.mutate().batchSize(256).build();
        rig.queue.receive(lease).take(18_000).blockLast(Duration.ofSeconds(60));
        rig.queue.policies().pause().block(SOON);
        ScriptWork work = ScriptWork.watch(rig, redis.uri());
        Eventually.await("all to come back", Duration.ofSeconds(30), () -> {
            assertThat(rig.lease(1, LONG)).isEmpty();
            return rig.number("XLEN", rig.key("l:" + SHORT.profile())) == 0;
        });
        rig.queue.policies().resume().block(SOON);
        assertThat(rig.queue.pull(18_000).count().block(Duration.ofSeconds(30))).isEqualTo(18_000);
        work.noneAbove(WORDS);
        work.close();
        rig.queue.policies().resume("f0").block(SOON);
        assertThat(rig.queue.pull(3_000).count().block(Duration.ofSeconds(30))).isEqualTo(2_000);
        nothingStuck();
    }

    @Test
    @Tag("P4")
    @DisplayName("P4 100,000 leases end at once: each script does a bounded part of the work")
    void boundedWork() {
        for (int facet = 0; facet < 10; facet++) {
            rig.fill("f" + facet, 10_000);
        }
        LeaseOptions lease = SHORT.mutate().batchSize(256).build();
        rig.queue.receive(lease).take(100_000).blockLast(Duration.ofSeconds(60));
        ScriptWork work = ScriptWork.watch(rig, redis.uri());
        rig.queue.receive(LONG).take(20_000).blockLast(Duration.ofSeconds(30));
        rig.queue.facets().blockLast(SOON);
        work.noneAbove(WORDS);
        work.close();
    }

    @Test
    @Tag("P13")
    @Tag("P4")
    @DisplayName(
            "P13 5,000 facets with every policy come and go: drained and free of policies, all is as it was before")
    void nothingIsLeftOfPolicies() {
        Set<String> before = Set.copyOf(rig.keys());
        Policies policies = rig.queue.policies();
        policies.capEach(Cap.of(2))
                .then(policies.rateEach(new Rate(1000, Duration.ofSeconds(1), 1000)))
                .then(policies.cost(Cost.BYTES))
                .then(policies.weight("f7", 3))
                .then(policies.rate("f8", Rate.perSecond(500)))
                .then(policies.pause("f9"))
                .block(SOON);
        rig.mill
                .queues()
                .deliverAll(Flux.range(0, 10_000)
                        .map(i -> event("f" + i % 5_000, "m" + i))
                        .collectList()
                        .block(SOON))
                .block(Duration.ofSeconds(30));
        ScriptWork work = ScriptWork.watch(rig, redis.uri());
        assertThat(rig.queue
                        .receive(LONG)
                        .take(9_998)
                        .flatMap(Delivery::ack, 200)
                        .filter(done -> done)
                        .count()
                        .block(Duration.ofSeconds(60)))
                .isEqualTo(9_998);
        work.noneAbove(WORDS);
        work.close();
        policies.capEach(Cap.NONE)
                .then(policies.rateEach(Rate.UNLIMITED))
                .then(policies.cost(Cost.MESSAGES))
                .then(policies.weight("f7", 1))
                .then(policies.rate("f8", Rate.UNLIMITED))
                .then(policies.resume("f9"))
                .block(SOON);
        assertThat(rig.pullIds(9)).hasSize(2);

        assertThat(rig.keys())
                .filteredOn(key -> !before.contains(key))
                .allMatch(key ->
                        rig.number("PTTL", key) > 0 || key.equals(rig.key("leases")) || key.startsWith(rig.key("l:")));
        assertThat(rig.number("XLEN", rig.key("l:" + LONG.profile()))).isZero();
        nothingStuck();
    }

    @Test
    @Tag("P8")
    @Tag("P7")
    @DisplayName(
            "P8 P7 one of two running consumers dies after taking messages: the other has them within a lease and a second")
    void theOtherConsumerRecovers() {
        LeaseOptions second = LONG.mutate().lease(Duration.ofSeconds(1)).build();
        rig.fill("a", 10);
        QueueRig dying = QueueRig.on(redis.uri(), "p");
        assertThat(dying.lease(10, second)).hasSize(10);
        dying.close();
        Stopwatch sinceDeath = Stopwatch.started();
        List<String> ids = Objects.requireNonNull(rig.queue
                .receive(second)
                .take(10)
                .map(one -> one.message().id())
                .collectList()
                .block(SOON));
        assertThat(sinceDeath.elapsed()).isLessThan(Duration.ofMillis(2_200));
        assertThat(ids).hasSize(10).startsWith("a-0", "a-1");
    }

    @Test
    @Tag("P11")
    @DisplayName("P11 20 facets flood, one is quiet: it has 1 of 21 turns from the first round on")
    void equalTurns() {
        for (int attacker = 0; attacker < 20; attacker++) {
            rig.fill("attacker" + attacker, 80);
        }
        rig.fill("quiet", 10);
        for (int round = 0; round < 10; round++) {
            List<Message> turn = rig.queue.pull(21).collectList().block(SOON);
            assertThat(turn).extracting(Message::facet).doesNotHaveDuplicates().contains("quiet");
            assertThat(turn.get(20).id()).isEqualTo("quiet-" + round);
        }
        assertThat(rig.queue.pull(20).map(Message::facet).collectList().block(SOON))
                .doesNotContain("quiet");
    }

    @Test
    @Tag("P12")
    @DisplayName("P12 200,000 of one facet, then one of another: it is next")
    void deepBacklog() {
        rig.fill("a", 200_000);
        rig.deliver("b", "1");
        assertThat(rig.pullIds(2)).containsExactly("a-0", "1");
    }

    @Test
    @Tag("P13")
    @DisplayName("P13 100,000 facets pass through: no key is left but the registration and ids that expire")
    void nothingIsLeft() {
        rig.close();
        QueueSettings brief = new QueueSettings(Duration.ofSeconds(10), 1 << 20, 20_000);
        rig = QueueRig.on(RedisSettings.builder(redis.uri()).namespace("p").build(), brief);
        for (int start = 0; start < 100_000; start += 10_000) {
            rig.mill
                    .queues()
                    .deliverAll(Flux.range(start, 10_000)
                            .map(i -> event("facet" + i, "m" + i))
                            .collectList()
                            .block(SOON))
                    .block(Duration.ofSeconds(30));
        }
        rig.lease(100, SHORT).forEach(one -> one.nack(Duration.ofMillis(1)).block(SOON));
        AtomicInteger taken = new AtomicInteger();
        rig.queue
                .receiveBatches(SHORT.mutate()
                        .batchSize(256)
                        .lease(Duration.ofSeconds(1))
                        .build())
                .concatMap(batch -> batch.ack().thenReturn(batch.messages().size()))
                .takeUntil(size -> taken.addAndGet(size) == 100_000)
                .blockLast(Duration.ofSeconds(60));
        Eventually.await(
                "forgotten leases",
                SOON,
                () -> rig.pullIds(1).isEmpty() && rig.keys().stream().noneMatch(key -> key.contains(":l:")));
        Map<String, Long> ttl =
                rig.keys().stream().collect(Collectors.toMap(key -> key, key -> rig.number("PTTL", key)));
        assertThat(ttl.keySet())
                .isSubsetOf(
                        "p:{registry}:queues",
                        "p:{registry}:version",
                        rig.key("ids"),
                        rig.key("ids.old"),
                        rig.key("ids.since"),
                        rig.key("dwell")) // figures, kept for a week
                .contains(rig.key("ids"));
        ttl.forEach((key, ms) -> {
            if (key.equals(rig.key("dwell"))) {
                assertThat(ms).as(key).isBetween(1L, Duration.ofDays(7).toMillis());
            } else if (!key.contains("registry")) {
                assertThat(ms).as(key).isBetween(1L, 40_000L);
            }
        });
    }
}
