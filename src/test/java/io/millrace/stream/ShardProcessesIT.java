package io.millrace.stream;

import static io.millrace.stream.StreamRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.testing.Eventually;
import io.millrace.testing.JvmChild;
import io.millrace.testing.OwnRedis;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
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

/** Member processes that come, leave, are killed and paused at random, while a stream of several shards is written: F2, F25, T5. */
@Timeout(180)
class ShardProcessesIT {

    private static final int SHARDS = 6;
    private static final Duration LEASE = Duration.ofSeconds(1);

    /** What a member did with a batch; {@code end} is when it was killed or paused, if that came first. */
    private record Work(int shard, long begin, long end, EntryId first, EntryId last, boolean done) {}

    private OwnRedis redis;
    private StreamRig rig;
    private final List<JvmChild> members = new ArrayList<>();
    private final Map<JvmChild, Long> stopped = new HashMap<>(); // killed or paused at
    private final Map<Integer, List<EntryId>> offsets = new HashMap<>();
    private Disposable load = () -> {};

    @BeforeEach
    void start() {
        redis = OwnRedis.start();
        rig = StreamRig.on(redis.uri(), "many");
        rig.mill.streams().create("s", SHARDS).block(SOON);
        rig.stream.register("c").block(SOON);
        for (int shard = 0; shard < SHARDS; shard++) {
            offsets.put(shard, Collections.synchronizedList(new ArrayList<>()));
        }
        load = Flux.interval(Duration.ofMillis(4), Schedulers.boundedElastic())
                .onBackpressureDrop()
                .concatMap(n -> rig.producer
                        .queue(n)
                        .then(n % 10 == 0 ? look() : Mono.<Void>empty())
                        .onErrorResume(late -> Mono.empty())) // a busy machine's
                .subscribe();
    }

    private Mono<Void> look() {
        return rig.stream
                .state()
                .doOnNext(state ->
                        offsets.get(state.shard()).add(state.consumers().get(0).offset()))
                .then();
    }

    @AfterEach
    void stop() {
        load.dispose();
        members.forEach(JvmChild::close);
        rig.close();
        redis.close();
    }

    private JvmChild comes() {
        JvmChild member = JvmChild.of(IndexerProcess.class)
                .option("-Xmx128m")
                .option("-XX:TieredStopAtLevel=1")
                .args(redis.uri(), "many", String.valueOf(LEASE.toMillis()))
                .start();
        member.awaitLine("ready"::equals, Duration.ofSeconds(30));
        members.add(member);
        return member;
    }

    private static List<Work> work(JvmChild member, long until) {
        Map<String, String[]> begun = new HashMap<>();
        List<Work> all = new ArrayList<>();
        for (String line : member.lines()) {
            String[] words = line.split(" ", -1);
            if (words[0].equals("begin")) {
                begun.put(words[4], words);
            } else if (words[0].equals("end")) {
                all.add(work(begun.remove(words[4]), Math.min(until, Long.parseLong(words[5])), true));
            }
        }
        begun.values().forEach(words -> all.add(work(words, until, false)));
        return all;
    }

    private static Work work(String[] begin, long end, boolean done) {
        return new Work(
                Integer.parseInt(begin[4]),
                Long.parseLong(begin[5]),
                end,
                EntryId.parse(begin[2]),
                EntryId.parse(begin[3]),
                done);
    }

    @Test
    @Tag("T5")
    @Tag("F25")
    @Tag("F2")
    @DisplayName(
            "T5 F2 F25 members come, leave, are killed and paused: a shard has one active, all is handled, no offset moves back")
    void random() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        List<JvmChild> alive = new ArrayList<>(List.of(comes(), comes()));
        for (int step = 0; step < 8; step++) {
            String as = "seed " + seed + " step " + step;
            int dice = alive.size() == 1 ? 0 : alive.size() == 4 ? 1 + random.nextInt(3) : random.nextInt(4);
            JvmChild victim = alive.get(random.nextInt(alive.size()));
            switch (dice) {
                case 0 -> alive.add(comes());
                case 1 -> {
                    victim.kill9();
                    stopped.put(victim, System.nanoTime());
                    alive.remove(victim);
                }
                case 2 -> {
                    victim.terminate();
                    assertThat(victim.exitCode(SOON)).as(as).isEqualTo(143);
                    alive.remove(victim);
                }
                default -> {
                    victim.pause(); // for good, as far as its shards are concerned; its last words are not heard
                    stopped.put(victim, System.nanoTime());
                    alive.remove(victim);
                }
            }
            List<EntryId> ends =
                    rig.stream.state().map(StreamState::last).collectList().block(SOON);
            long began = System.nanoTime();
            Eventually.await(
                    as + ": every shard goes on",
                    SOON,
                    () -> rig.stream
                            .state()
                            .all(state -> state.consumers().get(0).offset().compareTo(ends.get(state.shard())) >= 0)
                            .block(SOON));
            assertThat(Duration.ofNanos(System.nanoTime() - began)).as(as).isLessThan(LEASE.plusSeconds(2));
            Eventually.await(
                    as + ": the plan is of those that are there",
                    SOON,
                    () -> rig.stream.members("c").count().block(SOON) == alive.size());
        }
        stopped.keySet().stream().filter(JvmChild::isAlive).forEach(JvmChild::resume);
        load.dispose();
        Eventually.await(
                "no lag",
                SOON,
                () -> rig.stream
                        .state()
                        .all(state -> state.consumers().get(0).lag() == 0)
                        .block(SOON));
        offsets.values().forEach(seen -> assertThat(seen).hasSizeGreaterThan(20).isSorted());
        assertThat(rig.deadLetters("c")).isEmpty();
        assertOneActive(seed);
        assertAllHandled();
    }

    private List<Work> work() {
        List<Work> all = new ArrayList<>();
        members.forEach(member -> all.addAll(work(member, stopped.getOrDefault(member, System.nanoTime()))));
        return all;
    }

    /** Work on a shard never overlaps; what was killed or paused in the middle counts until then. */
    private void assertOneActive(long seed) {
        for (int shard = 0; shard < SHARDS; shard++) {
            int number = shard;
            List<Work> inOrder = work().stream()
                    .filter(one -> one.shard() == number && one.end() > one.begin())
                    .sorted((one, next) -> Long.compare(one.begin(), next.begin()))
                    .toList();
            for (int i = 1; i < inOrder.size(); i++) {
                assertThat(inOrder.get(i).begin())
                        .as("seed %s shard %s", seed, shard)
                        .isGreaterThanOrEqualTo(inOrder.get(i - 1).end());
            }
        }
    }

    private void assertAllHandled() {
        Map<Integer, TreeMap<EntryId, EntryId>> done = new HashMap<>();
        work().stream()
                .filter(Work::done)
                .forEach(one -> done.computeIfAbsent(one.shard(), shard -> new TreeMap<>())
                        .merge(one.first(), one.last(), (a, b) -> a.isAfter(b) ? a : b));
        for (int shard = 0; shard < SHARDS; shard++) {
            var entries = rig.raw("XRANGE", rig.key(shard, "log"), "-", "+");
            assertThat(entries.size()).isGreaterThan(50);
            for (int i = 0; i < entries.size(); i++) {
                EntryId id = EntryId.parse(entries.list(i).text(0));
                Map.Entry<EntryId, EntryId> in = done.get(shard).floorEntry(id);
                assertThat(in).isNotNull();
                assertThat(in.getValue().isAfter(id) || in.getValue().equals(id))
                        .as("shard %s entry %s", shard, id)
                        .isTrue();
            }
        }
    }
}
