package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.millrace.RedisRefusedException;
import io.millrace.testing.OwnRedis;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Redis has no memory left: what is in queues can still be worked off. */
@Tag("F13")
class MemoryFullIT {

    @Test
    @DisplayName("F13 memory is full: deliveries are refused whole and say so, all else goes on, and draining cures it")
    void full() {
        try (OwnRedis redis = OwnRedis.start("--maxmemory", "32mb");
                QueueRig rig = QueueRig.on(redis.uri(), "m")) {
            String kilobytes = "x".repeat(20_000);
            rig.mill.queues().register("other", ".*").block(SOON);
            RedisRefusedException refused = null;
            List<String> stored = new ArrayList<>();
            for (int i = 0; refused == null && i < 5_000; i++) {
                String id = "m" + i;
                refused = catchThrowableOfType(RedisRefusedException.class, () -> {
                    rig.mill
                            .deliver(event("f" + id.hashCode() % 3, id).withData(kilobytes))
                            .block(SOON);
                    stored.add(id);
                });
            }
            assertThat(refused).isNotNull();
            assertThat(refused.code()).isEqualTo("OOM");
            assertThat(refused.retryable()).isTrue();
            assertThat(rig.waiting()).isEqualTo(stored.size());
            assertThat(rig.mill.queue("other").length().block(SOON)).isEqualTo(stored.size());

            List<Delivery> leased = rig.lease(40, LONG);
            assertThat(leased).hasSize(40);
            assertThat(leased.get(0).nack().block(SOON)).isTrue();
            assertThat(leased.get(1).nack(Duration.ofMillis(1)).block(SOON)).isTrue();
            assertThat(leased.get(2).extend().block(SOON)).isTrue();
            assertThat(leased.get(3).bury("test").block(SOON)).isTrue();
            assertThat(leased.get(4).release().block(SOON)).isTrue();
            leased.subList(5, 40)
                    .forEach(one -> assertThat(one.ack().block(SOON)).isTrue());
            assertThat(leased.get(2).ack().block(SOON)).isTrue();
            int rest = stored.size() - 37;
            assertThat(rig.queue
                            .receive(LONG)
                            .take(rest)
                            .concatMap(Delivery::ack)
                            .filter(acknowledged -> acknowledged)
                            .count()
                            .block(Duration.ofSeconds(30)))
                    .isEqualTo(rest);
            assertThat(rig.doctor().findings()).isEmpty();
            assertThat(rig.mill
                            .deliver(event("f", "again").withData(kilobytes))
                            .block(SOON)
                            .queues())
                    .containsExactly("other", "q");
        }
    }
}
