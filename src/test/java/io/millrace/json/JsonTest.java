package io.millrace.json;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.millrace.MalformedEventException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class JsonTest {

    private static final String[] SEEDS = {
        "{\"id\":42,\"name\":\"f\u00fc\u20ac\ud83d\ude00r\",\"list\":[1,2.50,{\"id\":true}],\"none\":null}",
        "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"id\":\"x\\u0041\"}",
        "[{\"id\":1}]",
        "{\"id\":{\"id\":[1e5,-0.1,12345678901234567890]},\"x\":\"\\n\\\\\"}",
    };

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "{\"id\":42} | 42",
                "{\"x\":\"id\",\"id\":\"a\"} | a",
                "{\"x\":{\"id\":1}} | null",
                "{\"id\":null} | null",
                "[\"id\"] | null",
                "7 | null",
            })
    @DisplayName("one field of an object; nothing of what is none")
    void field(String text, String value) {
        assertThat(Objects.toString(Json.field(bytes(text), "id"))).isEqualTo(value);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "{",
                "{\"id\":1",
                "{\"id\":1}x",
                "{\"id\":1} {}",
                "{\"id\":1,\"id\":2}",
                "{\"x\":1,\"id\":1,\"x\":2}",
                "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"i\":9}",
                "{\"x\":{\"y\":1,\"y\":2}}",
                "{\"id\":1,\"x\":1e99999999999}",
                "{\"x\":\"\\q\"}",
                "{\"x\":\"a\nb\"}",
            })
    @DisplayName("what cannot be read whole has no field either")
    void malformed(String text) {
        assertThatThrownBy(() -> Json.field(bytes(text), "id")).isInstanceOf(MalformedEventException.class);
        assertThatThrownBy(() -> Json.read(bytes(text))).isInstanceOf(MalformedEventException.class);
    }

    @Test
    @DisplayName("random damage: a field is found exactly when the whole text can be read, and is the same")
    void damaged() {
        Random random = new Random(7);
        int readable = 0;
        for (int i = 0; i < 200_000; i++) {
            byte[] text = bytes(SEEDS[random.nextInt(SEEDS.length)]);
            for (int n = random.nextInt(4); n > 0; n--) {
                text[random.nextInt(text.length)] =
                        random.nextBoolean() ? (byte) random.nextInt(256) : text[random.nextInt(text.length)];
            }
            String read = read(text);
            assertThat(one(text))
                    .as(new String(text, StandardCharsets.ISO_8859_1))
                    .isEqualTo(read);
            readable += read == null ? 0 : 1;
        }
        assertThat(readable).isBetween(10_000, 190_000);
    }

    private static @Nullable String read(byte[] text) {
        try {
            return Objects.toString(Json.read(text) instanceof Map<?, ?> map ? map.get("id") : null);
        } catch (MalformedEventException e) {
            return null;
        }
    }

    private static @Nullable String one(byte[] text) {
        try {
            return Objects.toString(Json.field(text, "id"));
        } catch (MalformedEventException e) {
            return null;
        }
    }
}
