package io.millrace.stream;

import static io.millrace.stream.StreamRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.millrace.RedisRefusedException;
import io.millrace.testing.Eventually;
import io.millrace.testing.OwnRedis;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;

/** Redis has no memory left: a stream can still be read to its end, and trimmed. */
@Tag("F13")
class StreamMemoryFullIT {

    @Test
    @DisplayName("F13 memory is full: consumers that begin then read what is there, trimming makes room for what comes")
    void full() {
        try (OwnRedis redis = OwnRedis.start("--maxmemory", "24mb");
                StreamRig rig = StreamRig.on(redis.uri(), "m")) {
            rig.stream.register("c").block(SOON);
            rig.stream.register("skips").block(SOON);
            Map<String, String> large = Map.of("id", "large", "text", "x".repeat(50_000));
            RedisRefusedException refused = null;
            int stored = 0;
            while (refused == null && stored < 5_000) {
                refused = catchThrowableOfType(
                        RedisRefusedException.class,
                        () -> rig.producer.queue(large).block(SOON));
                stored += refused == null ? 1 : 0;
            }
            assertThat(refused).isNotNull();
            assertThat(refused.code()).isEqualTo("OOM");
            AtomicInteger read = new AtomicInteger();
            rig.run(rig.consumer("c")
                    .batchSize(10)
                    .consume(batch -> Mono.fromRunnable(() -> read.addAndGet(batch.size()))));
            int all = stored;
            Eventually.await("all read", SOON, () -> read.get() == all);
            Eventually.await("all committed", SOON, () -> rig.state("c").lag() == 0);
            rig.consumer("skips").seekToEnd().block(SOON);
            assertThat(rig.mill.streams().trimmer("s").runOnce().block(SOON).removed())
                    .isEqualTo(stored);
            rig.producer.queue(large).block(SOON);
            Eventually.await("what comes then", SOON, () -> read.get() == all + 1);
        }
    }
}
