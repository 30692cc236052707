package io.millrace.queue;

import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.redis.RedisSettings;
import io.millrace.testing.Eventually;
import io.millrace.testing.OwnRedis;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import reactor.core.publisher.Flux;

/**
 * A server of its own: for a while there are a million keys. It takes half a minute to a minute, so only when asked for: {@code
 * -Dtest.large=true -Dit.test=MillionFacetsIT}. 100,000 pass through in every build, see {@link PeerFaultsIT}.
 */
@EnabledIfSystemProperty(named = "test.large", matches = "true")
class MillionFacetsIT {

    private static final int FACETS = 1_000_000;
    private static final int PIECE = 10_000;
    private static final Duration LONG = Duration.ofMinutes(3);

    @Test
    @Tag("P13")
    @DisplayName("P13 1,000,000 facets pass through: no key is left of any of them, and memory is back")
    void nothingIsLeft() {
        QueueSettings brief = new QueueSettings(Duration.ofSeconds(10), 1 << 20, 40_000);
        try (OwnRedis redis = OwnRedis.start();
                QueueRig rig = QueueRig.on(
                        RedisSettings.builder(redis.uri()).namespace("p").build(), brief)) {
            long before = used(rig);
            Flux.range(0, FACETS / PIECE)
                    .flatMap(
                            piece -> Flux.range(piece * PIECE, PIECE)
                                    .map(i -> event("facet" + i, "m" + i))
                                    .collectList()
                                    .flatMap(rig.mill.queues()::deliverAll),
                            2)
                    .blockLast(LONG);
            assertThat(rig.number("LLEN", rig.key("ring"))).isEqualTo(FACETS);
            assertThat(rig.number("DBSIZE")).isGreaterThan(FACETS);
            AtomicInteger taken = new AtomicInteger();
            rig.queue
                    .receiveBatches(LeaseOptions.builder()
                            .batchSize(256)
                            .lease(Duration.ofSeconds(2))
                            .build())
                    .flatMap(batch -> batch.ack().thenReturn(batch.messages().size()), 8)
                    .takeUntil(size -> taken.addAndGet(size) == FACETS)
                    .blockLast(LONG);
            assertThat(taken).hasValue(FACETS);
            Eventually.await(
                    "forgotten leases",
                    SOON,
                    () -> rig.pullIds(1).isEmpty() && rig.keys().stream().noneMatch(key -> key.contains(":l:")));
            for (String ids : List.of(rig.key("ids"), rig.key("ids.old"))) { // they would be gone within the window
                if (rig.number("EXISTS", ids) == 1) {
                    assertThat(rig.number("PTTL", ids)).isBetween(1L, 40_000L);
                    rig.raw("DEL", ids);
                }
            }
            assertThat(rig.keys())
                    .isSubsetOf("p:{registry}:queues", "p:{registry}:version", rig.key("ids.since"), rig.key("dwell"));
            assertThat(used(rig) - before).isLessThan(16 << 20);
        }
    }

    private static long used(QueueRig rig) {
        return rig.raw("INFO", "memory")
                .text(0)
                .lines()
                .filter(line -> line.startsWith("used_memory:"))
                .mapToLong(line -> Long.parseLong(line.substring(line.indexOf(':') + 1)))
                .sum();
    }
}
