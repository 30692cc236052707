package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Event;
import io.millrace.redis.Reply;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Where something is just enough, just over, or more than one call looks at. */
@RedisTest
class EdgesIT {

    private static final Duration DAY = Duration.ofDays(1);
    private static final int MANY = 1_100; // more than one call visits, although it looks twice

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
    @DisplayName("what is in flight of others fills nobody's cap, also where it would leave just what is asked for")
    void justEnough() {
        policies.cap("a", Cap.of(3)).block(SOON);
        rig.deliver("b", "b");
        assertThat(rig.lease(1, LONG)).hasSize(1);
        rig.fill("a", 5);

        assertThat(rig.lease(2, LONG)).hasSize(2);
        assertThat(rig.lease(1, LONG)).hasSize(1);
        assertThat(rig.lease(1, LONG)).isEmpty();
    }

    @Test
    @DisplayName("a facet that has used up its burst goes on after the time of one message, not of the burst")
    void afterTheBurst() {
        policies.rate("a", new Rate(5, DAY, 5)).block(SOON);
        rig.fill("a", 9);
        long before = serverMillis();
        assertThat(rig.pullIds(9)).hasSize(5);

        double until =
                Double.parseDouble(rig.raw("ZSCORE", rig.key("throttled"), "a").text(0));
        assertThat(until - DAY.toMillis() / 5.0).isBetween((double) before, (double) serverMillis() + 1);
    }

    @Test
    @DisplayName("a queue that has used up its burst tells who waits the time of one message, not of the burst")
    void afterTheBurstOfTheQueue() {
        policies.rate(new Rate(5, DAY, 5)).block(SOON);
        rig.fill("a", 9);
        Partition only = rig.queue.layout().now().block(SOON).all().get(0);
        Pulls.Pulled<Message> pulled = only.pulls().take(9).block(SOON);

        assertThat(pulled.items()).hasSize(5);
        assertThat(pulled.waitMs()).isBetween(DAY.toMillis() / 5 - SOON.toMillis(), DAY.toMillis() / 5);
    }

    @Test
    @DisplayName("S3 any number of facets at their caps hide nobody behind them")
    void manyAtTheirCaps() {
        policies.weight("quick", 1_000).block(SOON);
        deliverToMany("first");
        int leased = 0;
        while (leased < MANY) {
            leased += rig.lease(64, LONG).size();
        }
        rig.fill("quick", 20); // goes before all others, whose turn begins to wait meanwhile
        List<String> quick = new ArrayList<>(rig.pullIds(1));
        deliverToMany("second");
        while (quick.size() < 20) {
            quick.addAll(rig.pullIds(1));
        }
        assertThat(quick).allMatch(id -> id.startsWith("quick"));
        assertThat(rig.number("ZCARD", rig.key("fair"))).isEqualTo(MANY);
        policies.capEach(Cap.of(1)).block(SOON);
        rig.deliver("z", "z1");

        assertThat(rig.pullIds(1)).containsExactly("z1");
    }

    @Test
    @DisplayName("what is set for all facets holds however much is set for single ones")
    void besideManyOthers() {
        Flux.range(0, 80)
                .concatMap(i -> policies.weight("other" + i, 2))
                .then(policies.rateEach(new Rate(2, DAY, 2)))
                .block(SOON);
        rig.fill("a", 9);
        assertThat(rig.pullIds(9)).hasSize(2);

        set(policies.rateEach(Rate.UNLIMITED), policies.capEach(Cap.of(3)));
        List<Delivery> leased = rig.lease(9, LONG);
        assertThat(leased).hasSize(3);
        ended(leased);

        set(policies.capEach(Cap.NONE), policies.order(Order.STRICT));
        leased = rig.lease(9, LONG);
        assertThat(leased).hasSize(1);
        ended(leased);

        set(policies.order(Order.FREE), policies.cap(Cap.of(2)));
        leased = rig.lease(9, LONG);
        assertThat(leased).hasSize(2);
        ended(leased);

        set(policies.cap(Cap.NONE), policies.rate(new Rate(4, DAY, 4)));
        assertThat(rig.pullIds(9)).hasSize(1);
        rig.fill("b", 9);
        assertThat(rig.pullIds(9)).hasSize(3);

        set(policies.rate(Rate.UNLIMITED), policies.pause());
        assertThat(rig.pullIds(9)).isEmpty();

        set(policies.resume(), policies.cost(Cost.BYTES));
        rig.mill
                .deliver(QueueRig.event("large", "large").withData("x".repeat(9_000)))
                .block(SOON);
        assertThat(rig.pullIds(9)).hasSize(7);
        assertThat(rig.number("ZCARD", rig.key("debts"))).isPositive();
    }

    @Test
    @DisplayName("what is over is forgotten: used up rates, facets held back in strict order")
    void forgotten() {
        policies.order(Order.STRICT)
                .then(policies.rate("a", new Rate(1, Duration.ofMillis(50), 1)))
                .block(SOON);
        rig.deliver("a", "a");
        rig.deliver("b", "b");
        rig.lease(2, LONG).forEach(one -> one.nack(Duration.ofMillis(50)).block(SOON));
        assertThat(rig.number("ZCARD", rig.key("buckets")) + rig.number("ZCARD", rig.key("hold")))
                .isEqualTo(3);

        List<String> again = new ArrayList<>();
        Eventually.await("both again, and nothing remembered", SOON, () -> {
            again.addAll(rig.pullIds(2));
            return again.size() == 2 && rig.number("EXISTS", rig.key("buckets"), rig.key("hold")) == 0;
        });
    }

    @Test
    @DisplayName("a pull that finds nothing looks for ended leases by itself")
    void endedLeases() {
        rig.deliver("a", "a");
        assertThat(rig.lease(1, QueueRig.SHORT)).hasSize(1);
        awaitServer(serverMillis() + 100);

        assertThat(pulled("0").size()).isEqualTo(5);
    }

    @Test
    @DisplayName("a pull that got all it asked for tells when one look did not take care of all that was due or over")
    void moreThanOneLook() {
        rig.fill("a", 41);
        assertThat(pulled("0").number(1)).as("it did not look").isEqualTo(-1);
        rig.lease(40, LONG).forEach(one -> one.nack(Duration.ofMillis(1)).block(SOON));
        awaitServer(serverMillis() + 1);
        assertThat(pulled("1").number(1)).isZero();
        assertThat(pulled("1").number(1)).isEqualTo(-1);

        assertThat(rig.lease(38, QueueRig.SHORT)).hasSize(38);
        rig.fill("b", 3);
        awaitServer(serverMillis() + 100);
        assertThat(pulled("1").number(1)).isZero();
        assertThat(pulled("1").number(1)).isEqualTo(-1);
    }

    @Test
    @DisplayName(
            "what was leased together goes back in the order it was handed out, when the lease ends or is extended")
    void leasedTogether() {
        fillTurned("a");
        assertThat(leaseThree(QueueRig.SHORT).messages()).hasSize(3);
        awaitServer(serverMillis() + 100);
        ModelRun.maintain(rig, LONG);
        assertThat(rig.pullIds(3)).containsExactly("a-2", "a-0", "a-1");

        fillTurned("b");
        DeliveryBatch batch = leaseThree(LONG);
        assertThat(batch.extend().block(SOON)).isTrue();
        assertThat(batch.nack(Duration.ZERO).block(SOON)).isTrue();
        assertThat(rig.pullIds(3)).containsExactly("b-2", "b-0", "b-1");

        for (int extended : new int[] {0, 1}) {
            rig.deliver("c", "c1" + extended, "c2" + extended);
            List<Delivery> both = rig.lease(2, LONG);
            assertThat(both.get(extended).extend().block(SOON)).isTrue();
            both.forEach(one -> assertThat(one.nack().block(SOON)).isTrue());
            assertThat(rig.pullIds(2)).containsExactly("c1" + extended, "c2" + extended);
        }
    }

    /** Three whose texts do not tell their order. */
    private void fillTurned(String facet) {
        rig.fill(facet, 3);
        rig.raw("LMOVE", rig.key("f:" + facet), rig.key("f:" + facet), "RIGHT", "LEFT");
    }

    private DeliveryBatch leaseThree(LeaseOptions options) {
        return rig.queue
                .receiveBatches(options.mutate().batchSize(3).build())
                .take(1)
                .blockLast(SOON);
    }

    @Test
    @DisplayName("however many are held back or in flight, all of them are counted")
    void manyCounted() {
        rig.fill("a", 600);
        for (int i = 0; i < 3; i++) {
            DeliveryBatch batch = rig.queue
                    .receiveBatches(LONG.mutate().batchSize(200).build())
                    .take(1)
                    .blockLast(SOON);
            assertThat(batch.nack(Duration.ofHours(1)).block(SOON)).isTrue();
        }

        assertThat(rig.facets()).extracting(FacetState::later).containsExactly(600L);
        rig.fill("b", 600);
        for (int i = 0; i < 3; i++) {
            assertThat(rig.lease(200, LONG)).hasSize(200);
        }
        assertThat(rig.inFlight()).isEqualTo(600);
    }

    @Test
    @DisplayName(
            "a partition's share is the weights of who may be served: also who may go on, or above his elastic cap")
    void shares() {
        policies.weight("a", 2.5)
                .then(policies.rate("c", new Rate(1, DAY, 1)))
                .then(policies.pause("p"))
                .block(SOON);
        for (String facet : List.of("a", "b", "c", "p")) {
            rig.fill(facet, 5);
        }
        assertThat(rig.lease(4, LONG)).hasSize(4);
        assertThat(share()).as("a and b").isEqualTo(3.5);
        rig.raw("ZADD", rig.key("throttled"), 1, "c");
        assertThat(share()).as("c may go on").isEqualTo(4.5);
        policies.rate("c", Rate.UNLIMITED)
                .then(policies.capEach(Cap.of(1).whileOthersWait()))
                .block(SOON);
        assertThat(rig.lease(1, LONG)).hasSize(1);
        assertThat(rig.number("EXISTS", rig.key("ring"), rig.key("fair"))).isZero();

        assertThat(share()).as("all but p may go above").isEqualTo(3);
    }

    private double share() {
        Reply reply = rig.mill
                .redis()
                .run(QueueScripts.PEEK, List.of(Leases.bytes(rig.key(""))), Insight.args(1))
                .block(SOON);
        return Double.parseDouble(reply.text(reply.size() - 1));
    }

    private Reply pulled(String maintains) {
        return rig.mill
                .redis()
                .run(
                        QueueScripts.PULL,
                        List.of(Leases.bytes(rig.key(""))),
                        Insight.args("1", "take", LONG.profile(), maintains))
                .block(SOON);
    }

    private void awaitServer(long millis) {
        Eventually.await("time", SOON, () -> serverMillis() > millis);
    }

    @Test
    @DisplayName("S3 any number of paused facets hide nobody who may go above his elastic cap")
    void manyPausedBesideElastic() {
        policies.capEach(Cap.of(1).whileOthersWait())
                .thenMany(Flux.range(0, 70).concatMap(i -> policies.pause("f" + i)))
                .blockLast(SOON);
        rig.fill("z", 3);
        assertThat(rig.lease(1, LONG)).hasSize(1);
        deliverToMany("f", 70);
        assertThat(rig.lease(1, LONG)).hasSize(1);
        assertThat(rig.number("ZCARD", rig.key("parked")))
                .as("more than one call looks at")
                .isGreaterThan(64);

        assertThat(rig.lease(1, LONG)).hasSize(1);
    }

    @Test
    @DisplayName("who stood at an elastic cap goes on for as long as it is not judged anew, also when the cap is gone")
    void elasticCapIsGone() {
        policies.capEach(Cap.of(1).whileOthersWait())
                .then(policies.weight("unrelated", 2))
                .block(SOON);
        rig.fill("a", 3);
        rig.fill("b", 3);
        assertThat(rig.lease(2, LONG)).hasSize(2);
        assertThat(rig.number("ZCARD", rig.key("parked"))).isEqualTo(2);
        rig.raw("HDEL", rig.key("policy"), "each.cap"); // by somebody who died before he judged anybody anew

        List<Delivery> rest = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            rest.addAll(rig.lease(1, LONG));
        }
        assertThat(rest).hasSize(4);
    }

    @Test
    @DisplayName(
            "what numbers the leases is kept until the last one is long over: no receipt comes twice; then it goes")
    void numbersOfLeases() {
        LeaseOptions other = LONG.mutate().lease(Duration.ofSeconds(10)).build();
        for (LeaseOptions options : List.of(LONG, other)) {
            String leases = rig.key("l:" + options.profile());
            String old = serverMillis() - 20_000 + "-0";
            rig.raw("XADD", leases, old, "1", "x");
            rig.raw("XDEL", leases, old);
            rig.raw("SADD", rig.key("leases"), options.profile());
        }

        ModelRun.maintain(rig, LONG);

        assertThat(rig.number("SISMEMBER", rig.key("leases"), LONG.profile())).isOne();
        assertThat(rig.number("SISMEMBER", rig.key("leases"), other.profile())).isZero();
        assertThat(rig.number("EXISTS", rig.key("l:" + LONG.profile()))).isOne();
        assertThat(rig.number("EXISTS", rig.key("l:" + other.profile()))).isZero();
    }

    private void deliverToMany(String name) {
        deliverToMany(name, MANY);
    }

    private void deliverToMany(String name, int count) {
        List<Event> events = IntStream.range(0, count)
                .mapToObj(i -> QueueRig.event("f" + i, name + i))
                .toList();
        rig.mill.queues().deliverAll(events).block(SOON);
    }

    private static void set(Mono<Void> old, Mono<Void> policy) {
        old.then(policy).block(SOON);
    }

    private static void ended(List<Delivery> leased) {
        leased.forEach(one -> assertThat(one.ack().block(SOON)).isTrue());
    }

    private long serverMillis() {
        Reply time = rig.raw("TIME");
        return time.number(0) * 1000 + time.number(1) / 1000;
    }
}
