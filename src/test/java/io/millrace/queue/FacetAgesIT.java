package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** How old the oldest message of a facet is said to be. */
@RedisTest
class FacetAgesIT {

    /** What following the server's clock may be off by. */
    private static final Duration SKEW = Duration.ofMillis(50);

    private static final Duration OLD = Duration.ofMillis(300);

    @Test
    @DisplayName("of several in flight the oldest counts")
    void inFlight(RedisServer server, @Namespace String namespace) {
        try (QueueRig rig = QueueRig.on(server, namespace)) {
            rig.deliver("a", "1");
            assertThat(rig.lease(1, LONG)).hasSize(1);
            long delivered = System.nanoTime();
            Eventually.await("time", SOON, () -> System.nanoTime() - delivered > OLD.toNanos());
            rig.deliver("a", "2");
            assertThat(rig.lease(1, LONG)).hasSize(1);

            FacetState state = rig.facets().get(0);
            assertThat(state.inFlight()).isEqualTo(2);
            assertThat(state.oldestAge()).isGreaterThan(OLD.minus(SKEW));
        }
    }

    @Test
    @DisplayName("the oldest message counts from its delivery, whether it waits, came back, is leased or held back")
    void ages(RedisServer server, @Namespace String namespace) {
        try (QueueRig rig = QueueRig.on(server, namespace)) {
            long began = System.nanoTime();
            rig.deliver("returned", "1");
            rig.deliver("leased", "2");
            rig.deliver("held", "3");
            for (Delivery one : rig.lease(3, LONG)) {
                switch (one.message().facet()) {
                    case "returned" -> one.release().block(SOON);
                    case "held" -> one.nack(Duration.ofHours(1)).block(SOON);
                    default -> {}
                }
            }
            rig.deliver("waiting", "4");
            long delivered = System.nanoTime();
            Eventually.await("time", SOON, () -> System.nanoTime() - delivered > OLD.toNanos());
            long late = System.nanoTime();
            rig.deliver("returned", "5");
            rig.deliver("leased", "6");
            rig.deliver("held", "7");
            rig.deliver("waiting", "8");
            rig.deliver("young", "9");

            Map<String, FacetState> states =
                    rig.facets().stream().collect(Collectors.toMap(FacetState::facet, Function.identity()));
            Duration sinceFirst = Duration.ofNanos(System.nanoTime() - began).plus(SKEW);
            Duration sinceLate = Duration.ofNanos(System.nanoTime() - late).plus(SKEW);
            assertThat(states).hasSize(5);
            states.forEach((facet, state) -> {
                if (facet.equals("young")) {
                    assertThat(state.oldestAge()).as(facet).isBetween(Duration.ZERO, sinceLate);
                } else {
                    assertThat(state.oldestAge()).as(facet).isBetween(OLD.minus(SKEW), sinceFirst);
                }
            });
            assertThat(states.get("returned").waiting()).isEqualTo(2);
            assertThat(states.get("leased").inFlight()).isEqualTo(1);
            assertThat(states.get("held").later()).isEqualTo(1);
        }
    }
}
