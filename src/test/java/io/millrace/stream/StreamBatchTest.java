package io.millrace.stream;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Batches that are reduced to what a store needs (T7), order of ids (R1), stable shards, contiguous progress (T2). */
class StreamBatchTest {

    private static StreamBatch batch(String... payloads) {
        List<StreamEntry> entries = new ArrayList<>();
        for (int i = 0; i < payloads.length; i++) {
            entries.add(new StreamEntry(new EntryId(1, i), payloads[i].getBytes(StandardCharsets.UTF_8)));
        }
        return new StreamBatch("s", 0, entries, false, 1);
    }

    private static List<Long> places(StreamBatch batch) {
        return batch.entries().stream().map(entry -> entry.id().seq()).toList();
    }

    @Test
    @Tag("T7")
    @DisplayName("T7 of each record the last change, in the order of those")
    void latest() {
        assertThat(places(batch("{\"id\":1}", "{\"id\":2}", "{\"id\":1}", "{\"id\":3}", "{\"id\":2}")
                        .latest()))
                .containsExactly(2L, 3L, 4L);
        assertThat(places(batch("{\"k\":1}", "{\"k\":1}", "{\"k\":2}").latest(entry -> entry.get("k"))))
                .containsExactly(1L, 2L);
    }

    @Test
    @Tag("T7")
    @DisplayName("T7 with versions an old state that comes late does not win; of equal ones the last does")
    void newest() {
        StreamBatch batch = batch(
                "{\"id\":1,\"v\":2}",
                "{\"id\":1,\"v\":1}",
                "{\"id\":2}",
                "{\"id\":2,\"v\":0}",
                "{\"id\":3,\"v\":5}",
                "{\"id\":3,\"v\":5}");
        assertThat(places(batch.latest(StreamEntry::key, entry -> (Integer) entry.get("v"))))
                .containsExactly(0L, 3L, 5L);
    }

    @Test
    @Tag("R1")
    @DisplayName("R1 ids are ordered as unsigned numbers, not as text")
    void ids() {
        EntryId nine = EntryId.parse("1790000000000-9");
        assertThat(EntryId.parse("1790000000000-10").isAfter(nine)).isTrue();
        assertThat(EntryId.parse("1790000000000-18446744073709551615").isAfter(nine))
                .isTrue();
        assertThat(EntryId.parse("999-1").isAfter(nine)).isFalse();
        assertThat(EntryId.parse("1790000000000-18446744073709551615"))
                .hasToString("1790000000000-18446744073709551615");
        assertThat(EntryId.before(Instant.ofEpochMilli(5)).isAfter(EntryId.parse("4-99")))
                .isTrue();
        assertThat(EntryId.parse("5-0").isAfter(EntryId.before(Instant.ofEpochMilli(5))))
                .isTrue();
        assertThat(EntryId.before(Instant.EPOCH)).isEqualTo(EntryId.ZERO);
        assertThatThrownBy(() -> EntryId.parse("")).hasMessageContaining("is no entry id");
    }

    @Test
    @Tag("T2")
    @DisplayName(
            "T2 progress moves only as far as everything is done, and tells each piece, and what was put aside, once")
    void progress() {
        List<StreamEntry> entries = batch("1", "2", "3", "4").entries();
        Progress progress = new Progress(entries);
        progress.done(entries.subList(1, 2));
        assertThat(progress.advance()).isNull();
        Session.Parked parked = new Session.Parked(entries.get(2), 3, "cause");
        progress.parked(parked);
        progress.done(entries.subList(0, 1));
        assertThat(progress.advance()).isEqualTo(new Progress.Mark(new EntryId(1, 2), List.of(parked)));
        assertThat(progress.advance()).isNull();
        progress.done(entries.subList(3, 4));
        assertThat(progress.advance()).isEqualTo(new Progress.Mark(new EntryId(1, 3), List.of()));
    }

    @Test
    @DisplayName("keys are spread over shards, each always to the same one")
    void shards() {
        assertThat(StreamProducer.shardOf("42", 16)).isEqualTo(StreamProducer.shardOf("42", 16));
        assertThat(IntStream.range(0, 1_000)
                        .map(i -> StreamProducer.shardOf("k" + i, 16))
                        .distinct()
                        .count())
                .isEqualTo(16);
    }
}
