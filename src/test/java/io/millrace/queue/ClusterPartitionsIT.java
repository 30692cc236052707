package io.millrace.queue;

import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;

import io.lettuce.core.cluster.SlotHash;
import io.millrace.MillraceException;
import io.millrace.redis.RedisSettings;
import io.millrace.testing.Eventually;
import io.millrace.testing.RedisClusterFixture;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;

/** One queue on several masters. */
@Tag("P14")
class ClusterPartitionsIT {

    private static final int PARTITIONS = 8;
    private static final Duration LEASE_ENDS = LeaseOptions.DEFAULT_LEASE.plusSeconds(10);

    private static int master(String key) {
        return IntStream.range(0, 3)
                .filter(i -> SlotHash.getSlot(key) < (i + 1) * 16384 / 3)
                .findFirst()
                .orElseThrow();
    }

    @Test
    @Timeout(120)
    @DisplayName(
            "P14 F6 partitions are on different masters; when one dies the others go on at once, and its own after the failover")
    void spread() {
        try (RedisClusterFixture cluster = RedisClusterFixture.start(1)) {
            String address = cluster.uri().replaceFirst("^redis:", "redis-cluster:");
            RedisSettings settings =
                    RedisSettings.builder(address).namespace("parts").build();
            try (QueueRig rig = QueueRig.on(settings, PARTITIONS);
                    QueueRig other = QueueRig.joining(settings, QueueSettings.defaults())) {
                Map<Integer, List<Integer>> byMaster = IntStream.range(0, PARTITIONS)
                        .boxed()
                        .collect(Collectors.groupingBy(i -> master(rig.key(i, "ring"))));
                assertThat(byMaster).hasSize(3);
                String registry =
                        new String(rig.mill.redis().keys().single("registry", "version"), StandardCharsets.UTF_8);
                int victim = IntStream.range(0, 3)
                        .filter(i -> i != master(registry))
                        .findFirst()
                        .orElseThrow();

                Map<String, Integer> got = new ConcurrentHashMap<>();
                Queue<Disposable> consumers = new ConcurrentLinkedQueue<>();
                for (QueueRig one : List.of(rig, other)) {
                    consumers.add(one.queue
                            .consume(message -> Mono.fromRunnable(() -> got.merge(message.id(), 1, Integer::sum)))
                            .subscribe());
                }
                List<String> delivered = new ArrayList<>();
                for (int i = 0; i < 200; i++) {
                    delivered.add("m" + i);
                }
                rig.mill
                        .queues()
                        .deliverAll(delivered.stream()
                                .map(id -> event("f" + id.hashCode() % 40, id))
                                .toList())
                        .block(SOON);
                Eventually.await("all of them", SOON, () -> got.size() == 200);

                List<String> alive = IntStream.range(0, PARTITIONS)
                        .filter(i -> master(rig.key(i, "ring")) != victim)
                        .mapToObj(i -> rig.facetsIn(i, 1).get(0))
                        .toList();
                String dead = rig.facetsIn(byMaster.get(victim).get(0), 1).get(0);
                cluster.node(victim).kill9();
                for (String facet : alive) {
                    rig.mill.deliver(event(facet, "alive " + facet)).block(SOON);
                }
                Eventually.await(
                        "those of the other masters",
                        SOON,
                        () -> alive.stream().allMatch(facet -> got.containsKey("alive " + facet)));
                cluster.promote(3 + victim);
                Eventually.await("a delivery to its partition", SOON, () -> {
                    try {
                        return rig.mill
                                .deliver(event(dead, "again"))
                                .block(SOON)
                                .queues()
                                .contains("q");
                    } catch (MillraceException away) {
                        return false;
                    }
                });
                Eventually.await("what came to its partition", SOON, () -> got.containsKey("again"));
                // What was acknowledged in the last moment of the dead master may be leased in its replica.
                Eventually.await(
                        "all acknowledged", LEASE_ENDS, () -> rig.facets().isEmpty());
                consumers.forEach(Disposable::dispose);
                Eventually.await("order", SOON, () -> rig.doctor().findings().isEmpty());
                assertThat(rig.queue.destroy().block(SOON)).isZero();
                assertThat(rig.queue.partitions().block(SOON)).isEqualTo(1);
            }
        }
    }

    @Test
    @Timeout(60)
    @DisplayName(
            "P14 S9 a batch to many partitions tells each event's outcome, also duplicates and refusals; destroying leaves nothing")
    @Tag("S9")
    void outcomes() {
        try (RedisClusterFixture cluster = RedisClusterFixture.start()) {
            String address = cluster.uri().replaceFirst("^redis:", "redis-cluster:");
            RedisSettings settings =
                    RedisSettings.builder(address).namespace("parts").build();
            try (QueueRig rig = QueueRig.on(settings, PARTITIONS)) {
                rig.mill
                        .queues()
                        .register("limited", ".*:f\\d*[05]", Admission.of(1, Admission.Overflow.REJECT))
                        .block(SOON);
                List<Delivered> first = deliver(rig);
                assertThat(first)
                        .allMatch(one ->
                                one.duplicateIn().isEmpty() && one.queues().contains("q"));
                List<Delivered> again = deliver(rig);
                for (int i = 0; i < 90; i++) {
                    assertThat(again.get(i).id()).isEqualTo("m" + i);
                    assertThat(again.get(i).duplicateIn()).contains("q");
                }
                assertThat(rig.queue.length().block(SOON)).isEqualTo(90);
                rig.mill
                        .queues()
                        .register(
                                "q",
                                ".*",
                                QueueOptions.builder()
                                        .admission(Admission.of(3, Admission.Overflow.REJECT))
                                        .build())
                        .block(SOON);
                List<Delivered> more = rig.mill
                        .queues()
                        .deliverAll(IntStream.range(0, 60)
                                .mapToObj(i -> event("f" + i, "n" + i))
                                .toList())
                        .block(SOON);
                for (int i = 0; i < 60; i++) { // 0 to 29 have three waiting
                    assertThat(more.get(i).refusedBy().contains("q"))
                            .as("n%s", i)
                            .isEqualTo(i < 30);
                }
                assertThat(rig.queue.pull(500).collectList().block(SOON)).hasSize(120);
                destroyedWhileOthersDeliver(rig);
            }
        }
    }

    /** S9: who knows of the queue still delivers to it for a moment, to any of its partitions. */
    private static void destroyedWhileOthersDeliver(QueueRig rig) {
        String queues = new String(rig.mill.redis().keys().single("registry", "queues"), StandardCharsets.UTF_8);
        Queue<Long> removed = new ConcurrentLinkedQueue<>();
        Disposable destroying = rig.queue.destroy().subscribe(removed::add);
        Eventually.await("no registration", SOON, () -> rig.number("HEXISTS", queues, "q") == 0);
        for (int i = 0; i < PARTITIONS; i++) {
            rig.raw("RPUSH", rig.key(i, "f:late"), "late");
            rig.raw("RPUSH", rig.key(i, "ring"), "late");
        }
        Eventually.await("destroyed", SOON, () -> !removed.isEmpty());
        destroying.dispose();
        for (int i = 0; i < PARTITIONS; i++) {
            assertThat(rig.number("EXISTS", rig.key(i, "ring")) + rig.number("EXISTS", rig.key(i, "f:late")))
                    .as("partition %s", i)
                    .isZero();
        }
    }

    private static List<Delivered> deliver(QueueRig rig) {
        return rig.mill
                .queues()
                .deliverAll(IntStream.range(0, 90)
                        .mapToObj(i -> event("f" + i % 30, "m" + i))
                        .toList())
                .block(SOON);
    }
}
