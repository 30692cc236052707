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

/** The keys of the Ruby library, key by key as it writes and reads them; a cluster: R2, P14. */
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
    @Tag("R2")
    @DisplayName("R2 what a Ruby consumer has not committed is kept, though it registers nowhere; then it is trimmed")
    void rubyConsumersHoldTrimmingBack() {
        for (int i = 1; i <= 3; i++) {
            rig.raw("XADD", "app:redstream:stream:products", "1000-" + i, "payload", "{\"id\":" + i + "}");
        }
        Streams ruby = rig.mill.streams().rubyKeys("app");
        Seen seen = rig.collect(ruby.consumer("products", "java"));
        Eventually.await("read here", SOON, () -> seen.records().size() == 3);
        Eventually.await(
                "committed here",
                SOON,
                () -> rig.raw("GET", "app:redstream:offset:products:java")
                        .text(0)
                        .equals("1000-3"));
        rig.raw("SET", "app:redstream:offset:products:ru[b]y*", "1000-1");
        rig.raw("SET", "app:redstream:offset:products2:other", "0-0");
        Trimmer trimmer = ruby.trimmer("products");
        assertThat(trimmer.runOnce().block(SOON))
                .isEqualTo(new Trimmer.Report(1, List.of("ru[b]y*"), List.of("ru[b]y*")));
        rig.raw("SET", "app:redstream:offset:products:ru[b]y*", "1000-3");
        assertThat(trimmer.runOnce().block(SOON).removed()).isEqualTo(2);
    }

    @Test
    @DisplayName("what a Rails application has delayed is moved once it is due, whole and once, and gone from there")
    void rubyNotes() {
        long now = rig.number("TIME") * 1000;
        String delayed = "redstream:stream:products.delay";
        for (int i = 0; i < 1_200; i++) {
            rig.raw("XADD", delayed, (now - 400_000) + "-" + i, "payload", "{\"id\":" + i + "}");
        }
        rig.raw("XADD", delayed, (now - 200_000) + "-0", "payload", "{\"id\":\"late\"}");
        Streams ruby = rig.mill.streams().rubyKeys("");
        ruby.producer("products").delay("ours").block(SOON);
        Seen seen = rig.collect(ruby.consumer("products", "indexer"));
        assertThat(ruby.delayer("products", Duration.ofMinutes(5)).runOnce().block(SOON))
                .isEqualTo(1_200);
        assertThat(ruby.delayer("products", Duration.ofMinutes(5)).runOnce().block(SOON))
                .isZero();
        Eventually.await("all that were due", SOON, () -> seen.records().size() == 1_200);
        assertThat(rig.number("XLEN", delayed)).isEqualTo(1);
        assertThat(ruby.delayer("products", Duration.ZERO).runOnce().block(SOON))
                .isEqualTo(2);
        Eventually.await("both", SOON, () -> seen.records().containsAll(List.of("late", "ours")));
        assertThat(seen.records()).hasSize(1_202).doesNotHaveDuplicates();
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
