package io.millrace.queue;

import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Event;
import io.millrace.json.EventCodec;
import io.millrace.redis.LuaScript;
import io.millrace.redis.Reply;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** For how long a queue knows the ids of what was delivered: one window at least, two at most. */
@RedisTest
class DeduplicationIT {

    private static final int WINDOW = 10_000;

    private QueueRig rig;

    @BeforeEach
    void open(RedisServer server, @Namespace String namespace) {
        rig = QueueRig.on(server, namespace);
    }

    @AfterEach
    void close() {
        rig.close();
    }

    enum Way {
        ONE,
        SEVERAL,
        LIMITED,
        DELAYED
    }

    @ParameterizedTest
    @EnumSource
    @DisplayName("an id is known through the window it came in and the next one, and then is not; all of it expires")
    void windows(Way way) {
        assertThat(isNew(way, "m1", WINDOW)).isTrue();
        assertThat(isNew(way, "m1", WINDOW)).isFalse();
        assertThat(rig.number("PTTL", rig.key("ids"))).isBetween((long) WINDOW, 2L * WINDOW);

        began(WINDOW / 2);
        assertThat(isNew(way, "m2", WINDOW)).isTrue();
        assertThat(rig.number("EXISTS", rig.key("ids.old"))).isZero();

        began(WINDOW);
        rig.raw("PEXPIRE", rig.key("ids"), 86_400_000); // as when a delayed delivery was the last one
        assertThat(isNew(way, "m3", WINDOW)).isTrue();
        assertThat(rig.number("EXISTS", rig.key("ids.old"))).isOne();
        assertThat(rig.number("PTTL", rig.key("ids.old"))).isBetween((long) WINDOW, 2L * WINDOW);
        assertThat(rig.number("PTTL", rig.key("ids.since"))).isBetween(3L * WINDOW, 4L * WINDOW);
        assertThat(isNew(way, "m2", 0)).isFalse();

        began(WINDOW);
        assertThat(isNew(way, "m4", WINDOW)).isTrue();
        assertThat(isNew(way, "m3", 0)).isFalse();
        assertThat(isNew(way, "m1", 0)).isTrue();
    }

    @Test
    @DisplayName("two of one id in one batch are one message, the first")
    void sameBatch() {
        List<Event> twice = List.of(QueueRig.event("a", "m"), QueueRig.event("b", "m"), QueueRig.event("b", "n"));

        assertThat(rig.mill.queues().deliverAll(twice).block(SOON))
                .extracting(one -> one.duplicateIn().size())
                .containsExactly(0, 1, 0);
        assertThat(rig.queue.pull(9).map(Message::facet).collectList().block(SOON))
                .containsExactly("a", "b");
    }

    /** The window has begun so long ago. */
    private void began(int millis) {
        long now = rig.number("TIME") * 1_000;
        rig.raw("SET", rig.key("ids.since"), now - millis, "KEEPTTL");
    }

    /** Delivers as somebody does who does not check what is registered; a window of 0 leaves the windows alone. */
    private boolean isNew(Way way, String id, int window) {
        rig.raw("DEL", rig.key("delayed"), rig.key("later")); // what is still to come is known for longer
        switch (way) {
            case ONE -> {
                return run(QueueScripts.DELIVER, "-", window, 1, "", element(id), id, "a", 0)
                                .size()
                        == 1;
            }
            case SEVERAL -> {
                String other = id + "/" + System.nanoTime();
                Reply reply = run(
                        QueueScripts.DELIVER,
                        "-",
                        window,
                        2,
                        "",
                        element(other),
                        other,
                        "a",
                        "",
                        element(id),
                        id,
                        "a",
                        0);
                return reply.size() == 1;
            }
            case LIMITED -> {
                return run(QueueScripts.ADMIT, "-", window, 1, "", element(id), id, "a", 99, "reject", 0)
                                .size()
                        == 1;
            }
            case DELAYED -> {
                return run(QueueScripts.SCHEDULE, "-", window, "+3600000", "", id, element(id), 0, "reject")
                                .number(1)
                        == 1;
            }
        }
        throw new AssertionError(way);
    }

    private Reply run(LuaScript<Reply> script, Object... words) {
        List<byte[]> keys = new ArrayList<>(List.of(Leases.bytes(rig.key("")), Leases.bytes(rig.key("-"))));
        return rig.mill.redis().run(script, keys, Insight.args(words)).block(SOON);
    }

    private static String element(String id) {
        return new String(
                EventCodec.writeStored(QueueRig.event("a", id), Instant.now(), 1_000), StandardCharsets.UTF_8);
    }
}
