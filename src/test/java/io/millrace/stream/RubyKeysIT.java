package io.millrace.stream;

import static io.millrace.stream.StreamRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.millrace.redis.RedisSettings;
import io.millrace.stream.StreamRig.Seen;
import io.millrace.testing.Eventually;
import io.millrace.testing.OwnRedis;
import io.millrace.testing.RedisClusterFixture;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;

/** The keys of the Ruby library, key by key as it writes and reads them; replicas; a cluster: T12, R8, P14. */
class RubyKeysIT {

    private OwnRedis redis;
    private StreamRig rig;

    @BeforeEach
    void start() {
        redis = OwnRedis.start();
        rig = StreamRig.on(redis.uri(), "r");
    }

    @AfterEach
    void stop() {
        rig.close();
        redis.close();
    }

    @Test
    @DisplayName("a Rails application's stream is followed from its offset; offset and entries are as it expects them")
    void followsRails() {
        rig.raw("XADD", "app:redstream:stream:products", "1000-1", "payload", "{\"id\":1}");
        rig.raw("XADD", "app:redstream:stream:products", "1000-2", "payload", "{\"id\":2}");
        rig.raw("SET", "app:redstream:offset:products:indexer", "1000-1");
        Streams ruby = rig.mill.streams().rubyKeys("app");
        Seen seen = rig.collect(ruby.consumer("products", "indexer"));
        Eventually.await("the rest", SOON, () -> seen.records().equals(List.of(2)));
        EntryId id = ruby.producer("products").queue(3).block(SOON);
        Eventually.await(
                "the offset",
                SOON,
                () -> rig.raw("GET", "app:redstream:offset:products:indexer")
                        .text(0)
                        .equals(id.toString()));
        assertThat(rig.raw("XRANGE", "app:redstream:stream:products", id, id)
                        .list(0)
                        .list(1)
                        .text(1))
                .isEqualTo("{\"id\":3}");
        assertThat(rig.mill.streams().names().collectList().block(SOON)).isEmpty();
    }

    @Test
    @DisplayName("its lock is respected, ours is one it respects, and whoever waits there with BRPOP is woken")
    void lock() {
        String lock = "redstream:lock:consumer:products:indexer";
        rig.raw("SET", lock, "a-ruby-process", "PX", "1500");
        Streams ruby = rig.mill.streams().rubyKeys("");
        ruby.producer("products").queue(1).block(SOON);
        Seen seen = rig.collect(ruby.consumer("products", "indexer"));
        Mono.delay(Duration.ofMillis(700)).block();
        assertThat(seen.records()).isEmpty();
        Eventually.await("our turn", SOON, () -> seen.records().equals(List.of(1)));
        assertThat(rig.number("PTTL", lock)).isBetween(1L, 5_000L);
        seen.stop.dispose();
        Eventually.await("a wake-up", SOON, () -> rig.number("LLEN", lock + ".notify") == 1);
        assertThat(rig.number("EXISTS", lock)).isZero();
    }

    @Test
    @Tag("R8")
    @Tag("T12")
    @DisplayName(
            "R8 T12 waiting for a replica that is not there ends in time: an error or a warning; the entry is stored once")
    void noReplica() {
        StreamProducer strict = rig.mill.streams().producer("s", new ReplicaWait(1, Duration.ofMillis(200), true));
        StreamProducer lenient = rig.mill.streams().producer("s", new ReplicaWait(1, Duration.ofMillis(200), false));
        long begin = System.nanoTime();
        assertThatThrownBy(() -> strict.queue(1).block(SOON))
                .isInstanceOf(NotReplicatedException.class)
                .hasMessageContaining("0 of 1 replicas");
        assertThat(lenient.queue(2).block(SOON)).isNotNull();
        assertThatThrownBy(() -> strict.delay(3).block(SOON)).isInstanceOf(NotReplicatedException.class);
        assertThat(Duration.ofNanos(System.nanoTime() - begin))
                .isBetween(Duration.ofMillis(600), Duration.ofSeconds(5));
        assertThat(rig.stream.size().block(SOON)).isEqualTo(2);
    }

    @Test
    @Tag("T12")
    @DisplayName("T12 with a replica that follows, waiting succeeds")
    void replica() {
        try (OwnRedis follower = OwnRedis.start("--replicaof", "127.0.0.1", String.valueOf(redis.port()))) {
            Eventually.await(
                    "a replica",
                    Duration.ofSeconds(30),
                    () -> rig.raw("INFO", "replication").text(0).contains("state=online"));
            StreamProducer strict = rig.mill.streams().producer("s", new ReplicaWait(1, Duration.ofSeconds(2), true));
            assertThat(strict.queueAll(List.of(1, 2, 3)).block(SOON)).hasSize(3);
            assertThat(follower.isAlive()).isTrue();
        }
    }

    @Test
    @Tag("P14")
    @DisplayName("P14 on a cluster everything works with our keys; what cannot work there is refused with the reason")
    void cluster() {
        try (RedisClusterFixture cluster = RedisClusterFixture.start();
                StreamRig there =
                        StreamRig.on(RedisSettings.builder(cluster.uri().replaceFirst("^redis:", "redis-cluster:"))
                                .namespace("cl")
                                .build())) {
            there.queue(100);
            there.producer.delayAll(List.of("a", "b")).block(SOON);
            Seen seen = there.collect(there.consumer("c").concurrency(4));
            assertThat(there.mill
                            .streams()
                            .delayer("s", Duration.ZERO)
                            .runOnce()
                            .block(SOON))
                    .isEqualTo(2);
            Eventually.await(
                    "all",
                    SOON,
                    () -> there.state("c").lag() == 0 && seen.records().size() == 102);
            assertThat(there.mill.streams().trimmer("s").runOnce().block(SOON).removed())
                    .isEqualTo(102);
            there.consumer("c").seekToBeginning().block(SOON);
            there.queue(1);
            Eventually.await("one more", SOON, () -> seen.records().size() == 103);
            assertThat(there.mill.streams().names().collectList().block(SOON)).containsExactly("s");
            assertThatThrownBy(() -> there.mill.streams().rubyKeys("")).hasMessageContaining("not in one slot");
            assertThatThrownBy(
                            () -> there.mill.streams().producer("s", new ReplicaWait(1, Duration.ofSeconds(1), true)))
                    .hasMessageContaining("not possible in a cluster");
        }
    }
}
