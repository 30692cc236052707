package io.millrace.drain;

import static io.millrace.drain.DrainRig.QUICK;
import static io.millrace.drain.DrainRig.SOON;
import static io.millrace.drain.DrainRig.send;
import static io.millrace.drain.DrainRig.update;
import static org.assertj.core.api.Assertions.assertThat;

import io.lettuce.core.cluster.SlotHash;
import io.millrace.queue.Message;
import io.millrace.testing.Eventually;
import io.millrace.testing.RedisClusterFixture;
import java.util.HashSet;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;

/** All that a drain does, on a cluster of three masters. */
class ClusterDrainIT {

    @Test
    @DisplayName("store, retry, filter, mark, bridge, hear, sweep: drains on all masters, each in one slot")
    void everything() {
        try (RedisClusterFixture cluster = RedisClusterFixture.start();
                DrainRig rig = DrainRig.on(cluster.uri().replaceFirst("^redis:", "redis-cluster:"), "c")) {
            rig.mill.queues().register("changes", ".*").block(SOON);
            Set<Integer> thirds = new HashSet<>();
            for (int i = 0; i < 8; i++) {
                String name = "d{" + i + "}/" + i;
                int slot = SlotHash.getSlot(rig.mill.redis().keys().unitText("drain", name, 0) + "inbox");
                assertThat(SlotHash.getSlot(rig.mill.redis().keys().unitText("drain", name, 0) + "dirty"))
                        .isEqualTo(slot);
                thirds.add(slot / 5_462);
                everything(rig, name);
            }
            assertThat(thirds).containsExactlyInAnyOrder(0, 1, 2);
        }
    }

    private static void everything(DrainRig rig, String name) {
        AtomicInteger calls = new AtomicInteger();
        Drain drain = rig.mill
                .drain()
                .name(name)
                .mapping()
                .tokens("demo")
                .settings(QUICK)
                .deliverToQueues(event -> name)
                .listen(batch -> calls.incrementAndGet() == 1 ? Mono.error(new IllegalStateException()) : Mono.empty())
                .build();
        Queue<String> heard = new ConcurrentLinkedQueue<>();
        Disposable listening = drain.dirtyMap().dirtyEntity().subscribe(heard::add);
        AtomicInteger warm = new AtomicInteger();
        Eventually.await("listening", SOON, () -> {
            drain.dirtyMap().mark("warm" + warm.incrementAndGet()).block(SOON);
            return !heard.isEmpty();
        });
        drain.dirtyMap().sweep(url -> Mono.just(true)).blockLast(SOON);
        Disposable running = drain.start();
        send(drain, update("u", 2), update("w", 1), update("u", 1));
        Eventually.await("done", SOON, () -> drain.state().block(SOON).stored() == 0);
        running.dispose();
        Eventually.await("heard", SOON, () -> heard.contains("u") && heard.contains("w"));
        listening.dispose();
        assertThat(rig.mill
                        .queue("changes")
                        .pull(9)
                        .map(Message::facet)
                        .collectList()
                        .block(SOON))
                .containsExactly(name, name);
        assertThat(drain.dirtyMap()
                        .sweep(url -> Mono.just(true))
                        .map(Swept::url)
                        .collectList()
                        .block(SOON))
                .containsExactlyInAnyOrder("u", "w");
        assertThat(calls).hasValue(2);
    }
}
