package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.queue.DoctorReport.Finding;
import io.millrace.queue.DoctorReport.Kind;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.OwnRedis;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Q7: every invariant is damaged by hand; the doctor names it, mends it, and nothing is lost. */
@RedisTest
@Tag("P1")
class QueueDoctorIT {

    private static final int MESSAGES = 12;

    private QueueRig rig;

    @BeforeEach
    void open(RedisServer server, @Namespace String namespace) {
        rig = QueueRig.on(server, namespace);
    }

    @AfterEach
    void close() {
        rig.close();
    }

    /** What somebody does past the queue, and what the doctor calls it. The facets are a, b and c, with four messages each. */
    enum Damage {
        NO_TURN(Kind.MISSING, 1, rig -> rig.raw("LREM", rig.key("ring"), 0, "a")),
        NO_TURN_FOR_WHAT_CAME_BACK(Kind.MISSING, 1, rig -> {
            rig.lease(12, LONG).forEach(one -> one.release().block(SOON));
            rig.raw("LREM", rig.key("ring"), 0, "b");
        }),
        TWO_TURNS(Kind.DOUBLE, 1, rig -> rig.raw("RPUSH", rig.key("ring"), "a", "a")),
        A_TURN_HERE_AND_THERE(Kind.DOUBLE, 1, rig -> {
            inFair(rig);
            rig.raw("RPUSH", rig.key("ring"), "b");
        }),
        A_TURN_AND_ASIDE(Kind.DOUBLE, 1, rig -> {
            rig.queue.policies().pause("a").block(SOON);
            rig.raw("ZADD", rig.key("parked"), -1, "a");
        }),
        A_TURN_AND_ASIDE_FOR_NOW(Kind.DOUBLE, 1, rig -> {
            inFair(rig);
            rig.raw("ZADD", rig.key("throttled"), 1, "a"); // it is over: the next pull lets it go on
        }),
        NOTHING_TO_SERVE(Kind.IDLE, 2, rig -> rig.raw("RPUSH", rig.key("ring"), "ghost", "spirit")),
        NOTHING_TO_SERVE_ASIDE(Kind.IDLE, 1, rig -> {
            rig.queue.policies().pause("ghost").block(SOON);
            rig.raw("ZADD", rig.key("parked"), -1, "ghost");
        }),
        LEASES_OUT_OF_SIGHT(Kind.UNRECORDED, 1, rig -> {
            rig.lease(2, QueueRig.SHORT);
            rig.raw("DEL", rig.key("leases"));
        }),
        IDS_FOR_EVER(Kind.ENDLESS, 1, rig -> rig.raw("PERSIST", rig.key("ids"))),
        OLD_IDS_FOR_EVER(Kind.ENDLESS, 1, rig -> {
            rig.raw("RENAME", rig.key("ids"), rig.key("ids.old"));
            rig.raw("PERSIST", rig.key("ids.old"));
        }),
        NO_TIME(Kind.TIMELESS, 1, rig -> {
            rig.mill
                    .queues()
                    .deliverAfter(QueueRig.event("a", "late"), Duration.ofHours(1))
                    .block(SOON);
            rig.raw("ZREM", rig.key("later"), "=late");
        }),
        COUNTED_AND_NOT_IN_FLIGHT(Kind.MISCOUNTED, 2, rig -> {
            rig.queue.policies().capEach(Cap.of(9)).block(SOON);
            rig.raw(
                    "ZADD",
                    rig.key("busy"),
                    0,
                    "1:a/" + LONG.profile() + "/1-1.1",
                    0,
                    "1:b/" + LONG.profile() + "/1-2.1");
        }),
        IN_FLIGHT_AND_NOT_COUNTED(Kind.MISCOUNTED, 3, rig -> {
            rig.queue.policies().capEach(Cap.of(9)).block(SOON);
            rig.lease(3, QueueRig.SHORT);
            rig.raw("DEL", rig.key("busy"));
        }),
        ROOM_FOR_NOBODY(Kind.MISCOUNTED, 1, rig -> rig.raw("ZADD", rig.key("promised"), 0, "1:a/nobody")),
        PARKED_FOR_NO_REASON(Kind.STUCK, 2, rig -> {
            rig.queue.policies().weight("unrelated", 2).block(SOON);
            rig.raw("DEL", rig.key("ring"));
            rig.raw("ZADD", rig.key("parked"), -1, "a", 0.5, "b");
            rig.raw("RPUSH", rig.key("ring"), "c");
        }),
        PARKED_BELOW_ITS_CAP(Kind.STUCK, 1, rig -> {
            rig.queue.policies().capEach(Cap.of(2)).block(SOON);
            rig.lease(1, QueueRig.SHORT);
            rig.raw(
                    "ZREM",
                    rig.key("fair"),
                    rig.raw("HGET", rig.key("place"), "a").text(0));
            rig.raw("HDEL", rig.key("place"), "a");
            rig.raw("ZADD", rig.key("parked"), -1, "a");
        }),
        DIED_BETWEEN_CAP_AND_RELEASE(Kind.STUCK, 3, rig -> {
            rig.queue.policies().capEach(Cap.of(1)).block(SOON);
            assertThat(rig.lease(9, QueueRig.SHORT)).hasSize(3);
            set(rig, "each.cap", "3");
        }),
        DIED_BETWEEN_RATE_AND_RELEASE(Kind.STUCK, 3, rig -> {
            rig.queue.policies().rateEach(new Rate(1, Duration.ofDays(1), 1)).block(SOON);
            assertThat(rig.lease(9, QueueRig.SHORT)).hasSize(3);
            set(rig, "each.rate", "");
        }),
        DIED_BETWEEN_FASTER_RATE_AND_RELEASE(Kind.STUCK, 3, rig -> {
            rig.queue.policies().rateEach(new Rate(1, Duration.ofDays(1), 1)).block(SOON);
            assertThat(rig.lease(9, QueueRig.SHORT)).hasSize(3);
            set(rig, "each.rate", Rate.perSecond(5).stored());
        }),
        DIED_BETWEEN_ORDER_AND_RELEASE(Kind.STUCK, 3, rig -> {
            rig.queue.policies().order(Order.STRICT).block(SOON);
            Delivery head = rig.lease(1, LONG).get(0);
            assertThat(head.nack(Duration.ofHours(1)).block(SOON)).isTrue();
            assertThat(rig.lease(9, QueueRig.SHORT)).hasSize(2);
            set(rig, "strict", "");
        }),
        NOT_TO_BE_FOUND(Kind.MISPLACED, 1, rig -> {
            inFair(rig);
            rig.raw("HDEL", rig.key("place"), "a");
        }),
        WAITING_TWICE(Kind.MISPLACED, 1, rig -> {
            inFair(rig);
            rig.raw("ZADD", rig.key("fair"), 7, "0000000000000099:a");
        }),
        PLACE_OF_NOBODY(Kind.MISPLACED, 1, rig -> {
            inFair(rig);
            rig.raw("HSET", rig.key("place"), "ghost", "0000000000000099:ghost");
        });

        private final Kind kind;
        private final long count;
        private final Consumer<QueueRig> doing;

        Damage(Kind kind, long count, Consumer<QueueRig> doing) {
            this.kind = kind;
            this.count = count;
            this.doing = doing;
        }

        private static void inFair(QueueRig rig) {
            rig.queue.policies().weight("unrelated", 2).block(SOON);
            rig.lease(1, QueueRig.SHORT);
            assertThat(rig.number("ZCARD", rig.key("fair"))).isEqualTo(3);
        }

        private static void set(QueueRig rig, String field, String value) {
            rig.mill
                    .redis()
                    .run(
                            QueueScripts.POLICY,
                            List.of(Leases.bytes(rig.key(""))),
                            Insight.args("set", "", "0", field, value))
                    .block(SOON);
        }
    }

    @ParameterizedTest
    @EnumSource
    @DisplayName("P1 the doctor names what is wrong, mends it in one go, and every message is handed out")
    void mends(Damage damage) {
        Set<String> ids = new HashSet<>();
        for (String facet : List.of("a", "b", "c")) {
            rig.fill(facet, MESSAGES / 3);
            IntStream.range(0, MESSAGES / 3).forEach(i -> ids.add(facet + "-" + i));
        }
        assertThat(rig.doctor().healthy()).isTrue();
        damage.doing.accept(rig);

        List<Finding> findings = rig.doctor().findings();

        assertThat(findings).extracting(Finding::kind).containsOnly(damage.kind);
        assertThat(findings.stream().mapToLong(Finding::count).sum()).isEqualTo(damage.count);
        assertThat(rig.doctor().findings()).isEmpty();
        rig.queue.policies().resume("a").block(SOON);
        Eventually.await("all messages", SOON, () -> {
            rig.lease(20, LONG).forEach(one -> {
                ids.remove(one.message().id());
                one.ack().block(SOON);
            });
            return ids.isEmpty();
        });
        assertThat(rig.doctor().findings()).isEmpty();
    }

    @Test
    @DisplayName(
            "P1 who stands aside for a reason is left alone: paused, at a cap, at a rate, held back in strict order")
    void leavesAlone() {
        for (int i = 0; i < 8; i++) {
            rig.fill("f" + i, 3);
        }
        Policies policies = rig.queue.policies();
        policies.pause("f0")
                .then(policies.weight("f1", 0))
                .then(policies.cap("f2", Cap.of(1)))
                .then(policies.cap("f3", Cap.of(1).whileOthersWait()))
                .then(policies.rate("f4", new Rate(1, Duration.ofDays(1), 1)))
                .then(policies.rateEach(new Rate(2, Duration.ofDays(1), 1)))
                .block(SOON);
        assertThat(rig.lease(20, LONG)).hasSize(6);
        assertThat(rig.lease(20, LONG)).isEmpty();
        long parked = rig.number("ZCARD", rig.key("parked"));
        long throttled = rig.number("ZCARD", rig.key("throttled"));
        assertThat(parked).isGreaterThanOrEqualTo(3);
        assertThat(throttled).isGreaterThanOrEqualTo(4);

        assertThat(rig.doctor().findings()).isEmpty();

        assertThat(rig.number("ZCARD", rig.key("parked"))).isEqualTo(parked);
        assertThat(rig.number("ZCARD", rig.key("throttled"))).isEqualTo(throttled);
        policies.rateEach(Rate.UNLIMITED).then(policies.order(Order.STRICT)).block(SOON);
        rig.fill("g", 2);
        rig.lease(20, LONG).forEach(one -> one.nack(Duration.ofHours(1)).block(SOON));
        assertThat(rig.lease(20, LONG)).isEmpty();
        assertThat(rig.doctor().findings()).isEmpty();
        assertThat(rig.lease(20, LONG)).isEmpty();
    }

    @Test
    @DisplayName("P1 of several turns of a facet its first one stays")
    void firstTurnStays() {
        for (String facet : List.of("a", "b", "c")) {
            rig.fill(facet, 2);
        }
        rig.raw("RPUSH", rig.key("ring"), "a", "a");

        assertThat(rig.doctor().findings()).containsExactly(new Finding(Kind.DOUBLE, "a", 1));
        assertThat(rig.pullIds(4)).containsExactly("a-0", "b-0", "c-0", "a-1");
    }

    @Test
    @DisplayName("P1 who is throttled for longer than his rate has it is found, also where there is a burst")
    void throttledForTooLong() {
        rig.queue.policies().rate("a", new Rate(3, Duration.ofDays(1), 3)).block(SOON);
        rig.fill("a", 9);
        assertThat(rig.lease(9, LONG)).hasSize(3);
        assertThat(rig.doctor().findings()).isEmpty();
        rig.raw("ZINCRBY", rig.key("throttled"), Duration.ofHours(1).toMillis(), "a");

        assertThat(rig.doctor().findings()).containsExactly(new Finding(Kind.STUCK, "throttled", 1));
        assertThat(rig.lease(9, LONG)).isEmpty();
        assertThat(rig.doctor().findings()).isEmpty();
    }

    @Test
    @DisplayName("the keys are looked through once for all partitions, in pages; what is wrong in each is found")
    void partitions() {
        try (OwnRedis redis = OwnRedis.start();
                QueueRig parted = QueueRig.on(
                        io.millrace.redis.RedisSettings.builder(redis.uri())
                                .namespace("p")
                                .build(),
                        8)) {
            List<String> lost = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                for (String facet : parted.facetsIn(i, 150)) {
                    parted.deliver(facet, "m");
                }
                String facet = parted.facetsIn(i, 1).get(0);
                parted.raw("LREM", parted.key(i, "ring"), 0, facet);
                lost.add(facet);
            }
            long keys = parted.number("DBSIZE");
            parted.raw("CONFIG", "RESETSTAT");

            assertThat(parted.doctor().findings())
                    .containsExactlyInAnyOrderElementsOf(lost.stream()
                            .map(facet -> new Finding(Kind.MISSING, facet, 1))
                            .toList());

            Matcher scans = Pattern.compile("cmdstat_scan:calls=(\\d+)")
                    .matcher(parted.raw("INFO", "commandstats").text(0));
            assertThat(scans.find()).isTrue();
            assertThat(Long.parseLong(scans.group(1))).isLessThanOrEqualTo(keys / 400 + 2);
            assertThat(parted.doctor().findings()).isEmpty();
        }
    }
}
