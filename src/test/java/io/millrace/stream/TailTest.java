package io.millrace.stream;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.stream.StreamScripts.Standing;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

class TailTest {

    private final Tail tail = new Tail();

    private static Standing found(long last, long added) {
        return new Standing(EntryId.ZERO, EntryId.ZERO, new EntryId(last, 0), added, false, 0);
    }

    private static StreamEntry entry(long ms) {
        return new StreamEntry(new EntryId(ms, 0), null);
    }

    @Test
    @Tag("P18")
    @DisplayName("P18 fewer entries in its history than were found or read: it is another log")
    void wentBack() {
        tail.at(found(10, 10));
        assertThat(Tail.wentBack(found(10, 10), tail.seen())).isFalse();
        tail.read(List.of(entry(9), entry(10), entry(11), entry(12)));
        assertThat(tail.seen()).isEqualTo(12);
        assertThat(Tail.wentBack(found(12, 12), tail.seen())).isFalse();
        assertThat(Tail.wentBack(found(12, 11), tail.seen())).isTrue();
    }

    @Test
    @Tag("P18")
    @DisplayName("P18 an answer that is older than what was learned while it was on its way tells of no loss")
    void lateAnswer() {
        tail.at(found(10, 10));
        long seen = tail.seen();
        Standing late = found(10, 10);
        tail.read(List.of(entry(11)));
        tail.at(found(12, 12));
        assertThat(Tail.wentBack(late, seen)).isFalse();
    }
}
