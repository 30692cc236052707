package io.millrace.stream;

import static io.millrace.stream.StreamRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.millrace.lock.LeaseLostException;
import io.millrace.stream.StreamRig.Seen;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** What broke in the seed of change streams: R1 to R7. */
@RedisTest
class SeedStreamFaultsIT {

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

    private static String[] range(String ms, int from, int to) {
        return IntStream.rangeClosed(from, to).mapToObj(i -> ms + "-" + i).toArray(String[]::new);
    }

    @Test
    @Tag("R1")
    @DisplayName("R1 offsets -9 and -12 of one millisecond: only up to -9 is removed, -10 to -12 remain")
    void idsAreNumbers() {
        rig.add(range("1790000000000", 1, 12));
        rig.stream.register("slow").block(SOON);
        rig.stream.register("fast").block(SOON);
        commit("slow", "1790000000000-9");
        commit("fast", "1790000000000-12");
        assertThat(rig.mill.streams().trimmer("s").runOnce().block(SOON).removed())
                .isEqualTo(9);
        assertThat(rig.ids()).containsExactly("1790000000000-10", "1790000000000-11", "1790000000000-12");
        assertThat(rig.state().trimmed()).hasToString("1790000000000-9");
    }

    @Test
    @Tag("R1")
    @DisplayName("R1 parts of ids beyond what Lua can count are compared digit by digit")
    void hugeIds() {
        String ms = "18446744073709551615";
        rig.add(
                "9007199254740993-18446744073709551614",
                "9007199254740993-18446744073709551615",
                ms + "-9",
                ms + "-10");
        rig.stream.register("c").block(SOON);
        commit("c", "9007199254740993-18446744073709551615");
        assertThat(rig.mill.streams().trimmer("s").runOnce().block(SOON).removed())
                .isEqualTo(2);
        commit("c", ms + "-9");
        assertThat(rig.mill.streams().trimmer("s").runOnce().block(SOON).removed())
                .isEqualTo(1);
        assertThat(rig.ids()).containsExactly(ms + "-10");
    }

    /** As if an instance had handled everything up to there. */
    private void commit(String consumer, String id) {
        StreamDelivery delivery = rig.consumer(consumer)
                .batchSize(100)
                .batches()
                .concatMap(one -> one.commit(EntryId.parse(id)).thenReturn(one))
                .blockFirst(SOON);
        assertThat(delivery).isNotNull();
        assertThat(rig.offset(consumer)).hasToString(id);
    }

    @Test
    @Tag("R2")
    @DisplayName(
            "R2 a consumer that never committed is registered at the beginning: nothing it has not read is removed")
    void registeredBeforeTheFirstRead() {
        rig.queue(20);
        Seen seen = rig.collect(rig.consumer("old"));
        Eventually.await("all read", SOON, () -> rig.state("old").lag() == 0);
        rig.stream.register("new").block(SOON);
        Trimmer.Report report = rig.mill.streams().trimmer("s").runOnce().block(SOON);
        assertThat(report.removed()).isZero();
        assertThat(report.heldBackBy()).containsExactly("new");
        assertThat(seen.records()).hasSize(20);
        assertThat(rig.stream.unregister("new").block(SOON)).isTrue();
        assertThat(rig.mill.streams().trimmer("s").runOnce().block(SOON).removed())
                .isEqualTo(20);
    }

    @Test
    @Tag("R2")
    @DisplayName(
            "R2 a consumer that is starting is registered before it reads, and without any consumer nothing is removed")
    void nobodyRegistered() {
        rig.queue(5);
        assertThat(rig.mill.streams().trimmer("s").runOnce().block(SOON).removed())
                .isZero();
        StreamDelivery held = rig.consumer("c").batchSize(2).batches().blockFirst(SOON);
        assertThat(held.batch().size()).isEqualTo(2);
        assertThat(rig.mill.streams().trimmer("s").runOnce().block(SOON).removed())
                .isZero();
        assertThat(rig.stream.size().block(SOON)).isEqualTo(5);
    }

    @Test
    @Tag("R4")
    @DisplayName("R4 the idle leader stops: who stands by handles the next entry within 200 ms")
    void idleLeaderLeaves() {
        List<Duration> took = new ArrayList<>();
        for (int round = 0; round < 5; round++) {
            Seen leader = rig.collect(rig.consumer("c"));
            Eventually.await(
                    "a leader",
                    SOON,
                    () -> rig.stream.state().blockLast(SOON).consumers().stream()
                            .anyMatch(StreamState.ConsumerState::active));
            AtomicLong handled = new AtomicLong();
            reactor.core.Disposable standby = other.run(
                    other.consumer("c").consume(batch -> Mono.fromRunnable(() -> handled.set(System.nanoTime()))));
            Eventually.await(
                    "who stands by",
                    SOON,
                    () -> rig.raw("PUBSUB", "NUMSUB", rig.key("lock:c")).number(1) >= 2);
            leader.stop.dispose();
            long left = System.nanoTime();
            rig.queue("x" + round);
            Eventually.await("handled", SOON, () -> handled.get() != 0);
            took.add(Duration.ofNanos(handled.get() - left));
            assertThat(leader.records()).isEmpty();
            Eventually.await("committed", SOON, () -> rig.state("c").lag() == 0);
            standby.dispose();
            Eventually.await("nobody", SOON, () -> rig.number("EXISTS", rig.key("lock:c")) == 0);
        }
        Collections.sort(took);
        assertThat(took.get(2))
                .as("the median of %s: a busy machine may hold up some", took)
                .isLessThan(Duration.ofMillis(200));
    }

    @Test
    @Tag("R5")
    @DisplayName(
            "R5 moving due notes is one step: however often and by however many it is run, there is one entry a note")
    void notesAreMovedOnce() {
        rig.producer.delayAll(IntStream.range(0, 2_000).boxed().toList()).block(SOON);
        Delayer delayer = rig.mill.streams().delayer("s", Duration.ZERO);
        Delayer rival = other.mill.streams().delayer("s", Duration.ZERO);
        Long moved = Flux.range(0, 20)
                .flatMap(i -> i % 2 == 0 ? delayer.runOnce() : rival.runOnce(), 20)
                .reduce(0L, Long::sum)
                .block(SOON);
        assertThat(moved).isEqualTo(2_000);
        assertThat(rig.stream.size().block(SOON)).isEqualTo(2_000);
        assertThat(rig.state().notes()).isZero();
        assertThat(rig.number("EXISTS", rig.key("notes.body"), rig.key("notes.again")))
                .isZero();
    }

    @Test
    @Tag("R6")
    @DisplayName("R6 a late commit of an older id, or of an older instance, is refused and moves nothing")
    void lateCommits() {
        List<EntryId> ids = rig.queue(6);
        List<StreamDelivery> held =
                rig.consumer("c").batchSize(2).batches().take(3).collectList().block(SOON);
        // The lock was released at the end of take(3); nobody else came, so these may still be committed, in order.
        held.get(1).commit().block(SOON);
        assertThat(rig.offset("c")).isEqualTo(ids.get(3));
        assertThatThrownBy(() -> held.get(0).commit().block(SOON)).isInstanceOf(LeaseLostException.class);
        assertThat(rig.offset("c")).isEqualTo(ids.get(3));
        StreamDelivery next = other.consumer("c").batchSize(2).batches().blockFirst(SOON);
        assertThat(next.batch().entries().get(0).id()).isEqualTo(ids.get(4));
        assertThat(next.batch().fence()).isGreaterThan(held.get(2).batch().fence());
        assertThatThrownBy(() -> held.get(2).commit().block(SOON))
                .isInstanceOf(LeaseLostException.class)
                .hasMessageContaining("another instance");
        assertThat(rig.offset("c")).isEqualTo(ids.get(3));
        next.commit().block(SOON);
        assertThat(rig.offset("c")).isEqualTo(ids.get(5));
        next.commit().block(SOON); // once more changes nothing
        assertThat(rig.offset("c")).isEqualTo(ids.get(5));
    }

    @Test
    @Tag("R7")
    @DisplayName(
            "R7 one entry of 1,000 always fails: it becomes a dead letter, all others and later ones arrive, in order")
    void poison() {
        rig.queue(1_000);
        List<Object> handled = new ArrayList<>();
        AtomicInteger calls = new AtomicInteger();
        rig.run(rig.consumer("c", ConsumerOptions.builder().attempts(3))
                .consume(batch -> Mono.fromRunnable(() -> {
                    calls.incrementAndGet();
                    if (batch.entries().stream()
                            .anyMatch(entry -> entry.get("id").equals(613))) {
                        throw new IllegalStateException("cannot do 613");
                    }
                    batch.entries().forEach(entry -> handled.add(entry.get("id")));
                })));
        Eventually.await("the offset at the end", SOON, () -> rig.state("c").lag() == 0);
        rig.queue("later");
        Eventually.await("later ones", SOON, () -> handled.contains("later"));
        List<Object> expected =
                new ArrayList<>(IntStream.range(0, 1_000).boxed().toList());
        expected.remove((Object) 613);
        expected.add("later");
        assertThat(handled).isEqualTo(expected);
        assertThat(calls).hasValueLessThan(3 + 2 * 10 + 3);
        assertThat(rig.deadLetters("c")).singleElement().satisfies(letter -> {
            assertThat(letter.entry().get("id")).isEqualTo(613);
            assertThat(letter.cause()).contains("cannot do 613");
            assertThat(letter.attempts()).isGreaterThan(3);
        });
    }

    @Test
    @Tag("R7")
    @DisplayName("R7 a dead letter that is retried is read again by every consumer; one that is dropped is gone")
    void deadLettersAreSettled() {
        rig.queue("bad", "good", "worse");
        AtomicInteger healed = new AtomicInteger();
        List<Object> handled = new ArrayList<>();
        rig.run(rig.consumer("c", ConsumerOptions.builder().attempts(1))
                .consume(batch -> Mono.fromRunnable(() -> {
                    if (healed.get() == 0
                            && batch.entries().stream()
                                    .anyMatch(entry -> !entry.get("id").equals("good"))) {
                        throw new IllegalStateException("no");
                    }
                    batch.entries().forEach(entry -> handled.add(entry.get("id")));
                })));
        Eventually.await("two dead letters", SOON, () -> rig.deadLetters("c").size() == 2);
        healed.set(1);
        List<DeadLetter> letters = rig.deadLetters("c");
        assertThat(rig.stream.retry("c", letters.get(0)).block(SOON)).isTrue();
        assertThat(rig.stream.retry("c", letters.get(0)).block(SOON)).isFalse();
        assertThat(rig.stream.drop("c", letters.get(1)).block(SOON)).isTrue();
        Eventually.await("the retried one", SOON, () -> handled.contains("bad"));
        assertThat(rig.deadLetters("c")).isEmpty();
        assertThat(handled).containsExactly("good", "bad");
    }
}
