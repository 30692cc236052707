package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.millrace.Event;
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
            Checker checker = new Checker().unordered();
            RedisRefusedException refused = null;
            List<String> stored = new ArrayList<>();
            for (int i = 0; refused == null && i < 5_000; i++) {
                String id = "m" + i;
                refused = catchThrowableOfType(RedisRefusedException.class, () -> {
                    Event one = event("f" + id.hashCode() % 3, id).withData(kilobytes);
                    checker.delivering(one, rig.mill.deliver(one)).block(SOON);
                    stored.add(id);
                });
            }
            assertThat(refused).isNotNull();
            checker.refused("m" + stored.size());
            assertThat(refused.code()).isEqualTo("OOM");
            assertThat(refused.retryable()).isTrue();
            assertThat(rig.waiting()).isEqualTo(stored.size());
            assertThat(rig.mill.queue("other").length().block(SOON)).isEqualTo(stored.size());

            List<Delivery> leased = rig.lease(40, LONG);
            leased.forEach(one -> checker.handedOut(one.message(), one.receipt()));
            assertThat(leased).hasSize(40);
            List.of(0, 1, 4)
                    .forEach(i -> checker.explain(leased.get(i).message().id(), Checker.Cause.RELEASED));
            checker.buried(leased.get(3).message().id());
            Receipt before = leased.get(2).receipt();
            assertThat(leased.get(0).nack().block(SOON)).isTrue();
            assertThat(leased.get(1).nack(Duration.ofMillis(1)).block(SOON)).isTrue();
            assertThat(leased.get(2).extend().block(SOON)).isTrue();
            checker.extended(before, leased.get(2).receipt());
            assertThat(leased.get(3).bury("test").block(SOON)).isTrue();
            assertThat(leased.get(4).release().block(SOON)).isTrue();
            leased.subList(5, 40).forEach(one -> acknowledge(one, checker));
            acknowledge(leased.get(2), checker);
            int rest = stored.size() - 37;
            assertThat(rig.queue
                            .receive(LONG)
                            .take(rest)
                            .doOnNext(one -> checker.handedOut(one.message(), one.receipt()))
                            .concatMap(one -> checker.acknowledging(one.receipt(), one.ack()))
                            .filter(acknowledged -> acknowledged)
                            .count()
                            .block(Duration.ofSeconds(30)))
                    .isEqualTo(rest);
            assertThat(checker.check().duplicates()).isEqualTo(3);
            assertThat(rig.doctor().findings()).isEmpty();
            assertThat(rig.mill
                            .deliver(event("f", "again").withData(kilobytes))
                            .block(SOON)
                            .queues())
                    .containsExactly("other", "q");
        }
    }

    private static void acknowledge(Delivery one, Checker checker) {
        assertThat(checker.acknowledging(one.receipt(), one.ack()).block(SOON)).isTrue();
    }
}
