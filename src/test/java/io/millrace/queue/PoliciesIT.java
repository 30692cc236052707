package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.millrace.Event;
import io.millrace.redis.PubSub;
import io.millrace.redis.Reply;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Weights, pauses, caps, rates and order of one queue. */
@RedisTest
class PoliciesIT {

    private QueueRig rig;
    private Policies policies;

    @BeforeEach
    void open(RedisServer server, @Namespace String namespace) {
        rig = QueueRig.on(server, namespace);
        policies = rig.queue.policies();
    }

    @AfterEach
    void close() {
        assertThat(rig.doctor().findings()).isEmpty();
        rig.close();
    }

    @Test
    @DisplayName("weights 3, 2 and 1 get shares of 3, 2 and 1, message by message, however many are pulled at a time")
    void shares() {
        fill("a", 120);
        fill("b", 120);
        fill("c", 120);
        policies.weight("a", 3).then(policies.weight("b", 2)).block(SOON);

        Map<String, Integer> counts = new HashMap<>();
        for (int n : List.of(1, 5, 7, 20, 1, 1, 1)) {
            count(rig.pullIds(n), counts);
        }

        assertThat(counts).isEqualTo(Map.of("a", 18, "b", 12, "c", 6));
    }

    @Test
    @DisplayName("weights are decimals: 2.5 against 1 is 25 against 10")
    void decimals() {
        fill("a", 100);
        fill("b", 100);
        policies.weight("a", 2.5).block(SOON);

        Map<String, Integer> counts = new HashMap<>();
        count(rig.pullIds(35), counts);

        assertThat(counts).isEqualTo(Map.of("a", 25, "b", 10));
    }

    @Test
    @DisplayName(
            "S13 equal weights take turns exactly as without: in the order of arrival, also for newcomers and who comes back")
    void equalWeights() {
        policies.weight("unrelated", 5).block(SOON);
        rig.deliver("b", "b1", "b2");
        rig.deliver("a", "a1", "a2");
        rig.deliver("c", "c1");

        assertThat(rig.pullIds(1)).containsExactly("b1");
        rig.deliver("d", "d1");
        assertThat(rig.pullIds(2)).containsExactly("a1", "c1");
        rig.deliver("c", "c2");
        assertThat(rig.pullIds(9)).containsExactly("b2", "d1", "a2", "c2");
    }

    @Test
    @DisplayName("a facet that was away gains no advantage when it comes back")
    void noAdvantage() {
        policies.weight("x", 2).block(SOON);
        fill("busy", 60);
        assertThat(rig.pullIds(30)).hasSize(30);
        fill("away", 30);

        Map<String, Integer> counts = new HashMap<>();
        count(rig.pullIds(20), counts);

        assertThat(counts).isEqualTo(Map.of("b", 10, "a", 10));
    }

    @Test
    @DisplayName("S6 weight 0 is in force for the next pull, and so is its end")
    void weightZero() {
        fill("a", 10);
        policies.weight("a", 5).block(SOON);
        assertThat(rig.pullIds(2)).hasSize(2);

        policies.weight("a", 0).block(SOON);
        assertThat(rig.pullIds(5)).isEmpty();
        rig.deliver("a", "late");
        assertThat(rig.pullIds(5)).isEmpty();

        policies.resume("a").block(SOON);
        assertThat(rig.pullIds(20)).hasSize(9).endsWith("late");
    }

    @Test
    @DisplayName("a pause holds for facets that do not exist yet, and of the whole queue")
    void pauses() {
        policies.pause("new").block(SOON);
        rig.deliver("new", "n1");
        rig.deliver("other", "o1", "o2");
        assertThat(rig.pullIds(1)).containsExactly("o1");

        policies.pause().block(SOON);
        assertThat(rig.pullIds(5)).isEmpty();
        assertThat(policies.show().block(SOON).paused()).isTrue();
        policies.resume().block(SOON);
        assertThat(rig.pullIds(5)).containsExactly("o2");

        policies.resume("new").block(SOON);
        assertThat(rig.pullIds(5)).containsExactly("n1");
    }

    @Test
    @DisplayName("a weight of 0 holds for a facet that does not exist yet, until it has another")
    void weightZeroOfNobody() {
        policies.weight("new", 0).block(SOON);
        rig.deliver("new", "n1");
        rig.deliver("other", "o1");
        assertThat(rig.pullIds(5)).containsExactly("o1");

        policies.weight("new", 2).block(SOON);
        assertThat(rig.pullIds(5)).containsExactly("n1");
    }

    @Test
    @DisplayName("S3 a facet that is resumed while it is empty makes no empty pull")
    void resumedEmpty() {
        policies.pause("empty").block(SOON);
        policies.resume("empty").block(SOON);
        rig.deliver("b", "b1");

        assertThat(rig.pullIds(1)).containsExactly("b1");
    }

    @Test
    @DisplayName("S4 a cap of 1 leases 1, however many are asked for")
    void capOfOne() {
        fill("a", 5);
        fill("b", 5);
        policies.cap("a", Cap.of(1)).block(SOON);

        List<Delivery> taken = rig.lease(5, LONG);
        assertThat(ids(taken)).containsExactly("a-0", "b-0", "b-1", "b-2", "b-3");
        assertThat(rig.lease(5, LONG)).hasSize(1);

        assertThat(taken.get(0).ack().block(SOON)).isTrue();
        assertThat(ids(rig.lease(5, LONG))).containsExactly("a-1");
    }

    @Test
    @DisplayName("a cap counts what was in flight before it was set, and leases of any kind")
    void capCountsAll() {
        fill("a", 50);
        List<Delivery> before = rig.lease(3, LONG);
        DeliveryBatch batch = rig.queue
                .receiveBatches(LONG.mutate().batchSize(4).build())
                .take(1)
                .blockLast(SOON);
        policies.cap("a", Cap.of(8)).block(SOON);

        assertThat(rig.lease(5, LONG)).hasSize(1);
        assertThat(rig.lease(5, LONG)).isEmpty();
        assertThat(before.get(0).extend().block(SOON)).isTrue();
        assertThat(rig.lease(5, LONG)).isEmpty();
        assertThat(batch.nack(List.of(0), Duration.ZERO).block(SOON)).isTrue();
        assertThat(rig.lease(5, LONG)).hasSize(4);
        assertThat(before.get(0).ack().block(SOON)).isTrue();
        assertThat(before.get(1).nack().block(SOON)).isTrue();
        assertThat(rig.lease(5, LONG)).hasSize(2);
    }

    @Test
    @DisplayName("the cap of a queue holds over all its facets; a lease that expires makes room")
    void capOfQueue() {
        fill("a", 5);
        fill("b", 5);
        policies.cap(Cap.of(3)).block(SOON);

        assertThat(rig.lease(2, LONG.mutate().lease(Duration.ofMillis(100)).build()))
                .hasSize(2);
        assertThat(rig.lease(9, LONG)).hasSize(1);
        assertThat(rig.lease(9, LONG)).isEmpty();
        Eventually.await("the leases to end", SOON, () -> rig.lease(1, LONG).size() == 1);
        assertThat(rig.inFlight()).isEqualTo(2);
    }

    @Test
    @DisplayName("a reader that waits because a queue is at its cap goes on when a lease of another ends")
    void capOfQueueWakes() {
        fill("a", 5);
        policies.cap(Cap.of(2)).block(SOON);
        List<Delivery> held = rig.lease(2, LONG);
        LeaseOptions patient =
                LONG.mutate().pollInterval(Duration.ofSeconds(30)).build();

        Mono<Delivery> reader = rig.queue.receive(patient).next();
        Mono<Boolean> end = Mono.delay(Duration.ofMillis(500)).then(held.get(0).ack());
        assertThat(Mono.zip(reader, end).block(SOON).getT1().message().id()).isEqualTo("a-2");
    }

    @Test
    @DisplayName("an elastic cap holds while others wait, and not when nobody does")
    void elastic() {
        fill("a", 20);
        fill("b", 4);
        policies.cap("a", Cap.of(2).whileOthersWait()).block(SOON);

        assertThat(ids(rig.lease(5, LONG))).containsExactly("a-0", "b-0", "a-1", "b-1", "b-2");
        assertThat(ids(rig.lease(3, LONG))).containsExactly("b-3", "a-2", "a-3");
        fill("c", 2);
        assertThat(ids(rig.lease(4, LONG))).containsExactly("c-0", "c-1", "a-4", "a-5");
    }

    @Test
    @DisplayName("facets above elastic caps take turns in one order, round after round")
    void elasticTurns() {
        policies.capEach(Cap.of(1).whileOthersWait()).block(SOON);
        for (String facet : List.of("a", "b", "c", "d")) {
            fill(facet, 3);
        }

        assertThat(ids(rig.lease(4, LONG))).containsExactly("a-0", "b-0", "c-0", "d-0");
        assertThat(ids(rig.lease(4, LONG))).containsExactly("a-1", "b-1", "c-1", "d-1");
        assertThat(ids(rig.lease(4, LONG))).containsExactly("a-2", "b-2", "c-2", "d-2");
    }

    @Test
    @DisplayName("P10 a throttled facet delays no other, and is served at its rate")
    void rates() {
        policies.rate("slow", Rate.of(10, Duration.ofSeconds(1))).block(SOON);
        fill("slow", 10);
        fill("fast", 200);
        long began = System.nanoTime();

        assertThat(ids(rig.lease(6, LONG))).containsExactly("slow-0", "fast-0", "fast-1", "fast-2", "fast-3", "fast-4");
        List<Long> times = rig.queue
                .receive(LONG)
                .filter(delivery -> delivery.message().facet().equals("slow"))
                .take(5)
                .map(delivery -> (System.nanoTime() - began) / 1_000_000)
                .collectList()
                .block(SOON);

        assertThat(times.get(4)).isBetween(490L, 3_000L);
        for (int i = 0; i < 5; i++) {
            assertThat(times.get(i)).as("slow message " + (i + 2)).isGreaterThanOrEqualTo(100L * (i + 1) - 10);
        }
        policies.rate("slow", Rate.UNLIMITED).block(SOON);
        assertThat(rig.lease(250, LONG)).hasSizeGreaterThan(3);
    }

    @Test
    @DisplayName("P10 while a facet is throttled nobody spins: the next pull comes when it may go on")
    void noSpinning() {
        policies.rateEach(new Rate(1, Duration.ofSeconds(2), 1)).block(SOON);
        fill("a", 3);
        rig.queue.receive(LONG).take(1).blockLast(SOON);
        long before = calls();

        rig.queue.receive(LONG).take(1).blockLast(SOON);

        assertThat(calls() - before).isLessThan(12);
    }

    @Test
    @DisplayName(
            "P10 who pulls for good, or got all he asked for, and leaves tells idle readers of the facet he has throttled")
    void tellsOfThrottled() {
        policies.rate("a", new Rate(1, Duration.ofSeconds(5), 1)).block(SOON);
        AtomicInteger nudges = new AtomicInteger();
        try (PubSub.Attachment attached = rig.mill
                .redis()
                .pubSub()
                .attach(Leases.bytes(rig.key("wake")), false, signal -> nudges.incrementAndGet())) {
            assertThat(attached).isNotNull();
            Eventually.await("word of deliveries", SOON, () -> {
                rig.deliver("b", "warm" + System.nanoTime());
                rig.pullIds(9);
                return nudges.get() > 1;
            });
            fill("a", 3);
            Eventually.await("word of what was delivered to be over", SOON, () -> {
                int before = nudges.getAndSet(0);
                rig.raw("PING");
                return before == 0;
            });

            assertThat(rig.pullIds(2)).containsExactly("a-0");
            Eventually.await("word of the throttled facet", SOON, () -> nudges.get() > 0);

            rig.deliver("b", "b1");
            policies.rate("b", new Rate(1, Duration.ofSeconds(2), 1)).block(SOON);
            rig.deliver("b", "b2");
            Eventually.await("word of what was delivered to be over", SOON, () -> {
                int before = nudges.getAndSet(0);
                rig.raw("PING");
                return before == 0;
            });
            assertThat(ids(rig.lease(1, LONG))).as("all he asked for").containsExactly("b1");
            Eventually.await("word of the throttled facet, earlier than the other", SOON, () -> nudges.get() > 0);
        }
    }

    @Test
    @DisplayName("the rate of a queue holds over all its facets")
    void rateOfQueue() {
        policies.rate(new Rate(20, Duration.ofSeconds(1), 5)).block(SOON);
        fill("a", 20);
        fill("b", 20);

        assertThat(rig.lease(9, LONG)).hasSize(5);
        long began = System.nanoTime();
        rig.queue.receive(LONG).take(10).blockLast(SOON);
        assertThat(Duration.ofNanos(System.nanoTime() - began)).isGreaterThan(Duration.ofMillis(430));
    }

    @Test
    @DisplayName("strict order: a failing head blocks its facet, and only that; nothing of a facet overtakes")
    void strict() {
        policies.order(Order.STRICT).block(SOON);
        fill("a", 3);
        fill("b", 2);

        List<Delivery> first = rig.lease(9, LONG);
        assertThat(ids(first)).containsExactly("a-0", "b-0");
        assertThat(first.get(0).nack(Duration.ofMillis(300)).block(SOON)).isTrue();
        assertThat(first.get(1).ack().block(SOON)).isTrue();
        assertThat(ids(rig.lease(9, LONG))).containsExactly("b-1");
        Delivery again = rig.next(LONG);
        assertThat(again.message().id()).isEqualTo("a-0");
        assertThat(again.message().attempt()).isEqualTo(2);
        assertThat(again.bury("poison").block(SOON)).isTrue();
        assertThat(ids(rig.lease(9, LONG))).containsExactly("a-1");
    }

    @Test
    @DisplayName(
            "P24 after the head of a strict facet became a dead letter the next one is served, also when it was the last")
    void strictAfterDeath() {
        policies.order(Order.STRICT).block(SOON);
        rig.deliver("a", "a1");
        assertThat(rig.next(LONG).bury("poison").block(SOON)).isTrue();
        rig.deliver("a", "a2");

        assertThat(rig.next(LONG).message().id()).isEqualTo("a2");
    }

    @Test
    @DisplayName("cost in bytes: a facet with messages ten times the size gets a tenth of them")
    void bytes() {
        policies.cost(Cost.BYTES).block(SOON);
        List<Event> events = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            events.add(QueueRig.event("small", "s" + i).withData("x".repeat(900)));
            events.add(QueueRig.event("large", "l" + i).withData("x".repeat(9_900)));
        }
        rig.mill.queues().deliverAll(events).block(SOON);

        List<String> got = new ArrayList<>();
        for (int i = 0; i < 55; i++) {
            got.addAll(rig.pullIds(1));
        }

        assertThat(got.stream().filter(id -> id.startsWith("l")).count()).isBetween(4L, 7L);
    }

    @Test
    @DisplayName("cost in time: a facet whose messages take ten times as long gets about a tenth of them")
    void time() {
        policies.cost(Cost.TIME).block(SOON);
        fill("quick", 100);
        fill("slow", 100);
        Map<String, Integer> counts = new HashMap<>();

        for (int i = 0; i < 44; i++) {
            Delivery one = rig.lease(1, LONG).get(0);
            counts.merge(one.message().facet(), 1, Integer::sum);
            boolean slow = one.message().facet().equals("slow");
            Mono.delay(Duration.ofMillis(slow ? 50 : 5)).then(one.ack()).block(SOON);
        }

        assertThat(counts.get("slow")).isBetween(2, 9);
    }

    @Test
    @DisplayName("P13 a queue whose policies were all taken away is a plain one again and leaves no key behind")
    void plainAgain() {
        policies.weight("a", 2)
                .then(policies.capEach(Cap.of(5)))
                .then(policies.rateEach(Rate.perSecond(1000)))
                .then(policies.pause("b"))
                .block(SOON);
        fill("a", 20);
        fill("b", 20);
        List<Delivery> held = rig.lease(9, LONG);
        assertThat(held).hasSize(5);
        PolicySettings shown = policies.show().block(SOON);
        assertThat(shown.capEach()).isEqualTo(Cap.of(5));
        assertThat(shown.rateEach()).isEqualTo(Rate.perSecond(1000));
        assertThat(shown.facets()).containsOnlyKeys("a", "b");
        policies.weight("a", 1)
                .then(policies.capEach(Cap.NONE))
                .then(policies.rateEach(Rate.UNLIMITED))
                .then(policies.resume("b"))
                .block(SOON);
        assertThat(policies.show().block(SOON).isPlain()).isTrue();

        held.forEach(one -> one.ack().block(SOON));
        Eventually.await("the queue to be plain", Duration.ofSeconds(20), () -> {
            rig.lease(20, LONG).forEach(one -> one.ack().block(SOON));
            return rig.number("EXISTS", rig.key("policy")) == 0;
        });
        for (String part : List.of("fair", "place", "parked", "throttled", "buckets", "hold", "debts", "busy")) {
            assertThat(rig.number("EXISTS", rig.key(part))).as(part).isZero();
        }
    }

    @Test
    @Tag("P13")
    @DisplayName(
            "P13 a queue whose policies were all taken away is a plain one again although it is never empty, in the same order")
    void plainAgainWithBacklog() {
        policies.weight("f7", 4)
                .then(policies.capEach(Cap.of(2)))
                .then(policies.pause("f9"))
                .block(SOON);
        fillFacets(90, 5);
        List<Delivery> held = rig.lease(130, LONG);
        policies.weight("f7", 1)
                .then(policies.capEach(Cap.NONE))
                .then(policies.resume("f9"))
                .block(SOON);
        rig.deliver("new", "n0", "n1", "n2", "n3", "n4");
        assertThat(rig.number("ZCARD", rig.key("fair")) + rig.number("ZCARD", rig.key("parked")))
                .isPositive();
        List<String> order = rig.queue.peek(200).map(Message::id).collectList().block(SOON);

        List<String> got = new ArrayList<>();
        while (rig.number("EXISTS", rig.key("policy")) == 1) {
            got.addAll(rig.pullIds(7));
            assertThat(got).hasSizeLessThan(150);
        }
        got.addAll(rig.pullIds(40));

        assertThat(got).isEqualTo(order.subList(0, got.size()));
        assertThat(rig.waiting()).isGreaterThan(100);
        for (String part : List.of("fair", "place", "parked", "throttled", "buckets", "hold", "debts", "busy")) {
            assertThat(rig.number("EXISTS", rig.key(part))).as(part).isZero();
        }
        assertThat(held).allMatch(one -> one.ack().block(SOON));
        assertThat(rig.pullIds(1000).size() + got.size() + held.size()).isEqualTo(450 + 5);
    }

    @Test
    @DisplayName("a cap set again while a queue becomes plain counts every lease")
    void cappedAgain() {
        policies.capEach(Cap.of(3)).block(SOON);
        fillFacets(20, 9);
        assertThat(rig.lease(40, LONG)).hasSize(40);
        policies.capEach(Cap.NONE).block(SOON);
        assertThat(rig.lease(3, LONG)).hasSize(3);

        policies.capEach(Cap.of(3)).block(SOON);

        assertThat(rig.lease(100, LONG)).hasSize(60 - 43);
        assertThat(rig.facets()).allMatch(facet -> facet.inFlight() == 3);
    }

    @Test
    @DisplayName(
            "what is pulled for good is never in flight: a cap holds it back only while leases fill it, and nothing stays behind")
    void capAndPullsForGood() {
        fill("a", 9);
        policies.cap("a", Cap.of(2)).block(SOON);
        assertThat(rig.pullIds(3)).hasSize(3);
        assertThat(rig.pullIds(1)).containsExactly("a-3");

        List<Delivery> held = rig.lease(5, LONG);
        assertThat(held).hasSize(2);
        assertThat(rig.pullIds(1)).isEmpty();
        assertThat(held.get(0).ack().block(SOON)).isTrue();
        assertThat(rig.pullIds(9)).containsExactly("a-6", "a-7", "a-8");
    }

    private void run(Object... words) {
        rig.mill
                .redis()
                .run(QueueScripts.POLICY, List.of(Leases.bytes(rig.key(""))), Insight.args(words))
                .block(SOON);
    }

    private void fillFacets(int facets, int each) {
        List<Event> events = new ArrayList<>();
        for (int i = 0; i < facets * each; i++) {
            events.add(QueueRig.event("f" + i / each, "m" + i));
        }
        rig.mill.queues().deliverAll(events).block(SOON);
    }

    @Test
    @DisplayName("P10 an idle reader of a queue with a rate does not spin")
    void idleUnderRate() {
        policies.rate(Rate.perSecond(100)).block(SOON);
        long before = calls();

        rig.queue.receive(LONG).take(Duration.ofMillis(500)).blockLast(SOON);

        assertThat(calls() - before).isLessThan(12);
    }

    @Test
    @DisplayName("a rate that was slow keeps nobody waiting any longer when it is made fast")
    void fasterRate() {
        policies.rate(new Rate(1, Duration.ofDays(1), 1))
                .then(policies.rate("a", new Rate(1, Duration.ofDays(1), 1)))
                .block(SOON);
        fill("a", 3);
        assertThat(rig.lease(3, LONG)).hasSize(1);

        policies.rate(Rate.perSecond(100))
                .then(policies.rate("a", Rate.perSecond(100)))
                .block(SOON);

        assertThat(rig.queue.receive(LONG).take(2).collectList().block(SOON)).hasSize(2);
    }

    @Test
    @DisplayName("a change for each facet reaches all that stand aside, however many they are")
    void manyReleased() {
        policies.rateEach(new Rate(1, Duration.ofDays(1), 1)).block(SOON);
        fillFacets(600, 2);
        assertThat(rig.pullIds(1000)).hasSize(600);

        policies.rateEach(Rate.UNLIMITED).block(SOON);

        assertThat(rig.queue.receive(LONG).take(600).count().block(SOON)).isEqualTo(600);
    }

    @Test
    @DisplayName("S3 any number of paused facets in front hide nobody behind them")
    void manyPausedInFront() {
        Flux.range(0, 300).concatMap(i -> policies.pause("f" + i)).blockLast(SOON);
        fillFacets(300, 1);
        rig.deliver("z", "z1");

        assertThat(rig.pullIds(1)).containsExactly("z1");
    }

    @Test
    @DisplayName("a queue does not become plain while a cap is being set: every lease is counted")
    void plainWhileTracked() {
        run("track", "", "-");
        assertThat(rig.pullIds(1)).isEmpty();
        run("set", "", "0", "each.cap", "1");
        fill("a", 3);

        List<Delivery> first = rig.lease(2, LONG);
        assertThat(first).hasSize(1);
        assertThat(rig.lease(2, LONG)).isEmpty();
        assertThat(first.get(0).ack().block(SOON)).isTrue();
        assertThat(rig.lease(2, LONG)).hasSize(1);
    }

    private int pulledAtOnce() {
        Reply reply = rig.mill
                .redis()
                .run(
                        QueueScripts.PULL,
                        List.of(Leases.bytes(rig.key(""))),
                        Insight.args(256, "take", LONG.profile(), "0"))
                .block(SOON);
        assertThat(reply.number(1)).as("0: look again").isZero();
        return reply.size() - 4;
    }

    @Test
    @Tag("P4")
    @DisplayName("P4 one call takes fewer messages where each costs more, and says so; who asks for all gets all")
    void sizeOfCalls() {
        fill("a", 900);
        rig.lease(256, LONG).forEach(one -> one.release().block(SOON));
        assertThat(pulledAtOnce()).as("what came back").isEqualTo(128);
        assertThat(rig.lease(256, LONG)).hasSize(256);
        policies.weight("a", 2).block(SOON);
        assertThat(pulledAtOnce()).as("with policies").isEqualTo(64);
        assertThat(rig.lease(256, LONG)).hasSize(256);
        assertThat(rig.queue.pull(500).count().block(SOON)).isEqualTo(900 - 128 - 256 - 64 - 256);
    }

    @Test
    @DisplayName("a lease that is extended for another time while a cap is being set is counted")
    void extendedWhileTracked() {
        fill("a", 3);
        List<Delivery> held = rig.lease(2, LONG);
        run("track", "", "-");
        assertThat(held.get(0).extend(Duration.ofMinutes(7)).block(SOON)).isTrue();
        run("track", LONG.profile(), "-");
        run("set", "", "0", "each.cap", "2");

        assertThat(rig.lease(1, LONG)).isEmpty();
        assertThat(rig.doctor().findings()).isEmpty();
        assertThat(held.get(0).ack().block(SOON)).isTrue();
        assertThat(rig.lease(2, LONG)).hasSize(1);
    }

    @Test
    @DisplayName("Q7 the doctor counts what is in flight and did not count, in leases of one message and of many")
    void doctorCounts() {
        policies.capEach(Cap.of(4)).block(SOON);
        fill("a", 9);
        rig.lease(1, LONG);
        DeliveryBatch batch =
                rig.queue.receiveBatches(LONG.mutate().batchSize(2).build()).blockFirst(SOON);
        assertThat(batch.messages()).hasSize(2);
        assertThat(rig.doctor().findings()).isEmpty();
        rig.raw("DEL", rig.key("busy"));

        assertThat(rig.doctor().findings())
                .containsExactly(new DoctorReport.Finding(DoctorReport.Kind.MISCOUNTED, LONG.profile(), 3));
        assertThat(rig.doctor().findings()).isEmpty();
        assertThat(rig.lease(9, LONG)).hasSize(1);
    }

    @Test
    @DisplayName("strict order: what is held back stays so when another policy changes")
    void strictHoldSurvives() {
        policies.order(Order.STRICT).block(SOON);
        fill("a", 1);
        assertThat(rig.lease(1, LONG).get(0).nack(Duration.ofHours(1)).block(SOON))
                .isTrue();

        policies.weight("a", 2).then(policies.rateEach(Rate.perSecond(1000))).block(SOON);

        assertThat(rig.lease(1, LONG)).isEmpty();
    }

    @Test
    @DisplayName("Q7 the doctor that forgets a lease which is not there lets its facet go on")
    void doctorFreesFacet() {
        policies.capEach(Cap.of(1)).block(SOON);
        fill("a", 2);
        Delivery lost = rig.lease(2, LONG).get(0);
        rig.raw("XDEL", rig.key("l:" + LONG.profile()), lost.receipt().entry());
        assertThat(rig.lease(1, LONG)).isEmpty();

        assertThat(rig.doctor().findings()).hasSize(1);
        assertThat(ids(rig.lease(1, LONG))).containsExactly("a-1");
    }

    @Test
    @DisplayName("cost in time: a lease that was extended is paid from its beginning")
    void timeOfExtended() {
        policies.cost(Cost.TIME).block(SOON);
        fill("quick", 100);
        fill("slow", 100);
        Map<String, Integer> counts = new HashMap<>();

        for (int i = 0; i < 33; i++) {
            Delivery one = rig.lease(1, LONG).get(0);
            counts.merge(one.message().facet(), 1, Integer::sum);
            boolean slow = one.message().facet().equals("slow");
            Mono.delay(Duration.ofMillis(slow ? 50 : 5))
                    .then(Mono.defer(() -> slow ? one.extend() : Mono.just(true)))
                    .then(Mono.defer(one::ack))
                    .block(SOON);
        }

        assertThat(counts.get("slow")).isBetween(2, 9);
    }

    @Test
    @DisplayName("a cap that is elastic no more holds for the next pull")
    void elasticNoMore() {
        fill("a", 9);
        policies.capEach(Cap.of(2).whileOthersWait()).block(SOON);
        assertThat(rig.lease(4, LONG)).hasSize(4);

        run("set", "", "0", "each.cap", "2"); // as the next pull may find it, before facets are judged anew

        assertThat(rig.lease(4, LONG)).isEmpty();
    }

    @Test
    @DisplayName(
            "resuming a facet, and showing what is set for it, looks at that facet only, however many have policies")
    void looksAtOne() {
        Flux.range(0, 600)
                .concatMap(i -> policies.weight("other" + i, 2))
                .then(policies.weight("a", 0))
                .block(SOON);
        long looks = scans();
        policies.resume("a").then(policies.resume("other1")).block(SOON);
        policies.cap(Cap.of(7)).then(policies.order(Order.STRICT)).block(SOON);
        PolicySettings one = policies.show("other1").block(SOON);
        PolicySettings none = policies.show("a").block(SOON);
        assertThat(scans()).isEqualTo(looks);
        PolicySettings all = policies.show().block(SOON);
        assertThat(all.facets()).hasSize(600).doesNotContainKey("a");
        assertThat(all.facets().get("other1").weight()).isEqualTo(2);
        assertThat(one.facets()).isEqualTo(Map.of("other1", all.facets().get("other1")));
        assertThat(none.facets()).isEmpty();
        assertThat(List.of(one.cap(), one.order(), none.cap(), none.order()))
                .containsExactly(Cap.of(7), Order.STRICT, Cap.of(7), Order.STRICT);
    }

    private long scans() {
        return rig.raw("INFO", "commandstats")
                .text(0)
                .lines()
                .filter(line -> line.startsWith("cmdstat_hscan:"))
                .mapToLong(line -> Long.parseLong(line.replaceAll(".*:calls=(\\d+),.*", "$1")))
                .sum();
    }

    @Test
    @DisplayName("a facet whose policies change before each of its turns gets its turns all the same")
    void changedAllTheTime() {
        policies.rate("b", Rate.perSecond(100_000)).block(SOON);
        for (String facet : List.of("a", "b", "c")) {
            rig.fill(facet, 30);
        }
        for (Change change : Change.values()) {
            List<String> turns = new ArrayList<>();
            for (int i = 0; i < 15; i++) {
                change.make(policies, i).block(SOON);
                turns.add(rig.queue.pull().map(Message::facet).block(SOON));
            }
            assertThat(Collections.frequency(turns, "b"))
                    .as("%s: %s", change, turns)
                    .isBetween(4, 6);
        }
    }

    private enum Change {
        RATE,
        CAP,
        LIMIT,
        WEIGHT,
        PAUSE;

        Mono<Void> make(Policies policies, int i) {
            return switch (this) {
                case RATE -> policies.rate("b", Rate.perSecond(100_000 + i));
                case CAP -> policies.cap("b", Cap.of(100 + i));
                case LIMIT -> policies.limitWaiting("b", 100 + i);
                case WEIGHT -> policies.weight("b", 1 + i % 2 / 10.0);
                case PAUSE -> policies.pause("b").then(policies.resume("b"));
            };
        }
    }

    @Test
    @DisplayName("a facet with another weight waits as much less, or more, for its next turn as it is worth")
    void anotherWeight() {
        policies.weight("slow", 0.1).block(SOON);
        rig.deliver("slow", "slow-0");
        rig.fill("a", 30);
        assertThat(rig.pullIds(5)).doesNotContain("slow-0");
        policies.weight("slow", 0.5).block(SOON); // the other half of ten turns are one now
        assertThat(rig.pullIds(1)).containsExactly("slow-0");
    }

    @Test
    @DisplayName("a weight that is 1 when it is rounded is none")
    void roundedToOne() {
        policies.weight("a", 0.9996).then(policies.weight("b", 1.0004)).block(SOON);
        assertThat(policies.show().block(SOON).isPlain()).isTrue();
        assertThat(rig.number("EXISTS", rig.key("policy"))).isZero();
        policies.weight("a", 0.9994).block(SOON);
        assertThat(policies.show().block(SOON).facets().get("a").weight()).isEqualTo(0.999);
    }

    @Test
    @DisplayName("what is out of range is refused and named")
    void refused() {
        assertThatThrownBy(() -> policies.weight("a", -1))
                .hasMessageContaining("weight")
                .hasMessageContaining("-1");
        assertThatThrownBy(() -> policies.weight("a", Double.NaN)).hasMessageContaining("NaN");
        assertThatThrownBy(() -> Cap.of(0)).hasMessageContaining("cap");
        assertThatThrownBy(() -> Rate.parse("fast"))
                .hasMessageContaining("fast")
                .hasMessageContaining("10/s");
        for (String nothing : List.of("0", "0/s", "0/10s burst 3")) {
            assertThatThrownBy(() -> Rate.parse(nothing))
                    .hasMessageContaining("pause")
                    .hasMessageContaining("none");
        }
        assertThatThrownBy(() -> policies.cap(Cap.of(1).whileOthersWait())).hasMessageContaining("elastic");
    }

    private long calls() {
        String stats = rig.raw("INFO", "commandstats").text(0);
        return Pattern.compile("cmdstat_evalsha:calls=(\\d+)")
                .matcher(stats)
                .results()
                .mapToLong(match -> Long.parseLong(match.group(1)))
                .sum();
    }

    private void fill(String facet, int count) {
        rig.fill(facet, count);
    }

    private static void count(List<String> ids, Map<String, Integer> counts) {
        ids.forEach(id -> counts.merge(id.substring(0, 1), 1, Integer::sum));
    }

    private static List<String> ids(List<Delivery> deliveries) {
        return deliveries.stream().map(one -> one.message().id()).toList();
    }
}
