package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.queue.DoctorReport.Finding;
import io.millrace.queue.DoctorReport.Kind;
import io.millrace.redis.Reply;
import io.millrace.testing.OwnRedis;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;

/** The doctor, where 100,000 facets wait for their turn. */
class LongRingIT {

    /** So many facets with a message each; of the first ones some have no turn, some have two, and some turns are of nobody. */
    private static final String FILL = """
            local unit, all, none, twice, ghosts = ARGV[1], ARGV[2] + 0, ARGV[3] + 0, ARGV[4] + 0, ARGV[5] + 0
            for i = 1, all do
              local facet = 'f' .. i
              redis.call('RPUSH', unit .. 'f:' .. facet,
                '{"_at":1790000000000,"environment":"' .. facet .. '","type":"t","name":"n","id":"m' .. i .. '"}')
              if i > none then redis.call('RPUSH', unit .. 'ring', facet) end
              if i > none and i <= none + twice then redis.call('RPUSH', unit .. 'ring', facet) end
              if i <= ghosts then redis.call('RPUSH', unit .. 'ring', 'ghost' .. i) end
            end
            """;

    private static final int ALL = 100_000;

    private OwnRedis redis;
    private QueueRig rig;

    @BeforeEach
    void start() {
        redis = OwnRedis.start();
        rig = QueueRig.on(redis.uri(), "p");
    }

    @AfterEach
    void stop() {
        rig.close();
        redis.close();
    }

    private void fill(int all, int none, int twice, int ghosts) {
        rig.raw("EVAL", FILL, 0, rig.key(""), all, none, twice, ghosts);
    }

    private Map<Kind, Long> findings() {
        return rig.queue.doctor().block(Duration.ofSeconds(60)).findings().stream()
                .collect(Collectors.groupingBy(Finding::kind, Collectors.summingLong(Finding::count)));
    }

    private List<String> ring() {
        Reply ring = rig.raw("LRANGE", rig.key("ring"), 0, -1);
        return IntStream.range(0, ring.size()).mapToObj(ring::text).toList();
    }

    /** On average: a single call may have had to wait for a busy machine. Looking for each of 50 facets takes more than 20 ms. */
    private static double usecPerCall(String stats, String command) {
        Matcher calls = Pattern.compile("cmdstat_" + command + ":.*usec_per_call=([0-9.]+)")
                .matcher(stats);
        assertThat(calls.find()).isTrue();
        return Double.parseDouble(calls.group(1));
    }

    @Test
    @Tag("P4")
    @DisplayName("P4 100,000 facets, 3,000 to be judged: no step of the doctor looks through the ring, all is mended")
    void boundedSteps() {
        fill(ALL, 3_000, 60, 60);
        rig.raw("CONFIG", "RESETSTAT");

        assertThat(findings()).isEqualTo(Map.of(Kind.MISSING, 3_000L, Kind.DOUBLE, 60L, Kind.IDLE, 60L));

        String stats = rig.raw("INFO", "commandstats").text(0);
        assertThat(stats).doesNotContain("cmdstat_lpos:", "cmdstat_lrem:");
        assertThat(usecPerCall(stats, "lrange")).isLessThan(1_000);
        assertThat(usecPerCall(stats, "evalsha")).isLessThan(5_000);
        assertThat(ring()).hasSize(ALL).doesNotHaveDuplicates().noneMatch(facet -> facet.startsWith("ghost"));
        assertThat(findings()).isEmpty();
    }

    @Test
    @Tag("P1")
    @DisplayName(
            "P1 of a facet without messages that is also the head of a long ring every turn goes, and nobody else's")
    void idleHead() {
        fill(5_000, 0, 0, 0);
        rig.raw("LPUSH", rig.key("ring"), "ghost");
        rig.raw("LINSERT", rig.key("ring"), "BEFORE", "f50", "ghost");

        assertThat(findings()).isEqualTo(Map.of(Kind.IDLE, 1L));
        assertThat(ring()).hasSize(5_000).doesNotHaveDuplicates().doesNotContain("ghost");
    }

    @Test
    @Tag("P1")
    @DisplayName("P1 a turn that was met before the ring turned on is found where it stands now")
    void turnedOn() {
        fill(5_000, 0, 0, 0);
        for (int i = 0; i < 10; i++) {
            rig.raw("LMOVE", rig.key("ring"), rig.key("ring"), "LEFT", "RIGHT");
        }

        assertThat(judged(4_999, "f5000", "f100", 1, 99, "f5", 1, 4)).containsExactly("JUDGED", "FINE", "FINE");
        assertThat(ring()).hasSize(5_000);
    }

    @Test
    @Tag("P1")
    @DisplayName("P1 where a walk ended is found although its last facet has another turn shortly before")
    void endOfAWalk() {
        fill(5_000, 0, 0, 0);
        rig.raw("LINSERT", rig.key("ring"), "BEFORE", "f4900", "f5000");

        assertThat(judged(5_000, "f5000", "f100", 1, 99)).containsExactly("JUDGED", "FINE");
        assertThat(ring()).hasSize(5_001);
    }

    private List<String> judged(Object... words) {
        List<Object> all = new ArrayList<>(List.of("facets"));
        all.addAll(List.of(words));
        Reply judged = rig.mill
                .redis()
                .run(QueueScripts.JUDGE, List.of(Leases.bytes(rig.key(""))), Insight.args(all.toArray()))
                .block(SOON);
        return IntStream.range(1, judged.size()).mapToObj(judged::text).toList();
    }

    @Test
    @Tag("P1")
    @DisplayName("P1 while the ring turns nobody who has a turn is given another one, and who has none is found")
    void whileItTurns() {
        fill(ALL / 10, 200, 0, 0);
        AtomicInteger pulled = new AtomicInteger();
        Disposable pulling = Flux.defer(() -> rig.queue.lease(200, LONG))
                .concatMap(one -> one.release().doOnNext(done -> pulled.incrementAndGet()), 32)
                .repeat()
                .subscribe();
        assertThat(findings()).isEqualTo(Map.of(Kind.MISSING, 200L));
        pulling.dispose();

        assertThat(pulled).hasPositiveValue();
        rig.queue.lease(200, LONG).concatMap(Delivery::release).blockLast(SOON);
        assertThat(ring()).doesNotHaveDuplicates();
    }
}
