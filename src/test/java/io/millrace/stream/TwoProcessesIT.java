package io.millrace.stream;

import static io.millrace.stream.StreamRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.testing.Eventually;
import io.millrace.testing.JvmChild;
import io.millrace.testing.Monitor;
import io.millrace.testing.OwnRedis;
import io.millrace.testing.Stopwatch;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/** Two consumer processes, the active one killed, or paused for longer than its lease: F2, F25, T1. */
@Timeout(180)
class TwoProcessesIT {

    private static final Duration LEASE = Duration.ofSeconds(1);

    private OwnRedis redis;
    private StreamRig rig;
    private final List<JvmChild> children = new ArrayList<>();
    private Monitor commits;
    private Disposable load = () -> {};

    @BeforeEach
    void start() {
        redis = OwnRedis.start();
        rig = StreamRig.on(redis.uri(), "two");
        rig.stream.register("c").block(SOON);
        String commit = "\"SET\" \"" + rig.key("offset:c") + "\"";
        commits = Monitor.on(redis.uri(), line -> line.contains(commit));
        load = Flux.interval(Duration.ofMillis(2), Schedulers.boundedElastic())
                .onBackpressureDrop()
                .concatMap(n -> rig.producer.queue(n).onErrorResume(late -> Mono.empty())) // a busy machine's
                .subscribe();
    }

    @AfterEach
    void stop() {
        load.dispose();
        children.forEach(JvmChild::close);
        commits.close();
        rig.close();
        redis.close();
    }

    private JvmChild child() {
        JvmChild child = JvmChild.of(IndexerProcess.class)
                .option("-Xmx128m")
                .args(redis.uri(), "two", String.valueOf(LEASE.toMillis()))
                .start();
        child.awaitLine("ready"::equals, Duration.ofSeconds(30));
        children.add(child);
        return child;
    }

    /** Lines that begin with a word, in pieces. */
    private static List<String[]> lines(JvmChild child, String word) {
        return child.lines().stream()
                .filter(line -> line.startsWith(word + " "))
                .map(line -> line.split(" ", -1))
                .toList();
    }

    private JvmChild active(List<JvmChild> candidates) {
        JvmChild[] found = new JvmChild[1];
        Eventually.await("an active one", Duration.ofSeconds(15), () -> {
            for (JvmChild child : candidates) {
                int before = lines(child, "end").size();
                EntryId offset = rig.offset("c");
                if (before > 0
                        && lines(child, "end").stream()
                                .anyMatch(line -> EntryId.parse(line[2]).equals(offset))) {
                    found[0] = child;
                    return true;
                }
            }
            return false;
        });
        return found[0];
    }

    /** Every value the offset ever had. */
    private void assertInOrder() {
        List<EntryId> offsets = commits.lines().stream()
                .map(line -> EntryId.parse(line.replaceFirst(".*\"([^\"]*)\"$", "$1")))
                .toList();
        assertThat(offsets).hasSizeGreaterThan(20).isSorted();
        assertThat(rig.deadLetters("c")).isEmpty();
    }

    /** Every entry was handled to its end, and no two processes had the same fence. */
    private void assertAllHandled() {
        load.dispose();
        Eventually.await("no lag", Duration.ofSeconds(20), () -> rig.state("c").lag() == 0);
        TreeMap<EntryId, EntryId> ended =
                new TreeMap<>(); // what was handled to its end, from its first entry to its last
        for (JvmChild child : children) {
            lines(child, "end")
                    .forEach(line -> ended.merge(
                            EntryId.parse(line[3]),
                            EntryId.parse(line[2]),
                            (one, other) -> one.isAfter(other) ? one : other));
        }
        List<EntryId> all = rig.ids().stream().map(EntryId::parse).toList();
        assertThat(all).hasSizeGreaterThan(50).allSatisfy(id -> {
            assertThat(ended.floorEntry(id)).isNotNull();
            assertThat(ended.floorEntry(id).getValue().compareTo(id)).isNotNegative();
        });
        assertThat(rig.offset("c")).isEqualTo(all.get(all.size() - 1));
        List<Set<String>> fences = children.stream()
                .map(child ->
                        lines(child, "begin").stream().map(line -> line[1]).collect(Collectors.toSet()))
                .toList();
        for (int i = 0; i < fences.size(); i++) {
            for (int j = i + 1; j < fences.size(); j++) {
                assertThat(fences.get(i)).doesNotContainAnyElementsOf(fences.get(j));
            }
        }
    }

    @Test
    @Tag("F25")
    @Tag("T1")
    @DisplayName(
            "F25 T1 the active one is killed again and again: the other goes on within its lease, no offset moves back")
    void killed() {
        child();
        for (int round = 0; round < 4; round++) {
            JvmChild next = child();
            JvmChild victim = active(children.stream().filter(JvmChild::isAlive).toList());
            victim.kill9();
            EntryId at = rig.offset("c");
            Stopwatch sinceKill = Stopwatch.started();
            Eventually.await("it goes on", SOON, () -> rig.offset("c").isAfter(at));
            assertThat(sinceKill.elapsed()).as("round %s", round).isLessThan(LEASE.plusSeconds(1));
            assertThat(next.isAlive() || victim == next).isTrue();
        }
        assertInOrder();
        assertAllHandled();
    }

    @Test
    @Tag("F2")
    @Tag("R6")
    @DisplayName(
            "F2 R6 the active one is paused for three leases and goes on: one is active at a time, no offset moves back")
    void paused() {
        JvmChild one = child();
        JvmChild two = child();
        for (int round = 0; round < 4; round++) {
            JvmChild victim = active(List.of(one, two));
            JvmChild other = victim == one ? two : one;
            victim.pause();
            int before = lines(other, "end").size();
            Eventually.await(
                    "the other goes on", SOON, () -> lines(other, "end").size() > before + 5);
            EntryId at = rig.offset("c");
            victim.resume();
            Eventually.await(
                    "and on",
                    SOON,
                    () -> rig.offset("c").isAfter(at) && lines(other, "end").size() > before + 50);
        }
        assertInOrder();
        assertAllHandled();
    }
}
