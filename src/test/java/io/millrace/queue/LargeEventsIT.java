package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.millrace.Event;
import io.millrace.MalformedEventException;
import io.millrace.json.EventCodec;
import io.millrace.redis.RedisSettings;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@RedisTest
@Tag("F20")
class LargeEventsIT {

    private static final Duration PATIENCE = Duration.ofSeconds(30);

    private static Event sized(String id, int bytes) {
        Event event = event("a", id).withData("");
        return event.withData("x".repeat(bytes - EventCodec.write(event).length));
    }

    @Test
    @DisplayName(
            "F20 events of 16 and 32 MiB, where that is allowed, come as they were; one byte more is refused before it is sent")
    void large(RedisServer server, @Namespace String namespace) {
        int most = 32 << 20; // 64 are allowed; the tests' JVM has 1 GiB
        QueueSettings settings = new QueueSettings(Duration.ofMinutes(1), most, 1_000);
        RedisSettings redis = RedisSettings.builder(server.uri())
                .namespace(namespace)
                .commandTimeout(PATIENCE)
                .build();
        try (QueueRig rig = QueueRig.on(redis, settings)) {
            Event some = sized("1", 16 << 20);
            Event all = sized("2", most);
            rig.mill.deliver(some).block(PATIENCE);
            rig.mill.deliver(all).block(PATIENCE);
            Delivery first = rig.next(LONG);
            assertThat(first.event().data()).isEqualTo(some.data());
            assertThat(first.ack().block(SOON)).isTrue();
            Delivery second = rig.next(LONG);
            assertThat(second.event().data()).isEqualTo(all.data());
            assertThat(second.ack().block(SOON)).isTrue();

            MalformedEventException refused = catchThrowableOfType(
                    MalformedEventException.class,
                    () -> rig.mill.deliver(sized("3", most + 1)).block(SOON));
            assertThat(refused).hasMessageContaining(String.valueOf(most));
            assertThat(rig.facets()).isEmpty();
        }
    }

    @Test
    @DisplayName("F20 by default 1 MiB is the most; who delivers others with one that is too large has them delivered")
    void byDefault(RedisServer server, @Namespace String namespace) {
        try (QueueRig rig = QueueRig.on(server, namespace)) {
            rig.mill.deliver(sized("fits", 1 << 20)).block(SOON);
            List<Event> events = List.of(event("a", "before"), sized("large", (1 << 20) + 1), event("a", "behind"));
            assertThat(catchThrowableOfType(
                            MalformedEventException.class,
                            () -> rig.mill.queues().deliverAll(events).block(SOON)))
                    .isNotNull();
            assertThat(rig.pullIds(9)).containsExactly("fits", "before", "behind");
        }
    }
}
