package io.millrace.stream;

import static io.millrace.stream.StreamRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/** Notes before writes, entries after them: T3, T8, and what {@code bulk} promises. */
@RedisTest
class RepairNotesIT {

    private StreamRig rig;

    @BeforeEach
    void open(RedisServer redis, @Namespace String namespace) {
        rig = StreamRig.on(redis, namespace);
    }

    @AfterEach
    void close() {
        rig.close();
    }

    private long moveDue(Duration delay) {
        return rig.mill.streams().delayer("s", delay).runOnce().block(SOON);
    }

    private void rescore(String record, long ageMs) {
        long now = rig.state().oldestNote() == null ? 0 : rig.raw("TIME").number(0) * 1000;
        rig.raw("ZADD", rig.key("notes"), "XX", Long.toString(now - ageMs), record);
    }

    @Test
    @Tag("T3")
    @DisplayName("T3 one note a record; it is moved once it is as old as the delay, and not before")
    void oneNoteARecord() {
        rig.producer.delayAll(List.of(1, 2, 1, 2)).block(SOON);
        rig.producer.delay(3).block(SOON);
        assertThat(rig.state().notes()).isEqualTo(3);
        assertThat(moveDue(Duration.ofMinutes(5))).isZero();
        rescore("2", 299_000);
        assertThat(moveDue(Duration.ofMinutes(5))).isZero();
        rescore("2", 301_000);
        assertThat(moveDue(Duration.ofMinutes(5))).isEqualTo(1);
        assertThat(rig.stream
                        .entries(EntryId.ZERO)
                        .map(entry -> entry.get("id"))
                        .collectList()
                        .block(SOON))
                .containsExactly(2);
    }

    @Test
    @Tag("T3")
    @DisplayName("T3 a record saved again meanwhile keeps its first time, and gets one more note of its last")
    void hotRecord() {
        rig.producer.delay("hot").block(SOON);
        rescore("hot", 600_000);
        rig.producer.delay("hot").block(SOON);
        rig.producer.delay(Change.of("hot")).block(SOON);
        assertThat(moveDue(Duration.ofMinutes(5))).isEqualTo(1);
        assertThat(rig.state().notes()).as("the note of its last time").isEqualTo(1);
        assertThat(moveDue(Duration.ofMinutes(5))).as("at most once a delay").isZero();
        rescore("hot", 600_000);
        assertThat(moveDue(Duration.ofMinutes(5))).isEqualTo(1);
        assertThat(rig.state().notes()).isZero();
    }

    @Test
    @Tag("T3")
    @DisplayName("T3 a delayer that runs moves a note about when it is due, without being told")
    void running() {
        rig.run(rig.mill.streams().delayer("s", Duration.ofMillis(400)).run());
        rig.producer.delay("a").block(SOON);
        long noted = System.nanoTime();
        Eventually.await("moved", SOON, () -> rig.stream.size().block(SOON) == 1);
        assertThat(Duration.ofNanos(System.nanoTime() - noted))
                .isBetween(Duration.ofMillis(380), Duration.ofMillis(1_900));
    }

    @Test
    @DisplayName("bulk: notes, then the work, then entries; a failing work queues all the same, and fails")
    void bulk() {
        AtomicInteger notesAtWork = new AtomicInteger();
        String result = rig.producer
                .bulk(
                        List.of(1, 2, 3),
                        Mono.fromCallable(() -> "done")
                                .doOnNext(done -> {})
                                .delayElement(Duration.ofMillis(10))
                                .flatMap(done -> rig.stream.state().next().map(state -> {
                                    notesAtWork.set((int) state.notes());
                                    assertThat(state.length()).isZero();
                                    return done;
                                })))
                .block(SOON);
        assertThat(result).isEqualTo("done");
        assertThat(notesAtWork).hasValue(3);
        assertThat(rig.stream.size().block(SOON)).isEqualTo(3);
        assertThatThrownBy(() -> rig.producer
                        .bulk(List.of(4), Mono.error(new IllegalStateException("half done")))
                        .block(SOON))
                .hasMessage("half done");
        assertThat(rig.stream.size().block(SOON)).isEqualTo(4);
    }

    @Test
    @DisplayName("bulk: work that is cancelled queues all the same")
    void bulkCancelled() {
        Sinks.Empty<Void> begun = Sinks.empty();
        Disposable running = rig.run(
                rig.producer.bulk(List.of(1), Mono.<Void>never().doOnSubscribe(started -> begun.tryEmitEmpty())));
        begun.asMono().block(SOON);
        running.dispose();
        Eventually.await("an entry", SOON, () -> rig.stream.size().block(SOON) == 1);
    }

    @Test
    @DisplayName("bulk: without notes no work is begun")
    void bulkWithoutNotes() {
        rig.raw("SET", rig.key("notes"), "not a sorted set");
        AtomicInteger worked = new AtomicInteger();
        assertThatThrownBy(() -> rig.producer
                        .bulk(List.of(1), Mono.fromRunnable(worked::incrementAndGet))
                        .block(SOON))
                .hasMessageContaining("WRONGTYPE");
        assertThat(worked).hasValue(0);
    }

    @Test
    @Tag("T8")
    @DisplayName(
            "T8 the same producer id twice, alone, within a batch and from another process, gives the same entry id")
    void producerIds(RedisServer redis) {
        EntryId first = rig.producer.queue(Change.of(1).withProducerId("p1")).block(SOON);
        assertThat(rig.producer.queue(Change.of(1).withProducerId("p1")).block(SOON))
                .isEqualTo(first);
        try (StreamRig other = StreamRig.on(redis, rig.namespace)) {
            List<EntryId> ids = other.producer
                    .queueAll(List.of(
                            "a",
                            Change.of(1).withProducerId("p1"),
                            "b",
                            Change.of(2).withProducerId("p2"),
                            Change.of(2).withProducerId("p2")))
                    .block(SOON);
            assertThat(ids.get(1)).isEqualTo(first);
            assertThat(ids.get(4)).isEqualTo(ids.get(3));
            assertThat(rig.ids())
                    .containsExactly(
                            first.toString(),
                            ids.get(0).toString(),
                            ids.get(2).toString(),
                            ids.get(3).toString());
        }
        assertThatThrownBy(() -> Change.of(1).withProducerId("")).hasMessageContaining("must not be empty");
    }

    @Test
    @DisplayName("what one producer is given in order is in the stream in order, and every id is that of its entry")
    void order() {
        List<EntryId> ids = rig.producer
                .queue(reactor.core.publisher.Flux.range(0, 5_000))
                .collectList()
                .block(SOON);
        List<StreamEntry> entries =
                rig.stream.entries(EntryId.ZERO).collectList().block(SOON);
        assertThat(entries).hasSize(5_000);
        for (int i = 0; i < entries.size(); i++) {
            assertThat(entries.get(i).get("id")).isEqualTo(i);
            assertThat(entries.get(i).id()).isEqualTo(ids.get(i));
        }
        assertThat(rig.mill.streams().names().collectList().block(SOON)).containsExactly("s");
    }
}
