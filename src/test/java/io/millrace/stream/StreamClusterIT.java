package io.millrace.stream;

import static io.millrace.stream.StreamRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.redis.RedisSettings;
import io.millrace.stream.StreamRig.Seen;
import io.millrace.testing.Eventually;
import io.millrace.testing.RedisClusterFixture;
import io.millrace.testing.SlotMove;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.util.retry.Retry;

/** A stream of several shards on a cluster: a master dies, a slot moves; backfills. */
@Timeout(180)
class StreamClusterIT {

    private static final int SHARDS = 4;
    private static final Duration PATIENCE = Duration.ofSeconds(40);

    private static StreamRig rig(RedisClusterFixture cluster) {
        return StreamRig.on(RedisSettings.builder(cluster.uri().replaceFirst("^redis:", "redis-cluster:"))
                .namespace("sc")
                .commandTimeout(Duration.ofSeconds(1))
                .build());
    }

    private static int slot(StreamRig rig, int shard) {
        return (int) rig.number("CLUSTER", "KEYSLOT", rig.key(shard, "log"));
    }

    private static boolean isAllRead(StreamRig rig) {
        return rig.stream
                .state()
                .all(state -> state.consumers().get(0).lag() == 0
                        && state.consumers().get(0).backfillLag() == 0)
                .block(SOON);
    }

    @Test
    @Tag("L2")
    @DisplayName("L2 a read that blocks for longer than commands may take ends with nothing, not with an error")
    void blocks() {
        try (RedisClusterFixture cluster = RedisClusterFixture.start();
                StreamRig rig = rig(cluster)) {
            assertThat(rig.mill
                            .redis()
                            .dedicated(Duration.ofSeconds(3))
                            .flatMap(reader -> reader.call("XREAD", "BLOCK", 3_000, "STREAMS", "sc:nothing", "$")
                                    .hasElement()
                                    .delayUntil(any -> reader.close()))
                            .block(SOON))
                    .isFalse();
        }
    }

    @Test
    @Tag("T5")
    @Tag("T6")
    @DisplayName(
            "T5 T6 four shards, two members: a master is killed, a slot moves, a backfill is fed: all that is there is handled")
    void disturbed() {
        try (RedisClusterFixture cluster = RedisClusterFixture.start(1);
                StreamRig rig = rig(cluster);
                StreamRig other = rig(cluster)) {
            rig.mill.streams().create("s", SHARDS).block(SOON);
            Seen one = rig.collect(rig.consumer("c").batchSize(50));
            Seen two = other.collect(other.consumer("c").batchSize(50));
            Eventually.await(
                    "two each",
                    PATIENCE,
                    () -> rig.stream
                            .members("c")
                            .map(member -> member.shards().size())
                            .collectList()
                            .block(SOON)
                            .equals(List.of(2, 2)));
            AtomicInteger numbers = new AtomicInteger();
            AtomicInteger stored = new AtomicInteger();
            Disposable load = Flux.<Integer>generate(sink -> sink.next(numbers.getAndIncrement()))
                    .flatMap(
                            n -> Mono.defer(() ->
                                            rig.producer.queue(Change.of(n).withProducerId("p" + n)))
                                    .retryWhen(Retry.fixedDelay(Long.MAX_VALUE, Duration.ofMillis(20)))
                                    .delayUntil(id -> Mono.delay(Duration.ofMillis(5)))
                                    .doOnNext(id -> stored.incrementAndGet()),
                            16)
                    .subscribe();
            goesOn(stored, "load");

            int victim = cluster.masterOf(slot(rig, 0));
            cluster.node(victim).kill9();
            Mono.delay(Duration.ofSeconds(1)).block(); // nobody is there for its slots
            cluster.promote(3 + victim);
            goesOn(stored, "every shard, after the failover");
            int slot = slot(rig, 1);
            int home = cluster.masterOf(slot);
            int target = java.util.stream.IntStream.range(0, 6)
                    .filter(node -> node != home && cluster.node(node).isAlive() && cluster.isMaster(node))
                    .findFirst()
                    .orElseThrow();
            SlotMove move = cluster.move(slot, home, target);
            move.begin();
            while (move.some(2)) {
                // A few keys at a time, under load.
            }
            move.finish();
            goesOn(stored, "every shard, after the move");
            assertThat(rig.mill
                            .streams()
                            .backfill("s", "old")
                            .feed(Flux.range(0, 500).map(n -> "old" + n))
                            .block(PATIENCE))
                    .isEqualTo(500);
            load.dispose();
            Eventually.await("all read", PATIENCE, () -> isAllRead(rig));

            Set<Object> handled = new HashSet<>(one.records());
            handled.addAll(two.records());
            assertThat(one.batches).isNotEmpty();
            assertThat(two.batches).isNotEmpty();
            Set<Object> there = new HashSet<>();
            rig.stream
                    .entries(EntryId.ZERO)
                    .doOnNext(entry -> there.add(entry.get("id")))
                    .blockLast(SOON);
            assertThat(there.size()).isGreaterThan(200);
            assertThat(handled).containsAll(there);
            for (int i = 0; i < 500; i++) {
                assertThat(handled).contains("old" + i);
            }
        }
    }

    /** Sixteen calls are under way at a time, of all shards: none gets far without the others. */
    private static void goesOn(AtomicInteger stored, String what) {
        int before = stored.get();
        Eventually.await(what, PATIENCE, () -> stored.get() > before + 150);
    }
}
