package io.millrace.stream;

import static io.millrace.stream.StreamRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.millrace.MillraceException;
import io.millrace.redis.Reply;
import io.millrace.stream.StreamRig.Seen;
import io.millrace.testing.Eventually;
import io.millrace.testing.Monitor;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.test.StepVerifier;

/** A stream of several shards: who produces, reads and looks after it sees no difference but more hands. T5. */
@RedisTest
class ShardsIT {

    private static final int SHARDS = 4;

    private StreamRig rig;
    private StreamRig other;

    @BeforeEach
    void open(RedisServer redis, @Namespace String namespace) {
        rig = StreamRig.on(redis, namespace);
        other = StreamRig.on(redis, namespace);
        assertThat(rig.mill.streams().create("s", SHARDS).block(SOON)).isTrue();
    }

    @AfterEach
    void close() {
        rig.close();
        other.close();
    }

    private long lag(String consumer) {
        return rig.stream.state().collectList().block(SOON).stream()
                .flatMap(state -> state.consumers().stream())
                .filter(one -> one.name().equals(consumer))
                .mapToLong(StreamState.ConsumerState::lag)
                .sum();
    }

    private Map<Integer, Integer> owned(String consumer) {
        Map<Integer, Integer> counts = new HashMap<>();
        rig.stream
                .members(consumer)
                .collectList()
                .block(SOON)
                .forEach(member -> counts.merge(member.shards().size(), 1, Integer::sum));
        return counts;
    }

    @Test
    @Tag("T5")
    @DisplayName("T5 the number of shards is chosen once: whoever wants another is told, nobody writes elsewhere")
    void chosenOnce() {
        assertThat(other.mill.streams().create("s", SHARDS).block(SOON)).isFalse();
        assertThatThrownBy(() -> other.mill.streams().create("s", 8).block(SOON))
                .isInstanceOf(MillraceException.class)
                .hasMessageContaining("has 4 shards, not 8")
                .hasMessageContaining("never changes");
        other.mill.streams().producer("plain").queue(1).block(SOON);
        assertThatThrownBy(() -> rig.mill.streams().create("plain", 2).block(SOON))
                .hasMessageContaining("has 1 shard, not 2");
        assertThatThrownBy(() -> rig.mill.streams().create("x", 257)).hasMessageContaining("shards must be 1 to 256");
        for (StreamRig one : List.of(rig, other)) {
            one.queue(200);
        }
        for (int shard = 0; shard < SHARDS; shard++) {
            List<String> payloads = new ArrayList<>();
            Reply entries = rig.raw("XRANGE", rig.key(shard, "log"), "-", "+");
            for (int i = 0; i < entries.size(); i++) {
                payloads.add(entries.list(i).list(1).text(1));
            }
            int half = payloads.size() / 2;
            assertThat(payloads.subList(0, half)).isNotEmpty().isEqualTo(payloads.subList(half, payloads.size()));
        }
        assertThat(rig.stream.size().block(SOON)).isEqualTo(400);
    }

    @Test
    @Tag("T5")
    @DisplayName("T5 one shard has the keys a stream always had")
    void oneShard() {
        assertThat(rig.mill.streams().create("one", 1).block(SOON)).isTrue();
        rig.mill.streams().producer("one").queue(1).block(SOON);
        String unit = rig.mill.redis().keys().unitText("stream", "one", 0);
        assertThat(rig.number("XLEN", unit + "log")).isEqualTo(1);
        assertThat(rig.raw("KEYS", unit + "*").size()).isEqualTo(2); // the log, and the producer's last call
    }

    @Test
    @Tag("T5")
    @DisplayName("T5 the order of every key holds, everything is read once, by one member alone and by two together")
    void order() {
        rig.producer
                .queueAll(IntStream.range(0, 4_000)
                        .mapToObj(n -> Map.of("id", n % 37, "n", n))
                        .toList())
                .block(SOON);
        Map<Object, List<Integer>> byKey = new ConcurrentHashMap<>();
        for (StreamRig one : List.of(rig, other)) {
            one.run(one.consumer("c")
                    .batchSize(50)
                    .consume(batch -> Mono.fromRunnable(() -> batch.entries()
                            .forEach(entry -> byKey.computeIfAbsent(
                                            entry.get("id"), key -> Collections.synchronizedList(new ArrayList<>()))
                                    .add((Integer) entry.get("n"))))));
        }
        Eventually.await("all read", SOON, () -> rig.stream.members("c").count().block(SOON) == 2 && lag("c") == 0);
        assertThat(byKey.values().stream()
                        .mapToInt(list -> new HashSet<>(list).size())
                        .sum())
                .isEqualTo(4_000);
        byKey.values().forEach(list -> assertThat(list).isSorted());
    }

    @Test
    @Tag("T5")
    @DisplayName("T5 a new member gets its share within seconds, and gives it back when it leaves")
    void newMember() {
        Seen first = rig.collect(rig.consumer("c"));
        Eventually.await("all for one", SOON, () -> owned("c").equals(Map.of(4, 1)));
        rig.queue(100);
        Eventually.await("all read", SOON, () -> first.records().size() == 100 && lag("c") == 0);
        Seen second = other.collect(other.consumer("c"));
        Eventually.await("two each", Duration.ofSeconds(3), () -> owned("c").equals(Map.of(2, 2)));
        Eventually.await("both read", SOON, () -> {
            rig.queue(20);
            return second.records().size() > 20 && first.records().size() > 120;
        });
        Eventually.await("no lag", SOON, () -> lag("c") == 0);
        second.stop.dispose();
        int before = first.records().size();
        Eventually.await(
                "all for one again", Duration.ofSeconds(3), () -> owned("c").equals(Map.of(4, 1)));
        rig.queue(100);
        Eventually.await(
                "all read by it", Duration.ofSeconds(3), () -> first.records().size() == before + 100);
    }

    @Test
    @Tag("T5")
    @DisplayName("T5 a shard that changes hands: what runs is ended and committed first, then the other begins")
    void revoked() {
        rig.queue(400);
        AtomicInteger running = new AtomicInteger();
        Set<Integer> twice = ConcurrentHashMap.newKeySet();
        Map<Integer, AtomicInteger> active = new ConcurrentHashMap<>();
        Map<Integer, List<Object>> handled = new ConcurrentHashMap<>();
        List<StreamRig> rigs = List.of(rig, other);
        for (StreamRig one : rigs) {
            one.run(one.consumer("c")
                    .batchSize(10)
                    .consume(batch -> Mono.delay(Duration.ofMillis(60))
                            .doOnSubscribe(begun -> {
                                running.incrementAndGet();
                                if (active.computeIfAbsent(batch.shard(), shard -> new AtomicInteger())
                                                .incrementAndGet()
                                        > 1) {
                                    twice.add(batch.shard());
                                }
                            })
                            .doOnTerminate(() -> active.get(batch.shard()).decrementAndGet())
                            .doOnCancel(() -> active.get(batch.shard()).decrementAndGet())
                            .doOnNext(done -> batch.entries()
                                    .forEach(entry -> handled.computeIfAbsent(
                                                    batch.shard(),
                                                    shard -> Collections.synchronizedList(new ArrayList<>()))
                                            .add(entry.get("id"))))));
            Eventually.await("it runs", SOON, () -> running.get() > 3);
        }
        Eventually.await("no lag", SOON, () -> lag("c") == 0);
        assertThat(twice).isEmpty();
        List<Object> all = new ArrayList<>();
        handled.values().forEach(all::addAll);
        assertThat(all).hasSize(400).doesNotHaveDuplicates(); // nothing was handled again: it was committed before
    }

    @Test
    @Tag("T5")
    @Tag("L14")
    @DisplayName(
            "T5 L14 batches() of a stream with shards: request(n) gets n and no more, nothing is read without demand")
    void demand() {
        rig.queue(400);
        Set<Integer> shards = ConcurrentHashMap.newKeySet();
        StepVerifier.create(
                        rig.consumer("c")
                                .batchSize(10)
                                .batches()
                                .doOnNext(one -> shards.add(one.batch().shard())),
                        0)
                .then(() ->
                        Eventually.await("all for one", SOON, () -> owned("c").equals(Map.of(4, 1))))
                .expectNoEvent(Duration.ofMillis(100))
                .thenRequest(1)
                .expectNextCount(1)
                .expectNoEvent(Duration.ofMillis(150))
                .thenRequest(11)
                .expectNextCount(11)
                .expectNoEvent(Duration.ofMillis(150))
                .thenRequest(Long.MAX_VALUE)
                .expectNextCount(28)
                .thenCancel()
                .verify(SOON);
        assertThat(shards).hasSize(SHARDS);
        assertThat(lag("c")).isEqualTo(400);
        Eventually.await(
                "all locks are free",
                SOON,
                () -> IntStream.range(0, SHARDS)
                        .allMatch(shard -> rig.number("EXISTS", rig.key(shard, "lock:c")) == 0));
    }

    @Test
    @Tag("T5")
    @Tag("L14")
    @DisplayName(
            "T5 L14 however many shards are read, a batch is read only for who has asked for it: request(1) reads one")
    void readForWhoAsks(RedisServer redis) {
        rig.queue(400);
        String full = "\"XREAD\" \"COUNT\" \"10\"";
        String mine = rig.key("").replaceFirst("\\{.*", "");
        try (Monitor monitor = Monitor.on(redis.uri(), line -> line.contains(full) && line.contains(mine))) {
            StepVerifier.create(rig.consumer("c").batchSize(10).batches(), 0)
                    .then(() -> Eventually.await(
                            "all for one", SOON, () -> owned("c").equals(Map.of(4, 1))))
                    .thenRequest(1)
                    .expectNextCount(1)
                    .expectNoEvent(Duration.ofMillis(300))
                    .then(() -> assertThat(monitor.lines().size()).isBetween(1, 2)) // one may have met a signal
                    .thenRequest(5)
                    .expectNextCount(5)
                    .expectNoEvent(Duration.ofMillis(300))
                    .then(() -> assertThat(monitor.lines().size()).isBetween(6, 8))
                    .thenCancel()
                    .verify(SOON);
        }
    }

    @Test
    @Tag("T5")
    @DisplayName(
            "T5 what comes to any shard is handed out at once, also while readers of all shards wait for one demand")
    void oneDemandAllShardsWait() {
        List<Object> got = Collections.synchronizedList(new ArrayList<>());
        rig.run(rig.consumer("c")
                .batches()
                .concatMap(
                        one -> Mono.fromRunnable(() -> one.batch().entries().forEach(entry -> got.add(entry.get("id"))))
                                .then(one.commit()),
                        1)
                .then());
        Eventually.await("all for one", SOON, () -> owned("c").equals(Map.of(4, 1)));
        List<Duration> took = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            Object record = i;
            long begin = System.nanoTime();
            rig.queue(record);
            Eventually.await("it", SOON, () -> got.contains(record));
            took.add(Duration.ofNanos(System.nanoTime() - begin));
        }
        Collections.sort(took);
        assertThat(took.get(10)).as("the median of %s", took).isLessThan(Duration.ofMillis(500));
    }

    @Test
    @Tag("T5")
    @DisplayName("T5 a batch that was handed out is committed although its shard goes to another member meanwhile")
    void handedOut() {
        rig.queue(40);
        Sinks.Empty<Void> goOn = Sinks.empty();
        List<StreamBatch> committed = Collections.synchronizedList(new ArrayList<>());
        AtomicInteger out = new AtomicInteger();
        rig.run(rig.consumer("c")
                .batches()
                .flatMap(
                        one -> Mono.fromRunnable(out::incrementAndGet)
                                .then(goOn.asMono())
                                .then(one.commit())
                                .then(Mono.fromRunnable(() -> committed.add(one.batch()))),
                        SHARDS)
                .then());
        Eventually.await("a batch of each shard is out", SOON, () -> out.get() == SHARDS);
        Seen second = other.collect(other.consumer("c"));
        Eventually.await("another member", SOON, () -> owned("c").equals(Map.of(4, 1, 0, 1)));
        Mono.delay(Duration.ofMillis(300))
                .block(); // the first one has heard of it, and holds all until they are committed
        assertThat(owned("c")).isEqualTo(Map.of(4, 1, 0, 1));
        goOn.tryEmitEmpty();
        Eventually.await("two each", SOON, () -> owned("c").equals(Map.of(2, 2)));
        Eventually.await("no lag", SOON, () -> lag("c") == 0);
        Set<Object> both = new HashSet<>(second.records());
        int sum = both.size();
        for (StreamBatch batch : List.copyOf(committed)) {
            batch.entries().forEach(entry -> both.add(entry.get("id")));
            sum += batch.size();
        }
        assertThat(both).hasSize(40);
        assertThat(sum).isEqualTo(40);
    }

    @Test
    @Tag("T5")
    @DisplayName("T5 until: members end what runs, commit, and leave; nothing is held any more")
    void stopping() {
        rig.queue(100);
        Sinks.Empty<Void> stop = Sinks.empty();
        Seen seen = new Seen();
        rig.consumer("c")
                .batchSize(5)
                .until(stop.asMono())
                .consume(batch -> Mono.delay(Duration.ofMillis(100))
                        .doOnSubscribe(begun -> stop.tryEmitEmpty())
                        .then(seen.add(batch)))
                .block(SOON);
        assertThat(seen.batches.size()).isBetween(1, SHARDS);
        assertThat(lag("c")).isEqualTo(100 - seen.records().size());
        assertThat(rig.stream.members("c").collectList().block(SOON)).isEmpty();
        for (int shard = 0; shard < SHARDS; shard++) {
            assertThat(rig.number("EXISTS", rig.key(shard, "lock:c"))).isZero();
        }
    }

    @Test
    @Tag("T5")
    @DisplayName("T5 notes, trimming, dead letters, seek, pause and what is told about a stream work on every shard")
    void lookedAfter() {
        rig.producer.delayAll(IntStream.range(0, 100).boxed().toList()).block(SOON);
        assertThat(rig.mill.streams().delayer("s", Duration.ZERO).runOnce().block(SOON))
                .isEqualTo(100);
        rig.run(rig.mill.streams().delayer("s", Duration.ofMillis(50)).run());
        rig.producer.delayAll(IntStream.range(100, 200).boxed().toList()).block(SOON);
        Eventually.await("all moved", SOON, () -> rig.stream.size().block(SOON) == 200);
        Seen seen = new Seen();
        AtomicBoolean healed = new AtomicBoolean();
        rig.run(rig.consumer("c", ConsumerOptions.builder().attempts(1))
                .consume(batch ->
                        !healed.get() && batch.entries().stream().anyMatch(entry -> (Integer) entry.get("id") % 50 == 7)
                                ? Mono.error(new IllegalStateException("no"))
                                : seen.add(batch)));
        Eventually.await("all read", SOON, () -> lag("c") == 0);
        List<DeadLetter> letters = rig.deadLetters("c");
        assertThat(letters).hasSize(4);
        assertThat(seen.records()).hasSize(196);
        Trimmer.Report report = rig.mill.streams().trimmer("s").runOnce().block(SOON);
        assertThat(report.removed()).isEqualTo(200);
        healed.set(true);
        Flux.fromIterable(letters)
                .concatMap(letter -> rig.stream.retry("c", letter))
                .blockLast(SOON);
        Eventually.await("the retried ones", SOON, () -> seen.records().size() == 200);
        Eventually.await("committed", SOON, () -> lag("c") == 0);
        assertThat(rig.consumer("c").pause().block(SOON)).isTrue();
        Eventually.await("nobody reads on any shard", SOON, () -> {
            rig.queue(20);
            return rig.stream
                    .state()
                    .all(state -> state.consumers().get(0).lag() > 10)
                    .block(SOON);
        });
        rig.consumer("c").resume().block(SOON);
        Eventually.await("going on", SOON, () -> lag("c") == 0);
        int before = seen.records().size();
        long there = rig.stream.size().block(SOON);
        rig.consumer("c").seekToBeginning().block(SOON);
        Eventually.await("again", SOON, () -> seen.records().size() == before + there);
        assertThat(rig.stream.state().map(StreamState::shards).collectList().block(SOON))
                .containsExactly(SHARDS, SHARDS, SHARDS, SHARDS);
        assertThat(rig.stream.entries(EntryId.ZERO).count().block(SOON)).isEqualTo(there);
    }

    @Test
    @Tag("T5")
    @DisplayName("T5 what Redis lost of the record is put there again; a producer does not write into another division")
    void lostRecord() {
        Layout layout = new Layout(rig.mill.redis(), "s", null);
        loseTheRecord();
        assertThat(rig.stream.state().count().block(SOON)).isEqualTo(1);
        layout.confirm(SHARDS).block(SOON);
        assertThat(rig.stream.state().count().block(SOON)).isEqualTo(SHARDS);
        loseTheRecord();
        layout.created().block(SOON);
        assertThatThrownBy(() -> layout.confirm(SHARDS).block(SOON)).hasMessageContaining("has 1 shard, not 4");
    }

    private void loseTheRecord() {
        rig.raw(
                "DEL",
                rig.mill.redis().keys().single("streams", "names"),
                rig.mill.redis().keys().single("streams", "shards"));
    }
}
