package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Event;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Destroying in several steps tells how many messages there were, each once, wherever they were. */
@RedisTest
class DestroyIT {

    private static final int FACETS = 596; // 500 of them still wait in the end: two full steps

    private QueueRig rig;

    @BeforeEach
    void open(RedisServer server, @Namespace String namespace) {
        rig = QueueRig.on(server, namespace);
    }

    @AfterEach
    void close() {
        rig.close();
    }

    @Test
    @Tag("S9")
    @DisplayName("S9 waiting, leased alone and together, given back, held back, delayed and dead: each is told once")
    void plain() {
        fill();
        List<Delivery> leased = rig.lease(70, LONG);
        end(leased);
        DeliveryBatch batch = rig.queue
                .receiveBatches(LONG.mutate().batchSize(30).build())
                .take(1)
                .blockLast(SOON);
        assertThat(batch.messages()).hasSize(30);
        delay(5);
        assertThat(rig.number("LLEN", rig.key("ring"))).isEqualTo(500);

        assertThat(rig.queue.destroy().block(SOON)).isEqualTo(FACETS + 5);
        assertThat(rig.keys()).noneMatch(key -> key.startsWith(rig.key("")));
    }

    @Test
    @Tag("S9")
    @DisplayName("S9 so it is where facets wait by weight, are paused, at their caps, or throttled")
    void withPolicies() {
        Policies policies = rig.queue.policies();
        policies.rate("f1", new Rate(1, Duration.ofDays(1), 1))
                .then(policies.capEach(Cap.of(1)))
                .then(policies.cap("f1", Cap.of(9)))
                .then(policies.pause("f2"))
                .block(SOON);
        fill();
        rig.deliver("f0", "second-0");
        rig.deliver("f1", "second-1");
        assertThat(rig.lease(40, LONG)).hasSize(40);
        end(rig.lease(20, LONG));
        assertThat(rig.number("EXISTS", rig.key("parked"), rig.key("throttled"), rig.key("fair"), rig.key("ring")))
                .isEqualTo(4);
        delay(3);

        assertThat(rig.queue.destroy().block(SOON)).isEqualTo(FACETS + 2 + 3);
        assertThat(rig.keys()).noneMatch(key -> key.startsWith(rig.key("")));
    }

    private void fill() {
        List<Event> events = IntStream.range(0, FACETS)
                .mapToObj(i -> QueueRig.event("f" + i, String.valueOf(i)))
                .toList();
        rig.mill.queues().deliverAll(events).block(SOON);
    }

    /** Ends some of them in each way that leaves them in the queue. */
    private static void end(List<Delivery> leased) {
        leased.subList(0, 4).forEach(one -> one.nack().block(SOON));
        leased.subList(4, 7).forEach(one -> one.nack(Duration.ofHours(1)).block(SOON));
        leased.subList(7, 9).forEach(one -> one.bury("test").block(SOON));
    }

    private void delay(int count) {
        IntStream.range(0, count)
                .forEach(i -> rig.mill
                        .queues()
                        .deliverAfter(QueueRig.event("d" + i, "delayed-" + i), Duration.ofHours(1))
                        .block(SOON));
    }
}
