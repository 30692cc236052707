package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Event;
import io.millrace.json.EventCodec;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;

/** What a facet has taken it has paid for, also if it had nothing more for a while. */
@RedisTest
class CostIT {

    private QueueRig rig;

    @BeforeEach
    void open(RedisServer server, @Namespace String namespace) {
        rig = QueueRig.on(server, namespace);
    }

    @AfterEach
    void close() {
        assertThat(rig.doctor().findings()).isEmpty();
        rig.close();
    }

    @Test
    @DisplayName(
            "cost in bytes: a facet that took 100 KB at once, drained and came back waits while others get as much")
    void bytes() {
        rig.queue.policies().cost(Cost.BYTES).block(SOON);
        rig.mill.deliver(sized("large", "big", 100_000)).block(SOON);
        deliverSmall(200);

        assertThat(rig.pullIds(1)).containsExactly("big");
        assertThat(rig.facets()).extracting(FacetState::facet).containsExactly("small");
        rig.mill.deliver(sized("large", "again", 900)).block(SOON);

        assertThat(turnOf("again")).isBetween(60, 130);
    }

    @Test
    @DisplayName("cost in bytes: the debt is forgotten when the others have had theirs, and not before")
    void forgotten() {
        rig.queue.policies().cost(Cost.BYTES).block(SOON);
        rig.mill.deliver(sized("large", "big", 100_000)).block(SOON);
        deliverSmall(200);
        assertThat(rig.pullIds(1)).containsExactly("big");
        assertThat(rig.pullIds(150)).hasSize(150);
        rig.mill.deliver(sized("large", "again", 900)).block(SOON);

        assertThat(turnOf("again")).isLessThan(3);
        assertThat(rig.pullIds(200)).hasSizeBetween(47, 50);
        assertThat(rig.pullIds(1)).isEmpty();
        assertThat(rig.number("ZCARD", rig.key("debts"))).as("of who was last").isLessThan(2);
    }

    @Test
    @DisplayName("a KiB is as much as a message: when messages are counted again, 100 KiB were a hundred turns")
    void kibibyte() {
        Policies policies = rig.queue.policies();
        policies.cost(Cost.BYTES).then(policies.weight("nobody", 2)).block(SOON);
        Event large = sized("large", "big", 0);
        int frame = EventCodec.writeStored(large, Instant.now(), EventCodec.DEFAULT_MAX_BYTES).length;
        rig.mill.deliver(sized("large", "big", 100 * 1024 - frame)).block(SOON);
        rig.deliver("large", "again");
        assertThat(rig.number("MEMORY", "USAGE", rig.key("f:large"))).isGreaterThan(100 * 1024);
        assertThat(rig.pullIds(1)).containsExactly("big");
        policies.cost(Cost.MESSAGES).block(SOON);
        deliverSmall(200);

        assertThat(turnOf("again")).isEqualTo(99);
    }

    @Test
    @DisplayName("cost in time: a facet that took long, drained and came back waits while others take as long")
    void time() {
        rig.queue.policies().cost(Cost.TIME).block(SOON);
        rig.deliver("slow", "slow-0");
        rig.fill("quick", 150);
        long slow = handle("slow-0", Duration.ofMillis(250));
        rig.deliver("slow", "slow-1");

        long others = 0;
        String next = rig.queue.peek(1).map(Message::id).blockFirst(SOON);
        while (!next.equals("slow-1")) {
            others += handle(next, Duration.ofMillis(5));
            next = rig.queue.peek(1).map(Message::id).blockFirst(SOON);
        }

        assertThat((double) others / slow).as("%s ms, against %s", others, slow).isBetween(0.5, 1.5);
    }

    /** @return how long it was in flight, in ms */
    private long handle(String id, Duration time) {
        Delivery one = rig.lease(1, LONG).get(0);
        long begin = System.nanoTime();
        assertThat(one.message().id()).isEqualTo(id);
        Mono.delay(time).then(one.ack()).block(SOON);
        return Duration.ofNanos(System.nanoTime() - begin).toMillis();
    }

    @Test
    @DisplayName("cost in bytes needs no count of what is in flight: leases from before are no fault")
    void countsNothing() {
        rig.fill("a", 3);
        assertThat(rig.lease(1, LONG)).hasSize(1);
        rig.queue.policies().cost(Cost.BYTES).block(SOON);
        assertThat(rig.lease(1, LONG)).hasSize(1);

        assertThat(rig.doctor().findings()).isEmpty();
        assertThat(rig.number("EXISTS", rig.key("busy"))).isZero();
    }

    @Test
    @DisplayName("cost in time: what ends while its facet has a weight of 0 costs it nothing for ever after")
    void endsWithoutWeight() {
        Policies policies = rig.queue.policies();
        policies.cost(Cost.TIME).block(SOON);
        rig.fill("a", 2);
        rig.fill("b", 5);
        Delivery first = rig.lease(1, LONG).get(0);
        policies.weight("a", 0).block(SOON);
        Mono.delay(Duration.ofMillis(20)).then(first.ack()).block(SOON);
        policies.weight("a", 1).block(SOON);

        assertThat(rig.lease(2, LONG)).extracting(one -> one.message().id()).containsExactlyInAnyOrder("a-1", "b-0");
    }

    private int turnOf(String id) {
        for (int turn = 0; turn < 250; turn++) {
            if (rig.pullIds(1).equals(List.of(id))) {
                return turn;
            }
        }
        return Integer.MAX_VALUE;
    }

    private void deliverSmall(int count) {
        List<Event> events = IntStream.range(0, count)
                .mapToObj(i -> sized("small", "s" + i, 900))
                .toList();
        rig.mill.queues().deliverAll(events).block(SOON);
    }

    private static Event sized(String facet, String id, int bytes) {
        return QueueRig.event(facet, id).withData("x".repeat(bytes));
    }
}
