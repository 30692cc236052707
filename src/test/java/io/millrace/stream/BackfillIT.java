package io.millrace.stream;

import static io.millrace.stream.StreamRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.millrace.stream.StreamRig.Seen;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;

/** Masses of records beside live entries: T6. */
@RedisTest
class BackfillIT {

    private StreamRig rig;
    private StreamRig other;

    @BeforeEach
    void open(RedisServer redis, @Namespace String namespace) {
        rig = StreamRig.on(redis, namespace);
        other = StreamRig.on(redis, namespace);
    }

    @AfterEach
    void close() {
        rig.close();
        other.close();
    }

    private Backfill backfill(String id) {
        return rig.mill.streams().backfill("s", id);
    }

    private static Flux<Object> records(int from, int to) {
        return Flux.range(from, to - from).map(n -> Map.of("id", n, "old", true));
    }

    private static boolean isOld(StreamEntry entry) {
        return entry.get("old") != null;
    }

    private BackfillState state(String id) {
        return backfill(id).state().block(SOON);
    }

    @Test
    @Tag("T6")
    @DisplayName("T6 a backfill is handled by every consumer, in order, with its own offset; fed again it adds nothing")
    void wholeLife() {
        assertThatThrownBy(() -> backfill("b").feed(records(0, 10)).block(SOON))
                .hasMessageContaining("backfill \"b\" of stream \"s\" has no registered consumer");
        List<EntryId> live = rig.queue("x", "y");
        rig.stream.register("one").block(SOON);
        rig.stream.register("two").block(SOON);
        assertThat(backfill("b").feed(records(0, 2_500)).block(SOON)).isEqualTo(2_500);
        assertThat(rig.state("one").backfillLag()).isEqualTo(2_500);
        assertThat(rig.state("one").lag()).isEqualTo(2);
        Seen one = rig.collect(rig.consumer("one"));
        Seen two = rig.collect(rig.consumer("two").batchSize(100));
        BackfillState over = backfill("b").progress().blockLast(SOON);
        assertThat(over.isOver()).isTrue();
        assertThat(over.fed()).isEqualTo(2_500);
        assertThat(over.consumers())
                .containsExactly(
                        new BackfillState.ConsumerProgress("one", 2_500, 0),
                        new BackfillState.ConsumerProgress("two", 2_500, 0));
        List<Object> expected = new ArrayList<>(List.of("x", "y"));
        IntStream.range(0, 2_500).forEach(expected::add);
        assertThat(one.records()).isEqualTo(expected);
        assertThat(two.records()).isEqualTo(expected);
        assertThat(two.batches).allMatch(batch -> batch.size() <= 100);
        assertThat(rig.offset("one")).isEqualTo(live.get(1));
        assertThat(backfill("b").feed(records(0, 2_500)).block(SOON)).isEqualTo(2_500);
        assertThat(state("b").fed()).isEqualTo(2_500);
        assertThat(rig.stream.backfills().map(BackfillState::id).collectList().block(SOON))
                .containsExactly("b");
        rig.mill.streams().trimmer("s").runOnce().block(SOON);
        assertThat(rig.number("XLEN", rig.key("lane"))).isLessThan(200); // whole nodes go
        assertThat(rig.stream.size().block(SOON)).isZero();
    }

    @Test
    @Tag("T6")
    @DisplayName("T6 what was fed in part is fed on under the same id, from where it stopped")
    void fedOn() {
        rig.stream.register("c").block(SOON);
        assertThatThrownBy(() -> backfill("b")
                        .feed(Flux.concat(records(0, 1_200), Flux.error(new IllegalStateException("the file broke"))))
                        .block(SOON))
                .hasMessageContaining("the file broke");
        long fed = state("b").fed();
        assertThat(fed).isIn(500L, 1_000L); // whole pieces
        assertThat(state("b").closed()).isFalse();
        Seen seen = rig.collect(rig.consumer("c"));
        assertThat(backfill("b").feed(records(0, 3_000)).block(SOON)).isEqualTo(3_000);
        backfill("b").progress().blockLast(SOON);
        assertThat(seen.records()).isEqualTo(IntStream.range(0, 3_000).boxed().toList());
    }

    @Test
    @Tag("T6")
    @DisplayName("T6 the source is asked only as consumers get on: what waits in Redis is bounded")
    void bounded() {
        rig.stream.register("c").block(SOON);
        AtomicLong taken = new AtomicLong();
        Disposable feeding = rig.run(backfill("b")
                .feed(records(0, 40_000).doOnNext(one -> taken.incrementAndGet()))
                .then());
        Eventually.await("the lane is full", SOON, () -> taken.get() >= Backfill.MOST_WAITING);
        Mono.delay(Duration.ofMillis(400)).block();
        assertThat(taken.get()).isLessThan(Backfill.MOST_WAITING + 3_000);
        assertThat(rig.state("c").backfillLag()).isBetween(10_000L, 10_500L);
        Seen seen = rig.collect(rig.consumer("c"));
        backfill("b").progress().blockLast(Duration.ofSeconds(30));
        assertThat(seen.records()).hasSize(40_000);
        assertThat(feeding.isDisposed()).isTrue();
    }

    @Test
    @Tag("T6")
    @DisplayName("T6 live entries go first; with live entries all the time the backfill still gets one batch in ten")
    void share() {
        rig.stream.register("c").block(SOON);
        rig.queue(2_000);
        backfill("b").feed(records(10_000, 10_200)).block(SOON);
        List<Boolean> turns = Collections.synchronizedList(new ArrayList<>());
        rig.run(rig.consumer("c").batchSize(10).consume(batch -> Mono.fromRunnable(() -> turns.add(batch.backfill()))));
        // What was there before the backfill is handled first, whatever it is that comes then.
        Disposable load = Flux.range(0, 100_000)
                .concatMap(n -> rig.producer.queueAll(
                        IntStream.range(0, 200).mapToObj(i -> "live" + n).toList()))
                .subscribe();
        BackfillState over = backfill("b").progress().blockLast(Duration.ofSeconds(30));
        load.dispose();
        assertThat(over.consumers().get(0).handled()).isEqualTo(200);
        List<Boolean> order = List.copyOf(turns);
        int first = order.indexOf(true);
        int last = order.lastIndexOf(true);
        assertThat(first).isGreaterThanOrEqualTo(200); // 2,000 in tens
        long live = order.subList(first, last).stream().filter(one -> !one).count();
        assertThat(live).isBetween(100L, 9L * 20); // nine between two of its 20
    }

    @Test
    @Tag("T6")
    @DisplayName("T6 a live entry that came later overtakes: the backfilled one of its record is left out")
    void overtaken() {
        rig.stream.register("c").block(SOON);
        rig.queue(Map.of("id", 1, "v", "before"));
        backfill("b").feed(records(0, 6)).block(SOON);
        rig.queue(Map.of("id", 2, "v", "after"), Map.of("id", 4, "v", "after"));
        List<String> handled = Collections.synchronizedList(new ArrayList<>());
        rig.run(rig.consumer("c")
                .consume(batch -> Mono.fromRunnable(() -> batch.entries()
                        .forEach(entry ->
                                handled.add(entry.get("id") + (isOld(entry) ? " old" : " " + entry.get("v")))))));
        BackfillState over = backfill("b").progress().blockLast(SOON);
        assertThat(handled).containsExactly("1 before", "2 after", "4 after", "0 old", "1 old", "3 old", "5 old");
        assertThat(over.consumers()).containsExactly(new BackfillState.ConsumerProgress("c", 6, 2));
    }

    @Test
    @Tag("T6")
    @DisplayName("T6 who takes over knows what was overtaken before, also when the trimmer runs meanwhile")
    void takenOver() {
        rig.stream.register("c").block(SOON);
        backfill("b").feed(records(0, 6)).block(SOON);
        rig.queue(Map.of("id", 2), Map.of("id", 4));
        StreamDelivery live = rig.consumer("c").batches().blockFirst(SOON);
        assertThat(live.batch().backfill()).isFalse();
        live.commit().block(SOON);
        assertThat(rig.state("c").lag()).isZero();
        rig.mill.streams().trimmer("s").runOnce().block(SOON);
        assertThat(rig.stream.size().block(SOON)).isEqualTo(2); // kept for who has to know
        Seen seen = other.collect(other.consumer("c"));
        BackfillState over = backfill("b").progress().blockLast(SOON);
        assertThat(seen.records()).containsExactly(0, 1, 3, 5);
        assertThat(over.consumers().get(0).overtaken()).isEqualTo(2);
        rig.mill.streams().trimmer("s").runOnce().block(SOON);
        assertThat(rig.stream.size().block(SOON)).isZero();
    }

    @Test
    @Tag("T6")
    @DisplayName("T6 a backfill that is cancelled is passed over from where it is; others go on")
    void cancelled() {
        rig.stream.register("c").block(SOON);
        Sinks.Empty<Void> goOn = Sinks.empty();
        Seen seen = new Seen();
        backfill("bad").feed(records(0, 1_000)).block(SOON);
        backfill("good").feed(records(2_000, 2_100)).block(SOON);
        rig.run(rig.consumer("c")
                .batchSize(100)
                .consume(batch -> seen.add(batch).then(goOn.asMono())));
        Eventually.await("the first batch", SOON, () -> !seen.batches.isEmpty());
        assertThat(backfill("bad").cancel().block(SOON)).isTrue();
        assertThat(backfill("bad").cancel().block(SOON)).isFalse();
        goOn.tryEmitEmpty();
        backfill("good").progress().blockLast(SOON);
        Eventually.await("nothing waits", SOON, () -> rig.state("c").backfillLag() == 0);
        assertThat(seen.records()).hasSize(200).contains(99, 2_000, 2_099).doesNotContain(100);
        assertThat(state("bad").isOver()).isTrue();
        assertThatThrownBy(() -> backfill("bad").feed(records(0, 1)).block(SOON))
                .hasMessageContaining("was cancelled: begin one with another id");
    }

    @Test
    @Tag("T6")
    @DisplayName(
            "T6 an entry of a backfill that fails is a dead letter, and the rest goes on; batches() commits by itself")
    void deadLetters() {
        rig.stream.register("c").block(SOON);
        backfill("b").feed(records(0, 50)).block(SOON);
        Disposable running =
                rig.run(rig.consumer("c", ConsumerOptions.builder().attempts(1).concurrency(4))
                        .consume(batch -> batch.entries().stream()
                                        .anyMatch(entry -> entry.get("id").equals(7))
                                ? Mono.error(new IllegalStateException("no"))
                                : Mono.empty()));
        backfill("b").progress().blockLast(SOON);
        assertThat(rig.deadLetters("c"))
                .singleElement()
                .satisfies(letter -> assertThat(letter.entry().get("id")).isEqualTo(7));
        running.dispose();
        Eventually.await("nobody", SOON, () -> rig.number("EXISTS", rig.key("lock:c")) == 0);
        backfill("next").feed(records(0, 30)).block(SOON);
        StreamDelivery first = rig.consumer("c").batchSize(10).batches().blockFirst(SOON);
        assertThat(first.batch().backfill()).isTrue();
        assertThat(rig.state("c").backfillLag()).isEqualTo(30);
        rig.consumer("c")
                .batchSize(10)
                .batches()
                .take(3)
                .concatMap(StreamDelivery::commit)
                .blockLast(SOON);
        assertThat(rig.state("c").backfillLag()).isZero();
    }

    @Test
    @Tag("T6")
    @DisplayName(
            "T6 random live entries, backfills, instances and trims: no old state over a newer one, each record ends right")
    void random() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        int shards = 1 + random.nextInt(2) * 2;
        rig.mill.streams().create("s", shards).block(SOON);
        rig.stream.register("c").block(SOON);
        Map<Integer, Integer> produced = new HashMap<>(); // record to its newest version
        Map<Object, Integer> store = new ConcurrentHashMap<>();
        Map<Object, AtomicBoolean> busy = new ConcurrentHashMap<>();
        List<String> wrong = Collections.synchronizedList(new ArrayList<>());
        AtomicInteger version = new AtomicInteger();
        List<Sinks.Empty<Void>> instances = new ArrayList<>();
        for (int step = 0; step < 60; step++) {
            switch (random.nextInt(6)) {
                case 0, 1 -> {
                    List<Object> live = new ArrayList<>();
                    for (int i = 0; i < 1 + random.nextInt(80); i++) {
                        live.add(change(random.nextInt(60), version, produced));
                    }
                    rig.queue(live.toArray());
                }
                case 2, 3 -> {
                    List<Object> old = new ArrayList<>();
                    for (int i = 0; i < 1 + random.nextInt(120); i++) {
                        old.add(change(random.nextInt(60), version, produced));
                    }
                    // Later ones are newer than earlier ones, in the log and in the lane.
                    backfill("b" + step).feed(Flux.fromIterable(old)).block(SOON);
                }
                case 4 -> {
                    StreamRig one = random.nextBoolean() ? rig : other;
                    if (instances.size() == 3) {
                        instances.remove(0).tryEmitEmpty();
                    }
                    Sinks.Empty<Void> stop = Sinks.empty();
                    instances.add(stop);
                    one.run(one.consumer(
                                    "c",
                                    ConsumerOptions.builder()
                                            .until(stop.asMono())
                                            .batchSize(1 + random.nextInt(30))
                                            .concurrency(1 + random.nextInt(4)))
                            .consume(batch -> Flux.fromIterable(batch.entries())
                                    .concatMap(entry -> write(entry, store, busy, wrong))
                                    .then()));
                }
                default -> rig.mill.streams().trimmer("s").runOnce().block(SOON);
            }
        }
        rig.run(rig.consumer("c")
                .consume(batch -> Flux.fromIterable(batch.entries())
                        .concatMap(entry -> write(entry, store, busy, wrong))
                        .then()));
        Eventually.await(
                "seed " + seed + ": all done",
                SOON,
                () -> rig.stream
                        .state()
                        .flatMapIterable(StreamState::consumers)
                        .all(one -> one.lag() == 0 && one.backfillLag() == 0)
                        .block(SOON));
        assertThat(wrong).as("seed %s", seed).isEmpty();
        Map<Object, Integer> expected = new HashMap<>(produced);
        assertThat(store).as("seed %s", seed).isEqualTo(expected);
    }

    private static Map<String, Object> change(int record, AtomicInteger version, Map<Integer, Integer> produced) {
        int next = version.incrementAndGet();
        produced.put(record, next);
        return Map.of("id", record, "v", next);
    }

    /** Into a store that takes what it is given, as long as it takes. */
    private static Mono<Void> write(
            StreamEntry entry, Map<Object, Integer> store, Map<Object, AtomicBoolean> busy, List<String> wrong) {
        Object record = entry.get("id");
        AtomicBoolean mine = busy.computeIfAbsent(record, key -> new AtomicBoolean());
        return Mono.<Void>fromRunnable(() -> {
                    if (!mine.compareAndSet(false, true)) {
                        wrong.add("at the same time: " + record);
                    }
                    store.put(record, (Integer) entry.get("v"));
                    mine.set(false);
                })
                .subscribeOn(Schedulers.boundedElastic());
    }
}
