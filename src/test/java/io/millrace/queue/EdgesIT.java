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
import java.util.stream.Stream;
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
        long begun = serverMillis();
        Eventually.await("the end of the lease", SOON, () -> serverMillis() > begun + 100);

        Reply reply = rig.mill
                .redis()
                .run(
                        QueueScripts.PULL,
                        List.of(Leases.bytes(rig.key(""))),
                        Stream.of("1", "take", LONG.profile(), "0")
                                .map(Leases::bytes)
                                .toList())
                .block(SOON);
        assertThat(reply.size()).isEqualTo(5);
    }

    private void deliverToMany(String name) {
        List<Event> events = IntStream.range(0, MANY)
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
