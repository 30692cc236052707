package io.millrace.redis;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Replies as the driver's parser tells them. */
class EntriesOutputTest {

    private final EntriesOutput<String> output = new EntriesOutput<>(
            bytes("payload"),
            (ms, seq, value) -> Long.toUnsignedString(ms) + "/" + Long.toUnsignedString(seq) + "="
                    + (value == null ? "none" : new String(value, StandardCharsets.UTF_8)));

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private void text(@Nullable String text) {
        output.set(text == null ? null : ByteBuffer.wrap(bytes(text)));
    }

    private void entry(int depth, String id, String... fields) {
        output.multi(2);
        text(id);
        output.multi(fields.length);
        for (String field : fields) {
            text(field);
        }
        output.complete(depth + 1);
        output.complete(depth);
    }

    private void entries(int depth) {
        output.multi(4);
        entry(depth, "1-0", "payload", "a");
        entry(depth, "18446744073709551615-7", "other", "x", "payload", "b", "payload", "again");
        entry(depth, "3-2", "payload1", "x");
        entry(depth, "4-0", "other", "payload", "payload", "d");
        output.complete(depth - 1);
    }

    @ParameterizedTest(name = "RESP{0}")
    @ValueSource(ints = {2, 3})
    @DisplayName(
            "of each entry the id and the first value of the field; a value that reads like the field's name is none")
    void both(int resp) {
        output.multi(1);
        if (resp == 2) {
            output.multi(2);
            text("log");
            entries(3);
            output.complete(1);
        } else {
            text("log");
            entries(2);
        }
        output.complete(0);
        assertThat(output.get()).containsExactly("1/0=a", "18446744073709551615/7=b", "3/2=none", "4/0=d");
    }

    @Test
    @DisplayName("nothing came: no list, in both protocols")
    void nothing() {
        output.multi(-1);
        output.complete(0);
        assertThat(output.get()).isNull();
        text(null);
        assertThat(output.get()).isNull();
    }

    @Test
    @DisplayName("an id that is none is said")
    void noId() {
        output.multi(1);
        text("log");
        output.multi(1);
        output.multi(2);
        assertThatThrownBy(() -> text("17")).hasMessageContaining("id has no");
    }
}
