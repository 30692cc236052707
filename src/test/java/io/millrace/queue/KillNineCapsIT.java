package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.testing.Eventually;
import io.millrace.testing.JvmChild;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Consumers in processes of their own, killed in the middle of their work, where what is in flight is counted. */
@RedisTest
class KillNineCapsIT {

    private static final int KILLS = Integer.getInteger("kills.caps", 5);
    private static final int CAP = 5;
    private static final int FACETS = 9;
    private static final int LIFE = 40; // lines; most kill themselves before
    private static final int MOST_WAITING = 40;
    private static final KilledConsumer.Mode[] MODES = KilledConsumer.Mode.values();

    @Test
    @Tag("F1")
    @Tag("P1")
    @Tag("P2")
    @Tag("P9")
    @Timeout(120)
    @DisplayName("F1 P1 P2 P9 kill -9 under a cap and strict order: never more in flight, and no count is left behind")
    void killed(RedisServer server, @Namespace String namespace) {
        try (QueueRig rig = QueueRig.on(server, namespace)) {
            rig.queue
                    .policies()
                    .cap(Cap.of(CAP))
                    .then(rig.queue.policies().order(Order.STRICT))
                    .block(SOON);
            Set<String> ids = new HashSet<>();
            Set<String> handled = new HashSet<>();
            List<JvmChild> children = new ArrayList<>();
            long most = 0;
            int started = 0;
            int kills = 0;
            while (kills < KILLS) {
                while (children.size() < 3) {
                    children.add(KillNineIT.child(server, namespace, 400, true, 1, MODES[started++ % MODES.length]));
                }
                if (rig.queue.length().block(SOON) < MOST_WAITING) {
                    String id = "m" + ids.size();
                    rig.deliver("f" + id.hashCode() % FACETS, id);
                    ids.add(id);
                }
                InFlight now = InFlight.look(rig);
                assertThat(now.all()).isLessThanOrEqualTo(CAP);
                assertThat(now.mostOfFacet()).isLessThanOrEqualTo(1);
                most = Math.max(most, now.all());
                children.stream().filter(child -> child.lines().size() > LIFE).forEach(JvmChild::kill9);
                for (JvmChild dead :
                        children.stream().filter(child -> !child.isAlive()).toList()) {
                    children.remove(dead);
                    handled(dead, handled);
                    kills++;
                }
            }
            children.forEach(JvmChild::kill9);
            children.forEach(child -> handled(child, handled));
            Eventually.await("all the others", Duration.ofSeconds(30), () -> {
                rig.lease(CAP, LONG).forEach(one -> {
                    handled.add(one.message().id());
                    assertThat(one.ack().block(SOON)).isTrue();
                });
                return rig.facets().isEmpty();
            });

            assertThat(handled).containsExactlyInAnyOrderElementsOf(ids);
            assertThat(most).as("the cap was reached").isEqualTo(CAP);
            assertThat(rig.doctor().findings()).isEmpty();
            assertThat(rig.number("EXISTS", rig.key("busy"), rig.key("parked"))).isZero();
        }
    }

    /** What a dead one had handled to its end; whether it could say so to Redis does not matter. */
    private static void handled(JvmChild dead, Set<String> handled) {
        assertThat(dead.exitCode(SOON)).as("%s", dead.lines()).isEqualTo(128 + 9);
        dead.lines().stream()
                .filter(line -> line.matches("\\d+ done m\\d+"))
                .forEach(line -> handled.add(line.substring(line.lastIndexOf(' ') + 1)));
    }
}
