package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Event;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A queue at a glance, and with many facets. */
@RedisTest
class QueueLoadIT {

    @Test
    @DisplayName(
            "the noisiest and the most starved facets are told, whatever policies say, and how long messages waited")
    void glance(RedisServer server, @Namespace String namespace) {
        try (QueueRig rig = QueueRig.on(server, namespace)) {
            rig.deliver("starved", "old");
            Eventually.await(
                    "time to pass",
                    SOON,
                    () -> rig.queue.load(1).block(SOON).oldestAge().toMillis() > 30);
            rig.fill("loud", 30);
            rig.fill("louder", 40);
            rig.fill("quiet", 2);
            rig.queue.policies().pause("louder").block(SOON);
            assertThat(rig.lease(2, LONG)).hasSize(2);
            Eventually.await(
                    "what was handed out to be counted",
                    SOON,
                    () -> rig.queue.dwell().block(SOON).count() == 2);

            QueueLoad load = rig.queue.load(2).block(SOON);
            assertThat(load.facets()).isEqualTo(3);
            assertThat(load.waiting()).isEqualTo(30 + 40 + 2 - 1);
            assertThat(load.noisiest().stream().map(FacetLoad::facet)).containsExactly("louder", "loud");
            assertThat(load.noisiest().get(0).waiting()).isEqualTo(40);
            assertThat(load.mostStarved()).hasSize(2);
            assertThat(load.dwell().count()).isEqualTo(2);
            assertThat(load.dwell().percentile(1)).isGreaterThanOrEqualTo(Duration.ofMillis(32));
            assertThat(rig.queue.length().block(SOON)).isEqualTo(71);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3})
    @DisplayName("how long messages waited is told by any process, of all that handed out, also of one that has ended")
    void dwellOfAll(int partitions, RedisServer server, @Namespace String namespace) {
        try (QueueRig rig = QueueRig.on(server, namespace)) {
            rig.mill
                    .queues()
                    .register(
                            "parted",
                            ".*:parted:.*",
                            QueueOptions.builder().partitions(partitions).build())
                    .block(SOON);
            for (int i = 0; i < 1_000; i++) {
                rig.mill.deliver(Event.of("f" + i % 10, "parted", "n")).block(SOON);
            }
            for (int process = 0; process < 2; process++) {
                try (QueueRig other = QueueRig.on(server, namespace)) {
                    for (int i = 0; i < 5; i++) {
                        assertThat(other.mill
                                        .queue("parted")
                                        .pull(80)
                                        .collectList()
                                        .block(SOON))
                                .hasSize(80);
                    }
                    other.mill.shutdown().block(SOON);
                    other.mill.shutdown().block(SOON); // a second time there is nothing left to do
                }
            }
            rig.mill.queue("parted").lease(200, LONG).blockLast(SOON);
            Eventually.await(
                    "all to be counted",
                    SOON,
                    () -> rig.mill.queue("parted").dwell().block(SOON).count() == 1_000);
            DwellTimes times = rig.mill.queue("parted").load(1).block(SOON).dwell();
            assertThat(times.count()).isEqualTo(1_000);
            for (int i = 0; i < partitions; i++) {
                String dwell = rig.mill.redis().keys().unitText("queue", "parted", i) + "dwell";
                assertThat(rig.number("PTTL", dwell))
                        .as("it is forgotten some day")
                        .isNotEqualTo(-1);
            }
            assertThat(times.buckets().stream()
                            .mapToLong(DwellTimes.Bucket::count)
                            .sum())
                    .isEqualTo(1_000);
            assertThat(times.sum()).isPositive();
            rig.mill.queue("parted").destroy().block(SOON);
            byte[] unit = Leases.bytes(rig.mill.redis().keys().unitText("queue", "parted", 0));
            rig.mill
                    .redis()
                    .run(QueueScripts.DWELL, List.of(unit), Insight.args(9, 60_000, 4, 1)) // by one who is late
                    .block(SOON);
            assertThat(rig.mill.queue("parted").dwell().block(SOON)).isEqualTo(DwellTimes.NONE);
        }
    }

    @Test
    @Tag("P13")
    @Tag("P4")
    @DisplayName(
            "P13 20,000 facets with policies come and go: no script takes long, and nothing stays but the policies")
    void manyFacets(RedisServer server, @Namespace String namespace) {
        try (QueueRig rig = QueueRig.on(server, namespace)) {
            Policies policies = rig.queue.policies();
            policies.capEach(Cap.of(2))
                    .then(policies.rateEach(new Rate(1000, Duration.ofSeconds(1), 1000)))
                    .block(SOON);
            int facets = 20_000;
            List<Event> events = new ArrayList<>(facets);
            for (int i = 0; i < facets; i++) {
                events.add(QueueRig.event("f" + i, "m" + i));
            }
            rig.mill.queues().deliverAll(events).block(Duration.ofSeconds(60));
            assertThat(rig.queue.load(3).block(SOON).facets()).isEqualTo(facets);

            long handled = rig.queue
                    .receive(LONG)
                    .take(facets)
                    .flatMap(Delivery::ack, 200)
                    .filter(done -> done)
                    .count()
                    .block(Duration.ofSeconds(60));
            assertThat(handled).isEqualTo(facets);
            Eventually.await("what rates remember to be forgotten", Duration.ofSeconds(30), () -> {
                rig.pullIds(1);
                return rig.number("EXISTS", rig.key("buckets"), rig.key("fair"), rig.key("place"), rig.key("busy"))
                        == 0;
            });
            assertThat(rig.keys()).hasSizeLessThan(12);
            assertThat(rig.doctor().findings()).isEmpty();
        }
    }
}
