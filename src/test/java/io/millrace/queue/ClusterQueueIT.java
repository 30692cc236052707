package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SHORT;
import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;

import io.lettuce.core.cluster.SlotHash;
import io.millrace.redis.RedisSettings;
import io.millrace.testing.Eventually;
import io.millrace.testing.RedisClusterFixture;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;

/** P14: everything a queue does, on a cluster of three masters. */
@Tag("P14")
class ClusterQueueIT {

    private static RedisClusterFixture cluster;
    private static int tests;

    private QueueRig rig;
    private String namespace;

    @BeforeAll
    static void start() {
        cluster = RedisClusterFixture.start();
    }

    @AfterAll
    static void stop() {
        cluster.close();
    }

    @BeforeEach
    void open() {
        namespace = "c" + ++tests;
        rig = open(namespace);
    }

    @AfterEach
    void close() {
        rig.close();
    }

    private static QueueRig open(String namespace) {
        String address = cluster.uri().replaceFirst("^redis:", "redis-cluster:");
        return QueueRig.on(RedisSettings.builder(address).namespace(namespace).build(), QueueSettings.defaults());
    }

    @Test
    @DisplayName("P14 turns, leases, acknowledging, giving back, expiring, dead letters, looking, doctor, destroying")
    void everything() {
        rig.deliver("a", "1", "2", "3");
        rig.deliver("b", "4");
        rig.deliver("a", "1");
        assertThat(rig.queue.peek(9).map(Message::id).collectList().block(SOON)).containsExactly("1", "4", "2", "3");
        assertThat(rig.pullIds(1)).containsExactly("1");
        List<Delivery> leased = rig.lease(3, LONG.mutate().maxAttempts(2).build());
        assertThat(leased).extracting(one -> one.message().id()).containsExactly("4", "2", "3");
        assertThat(leased.get(0).extend().block(SOON)).isTrue();
        assertThat(leased.get(0).ack().block(SOON)).isTrue();
        assertThat(leased.get(1).nack(Duration.ofMillis(10)).block(SOON)).isTrue();
        assertThat(leased.get(2).nack().block(SOON)).isTrue();
        Delivery three = rig.next(SHORT.mutate().maxAttempts(2).build());
        assertThat(three.message().id()).isEqualTo("3");
        Eventually.await("expiry to a dead letter", SOON, () -> {
            rig.lease(5, LONG);
            return rig.deadLetters().size() == 1;
        });
        assertThat(rig.deadLetters().get(0).message().id()).isEqualTo("3");
        assertThat(rig.doctor().findings()).isEmpty();
        assertThat(rig.inFlight()).isEqualTo(1);
        assertThat(rig.queue.destroy().block(SOON)).isEqualTo(2); // one in flight, one dead letter
        assertThat(rig.facets()).isEmpty();
    }

    @Test
    @DisplayName("P14 weights, caps, delays, limits, dead letters and groups of queues")
    void policies() {
        Policies policies = rig.queue.policies();
        policies.weight("a", 2)
                .then(policies.capEach(Cap.of(4)))
                .then(policies.pause("c"))
                .block(SOON);
        rig.fill("a", 6);
        rig.fill("b", 6);
        rig.fill("c", 1);
        List<Delivery> taken = rig.lease(9, LONG);
        assertThat(taken.stream()
                        .filter(one -> one.message().facet().equals("a"))
                        .count())
                .isEqualTo(4);
        assertThat(taken).hasSize(8);
        taken.get(0).bury("bad").block(SOON);
        assertThat(rig.queue.redriveAll().block(SOON)).isEqualTo(1);
        assertThat(rig.lease(9, LONG)).hasSize(1);
        assertThat(rig.queue.load(2).block(SOON).facets()).isEqualTo(3);

        Delivered kept = rig.mill
                .queues()
                .deliverAfter(event("d", "later"), Duration.ofHours(1))
                .block(SOON);
        assertThat(kept.queues()).containsExactly("q");
        assertThat(rig.queue.cancel("later").block(SOON)).isTrue();

        rig.mill
                .queues()
                .register("limited", ".*", Admission.of(1, Admission.Overflow.REJECT))
                .block(SOON);
        rig.deliver("e", "e1");
        Delivered partly = rig.mill.deliver(event("e", "e2")).block(SOON);
        assertThat(partly.refusedBy()).containsExactly("limited");
        assertThat(partly.queues()).containsExactly("q");
        assertThat(rig.mill
                        .queues()
                        .group(Map.of("q", 1, "limited", 1))
                        .pull(9)
                        .map(Message::id)
                        .collectList()
                        .block(SOON))
                .contains("e1", "e2");
        assertThat(rig.doctor().findings()).isEmpty();
    }

    @Test
    @DisplayName("P14 readers are woken, listeners hear, consumers in two processes share")
    void readersAndListeners() {
        Queue<String> got = new ConcurrentLinkedQueue<>();
        Queue<String> heard = new ConcurrentLinkedQueue<>();
        LeaseOptions rarely = LONG.mutate().pollInterval(Duration.ofMinutes(1)).build();
        ConsumeOptions options = ConsumeOptions.builder().lease(rarely).build();
        try (QueueRig other = open(namespace)) {
            Disposable first = rig.queue
                    .consume(message -> Flux.just(1).doOnNext(n -> got.add(message.id())), options)
                    .subscribe();
            Disposable second = other.queue
                    .consume(message -> Flux.just(1).doOnNext(n -> got.add(message.id())), options)
                    .subscribe();
            Disposable listener = other.mill.listen("*").subscribe(event -> heard.add(event.id()));
            Eventually.await("listening", SOON, () -> {
                rig.deliver("warm", "warm" + System.nanoTime());
                return heard.size() > 0;
            });
            rig.mill
                    .deliver(Flux.range(0, 500).map(i -> event("f" + i % 5, "m" + i)))
                    .blockLast(SOON);
            Eventually.await(
                    "all",
                    SOON,
                    () -> got.stream().filter(id -> id.startsWith("m")).count() == 500
                            && heard.stream().filter(id -> id.startsWith("m")).count() == 500);
            Eventually.await("acknowledged", SOON, () -> rig.facets().isEmpty());
            assertThat(got).doesNotHaveDuplicates();
            first.dispose();
            second.dispose();
            listener.dispose();
        }
    }

    @Test
    @DisplayName(
            "P14 live listeners hear an event once, whether no queue wants it, one, or two; but not what is refused")
    void heardOnce() {
        Queue<String> heard = new ConcurrentLinkedQueue<>();
        rig.mill.queues().unregister("q").block(SOON);
        rig.mill.queues().register("one", "[ab]:.*").block(SOON);
        rig.mill.queues().register("two", "b:.*").block(SOON);
        rig.mill
                .queues()
                .register("full", "c:.*", Admission.of(1, Admission.Overflow.REJECT))
                .block(SOON);
        Disposable listener = rig.mill.listen("*").subscribe(event -> heard.add(event.id()));
        Eventually.await("listening", SOON, () -> {
            rig.deliver("none", "warm" + System.nanoTime());
            return !heard.isEmpty();
        });
        rig.mill
                .queues()
                .deliverAll(List.of(
                        event("none", "0"),
                        event("a", "1"),
                        event("b", "2"),
                        event("c", "taken"),
                        event("c", "refused")))
                .block(SOON);
        rig.deliver("none", "last");
        Eventually.await("all", SOON, () -> heard.containsAll(List.of("0", "1", "2", "taken", "last")));
        listener.dispose();
        assertThat(heard.stream().filter(id -> !id.startsWith("warm")))
                .containsExactlyInAnyOrder("0", "1", "2", "taken", "last");
    }

    @Test
    @DisplayName("P14 all keys of one queue are in one slot; many queues spread over the masters")
    void slots() {
        Set<Integer> thirds = new HashSet<>();
        for (int i = 0; i < 30; i++) {
            String name = "q{" + i + "}:é/" + i;
            Set<Integer> slots = new HashSet<>();
            String prefix = rig.mill.redis().keys().unitText("queue", name, 0);
            for (String part :
                    List.of("ring", "back", "later", "leases", "dead", "ids", "f:{x}", "f:}{", "l:30000.20")) {
                slots.add(SlotHash.getSlot(prefix + part));
            }
            assertThat(slots).as(name).hasSize(1);
            thirds.add(slots.iterator().next() / 5462);
            rig.mill.queues().register(name, ".*").block(SOON);
        }
        assertThat(thirds).containsExactlyInAnyOrder(0, 1, 2);
        assertThat(rig.mill.deliver(event("{x}", "1")).block(SOON).queues()).hasSize(31);
        for (int i = 0; i < 30; i++) {
            String name = "q{" + i + "}:é/" + i;
            assertThat(rig.mill.queue(name).pull().map(Message::id).block(SOON)).isEqualTo("1");
        }
    }

    @Test
    @DisplayName("P14 another process routes by a new registration within a second")
    void registrationsSpread() {
        try (QueueRig other = open(namespace)) {
            other.deliver("a", "0");
            rig.mill.queues().register("new", "a:.*").block(SOON);
            Eventually.await(
                    "the new route",
                    Duration.ofMillis(1_500),
                    () -> other.mill
                            .deliver(event("a", "m" + System.nanoTime()))
                            .block(SOON)
                            .queues()
                            .contains("new"));
        }
    }

    @Test
    @DisplayName(
            "P14 who waits for a registration to settle finds that all others route by it, even those who hear of nothing")
    void registrationsSettle() {
        try (QueueRig other = open(namespace)) {
            other.deliver("a", "0");
            other.mill.queues().close(); // no announcement reaches it any more
            other.deliver("a", "1"); // and what it knows may be as young as it gets
            Queues queues = rig.mill.queues();
            queues.register("new", "a:.*").then(queues.settled()).block(SOON);
            Delivered next = other.mill.deliver(event("a", "2")).block(SOON);
            assertThat(next.queues()).contains("new");
        }
    }
}
