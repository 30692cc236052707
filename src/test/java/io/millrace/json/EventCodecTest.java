package io.millrace.json;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.millrace.Event;
import io.millrace.MalformedEventException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class EventCodecTest {

    private static final Instant AT = Instant.ofEpochMilli(1_790_000_000_123L);

    @Test
    @DisplayName("the form that is written: fixed fields first, then data, then attributes in their order")
    void form() {
        Event event = Event.of("env-1", "page", "http://google.com/q")
                .withId("id-1")
                .withTime(Instant.parse("2026-11-20T09:30:00Z"))
                .withData(Map.of("a", 1))
                .with("referrer", "http://customer.io")
                .with("nothing", null);
        assertThat(EventCodec.text(event))
                .isEqualTo(
                        "{\"environment\":\"env-1\",\"type\":\"page\",\"name\":\"http://google.com/q\",\"id\":\"id-1\","
                                + "\"time\":\"2026-11-20T09:30:00.000Z\",\"data\":{\"a\":1},\"referrer\":\"http://customer.io\","
                                + "\"nothing\":null}");
        assertThat(new String(EventCodec.writeStored(event, AT, 1_000), StandardCharsets.UTF_8))
                .startsWith("{\"_at\":1790000000123,\"environment\":\"env-1\",\"type\"");
    }

    @Test
    @DisplayName("aliases are understood, other fields stay as they came")
    void aliases() {
        Event event = EventCodec.read("{\"environment_id\":1,\"type\":\"page\",\"name\":\"n\",\"payload\":[1.10,2],"
                + "\"url\":\"u\",\"t\":1684030169000,\"time\":1684030169000}");
        assertThat(event.environment()).isEqualTo("1");
        assertThat(event.data()).isEqualTo(List.of(new BigDecimal("1.10"), 2));
        assertThat(event.attributes()).containsExactly(Map.entry("url", "u"), Map.entry("t", 1684030169000L));
        assertThat(event.time()).isEqualTo(Instant.ofEpochMilli(1684030169000L));
        assertThat(event.id()).isNotEmpty();
        assertThat(EventCodec.text(event)).contains("\"data\":[1.10,2]");
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(
            strings = {
                "",
                " ",
                "null",
                "5",
                "[1]",
                "\"x\"",
                "{}",
                "{\"environment\":\"e\"}",
                "{\"environment\":\"e\",\"type\":\"t\"}",
                "{\"environment\":null,\"type\":\"t\",\"name\":\"n\"}",
                "{\"environment\":\"e\",\"type\":[],\"name\":\"n\"}",
                "{\"environment\":\"e\",\"type\":\"t\",\"name\":\"n\"} x",
                "{\"environment\":\"e\",\"type\":\"t\",\"name\":\"n\"",
                "{\"environment\":\"e\",\"environment_id\":\"f\",\"type\":\"t\",\"name\":\"n\"}",
                "{\"environment\":\"e\",\"type\":\"t\",\"name\":\"n\",\"data\":1,\"payload\":2}",
                "{\"environment\":\"e\",\"type\":\"t\",\"name\":\"n\",\"a\":1,\"a\":2}",
                "{\"environment\":\"e\",\"type\":\"t\",\"name\":\"n\",\"data\":{\"a\":1,\"a\":2}}",
                "{\"environment\":\"e\",\"type\":\"t\",\"name\":\"n\",\"id\":\"\"}",
                "{\"environment\":\"e\",\"type\":\"t\",\"name\":\"n\",\"time\":\"yesterday\"}",
                "{\"environment\":\"e\",\"type\":\"t\",\"name\":\"n\",\"time\":-1}",
                "{\"environment\":\"e\",\"type\":\"t\",\"name\":\"n\",\"time\":1e999999999}",
                "{\"environment\":\"e\",\"type\":\"t\",\"name\":\"n\",\"time\":\"2026-11-20T25:00:00.000Z\"}",
                "{\"environment\":\"\\ud800\",\"type\":\"t\",\"name\":\"n\"}",
            })
    void refused(String json) {
        assertThatThrownBy(() -> EventCodec.read(json)).isInstanceOf(MalformedEventException.class);
    }

    @Test
    @DisplayName("an error names the field and the value")
    void namesTheValue() {
        assertThatThrownBy(() ->
                        EventCodec.read("{\"environment\":\"e\",\"type\":\"t\",\"name\":\"n\",\"time\":\"soon\"}"))
                .hasMessageContaining("time must be")
                .hasMessageContaining("\"soon\"");
        assertThatThrownBy(() -> EventCodec.read("{\"type\":\"t\",\"name\":\"n\"}"))
                .hasMessageContaining("environment is missing");
        assertThatThrownBy(() -> EventCodec.read("{\"environment\":")).hasMessageContaining("line 1, column");
        assertThatThrownBy(() -> Event.of("e", "t", "n").with("data", 1)).hasMessageContaining("\"data\"");
    }

    @Test
    @DisplayName("an event over the limit is refused with its size")
    void tooLarge() {
        Event event = Event.of("e", "t", "n").withData("x".repeat(2_000));
        assertThatThrownBy(() -> EventCodec.writeStored(event, AT, 1_024)).hasMessageContaining("limit of 1024");
    }

    @Test
    @DisplayName("what is written can be read: names are bounded when written, texts are not before the event is")
    void bounds() {
        Event event = Event.of("e", "t", "n");
        String name = "x".repeat(50_001);
        for (Event wrong : List.of(event.with(name, 1), event.withData(Map.of(name, 1)))) {
            assertThatThrownBy(() -> EventCodec.write(wrong))
                    .isInstanceOf(MalformedEventException.class)
                    .hasMessageContaining("50000");
        }
        Event longest = event.with(name.substring(1), 1).withData("é" + "x".repeat(21_000_000));
        Event read = EventCodec.read(EventCodec.write(longest));
        assertThat(read.data()).isEqualTo(longest.data());
        assertThat(read.attributes()).isEqualTo(longest.attributes());
    }

    @Test
    @DisplayName("nesting is bounded when written and when read, also where a value holds itself")
    void nesting() {
        List<Object> loop = new ArrayList<>();
        loop.add(loop);
        assertThatThrownBy(() -> Json.write(loop)).isInstanceOf(MalformedEventException.class);
        String deep = "[".repeat(200) + "]".repeat(200);
        assertThatThrownBy(() -> Json.read(deep)).isInstanceOf(MalformedEventException.class);
    }

    @ParameterizedTest(name = "{0} is written as {1}")
    @CsvSource({
        "2026-11-20T09:30:00Z, 2026-11-20T09:30:00.000Z",
        "2026-11-20T00:00:00.007Z, 2026-11-20T00:00:00.007Z",
        "1970-01-01T00:00:00Z, 1970-01-01T00:00:00.000Z",
        "9999-12-31T23:59:59.999Z, 9999-12-31T23:59:59.999Z",
        "2026-11-20T09:30:00.123456Z, 2026-11-20T09:30:00.123Z",
        "2026-11-20T10:30:00+01:00, 2026-11-20T09:30:00.000Z",
    })
    void times(String read, String written) {
        Event event =
                EventCodec.read("{\"environment\":\"e\",\"type\":\"t\",\"name\":\"n\",\"time\":\"" + read + "\"}");
        assertThat(Times.text(event.time())).isEqualTo(written);
        assertThat(Times.parse(written)).isEqualTo(event.time());
    }

    @Test
    @DisplayName("random times read back as the JDK would write them")
    void randomTimes() {
        Random random = new Random(3);
        for (int i = 0; i < 20_000; i++) {
            Instant time = Instant.ofEpochMilli((long) (random.nextDouble() * 253_402_300_799_999L));
            assertThat(Instant.parse(Times.text(time))).isEqualTo(time);
            assertThat(Times.parse(Times.text(time))).isEqualTo(time);
        }
    }

    @Test
    @DisplayName("any event survives being stored and read, by the fast way and by the general one")
    void roundTrip() {
        Random random = new Random(11);
        for (int i = 0; i < 5_000; i++) {
            Event event = Event.of(text(random), text(random), text(random))
                    .withTime(AT.plus(Duration.ofMillis(random.nextInt())))
                    .withId("i" + text(random));
            if (random.nextBoolean()) {
                event = event.withData(value(random, 3));
            }
            for (int j = random.nextInt(3); j > 0; j--) {
                event = event.with("a" + j + text(random), value(random, 2));
            }
            byte[] stored = EventCodec.writeStored(event, AT, 1 << 20);
            byte[] copy = stored.clone();
            EventCodec.Stored read = EventCodec.readStored(stored);
            assertThat(stored).as("reading leaves the bytes as they are").isEqualTo(copy);
            assertThat(read.at()).isEqualTo(AT);
            assertSame(read.event(), event);
            assertSame(EventCodec.read(stored), event);
            assertSame(EventCodec.read(EventCodec.text(event)), event);
        }
    }

    @Test
    @DisplayName("a character that needs care is found at any place of a text of any length")
    void everyPlace() {
        for (String special : List.of("\"", "\\", "\n", "\u001f", "\u007f", "\u0080", "é", "€", "\uD83D\uDE00")) {
            for (int length = 0; length < 36; length++) {
                for (int place = 0; place <= length; place++) {
                    String text = "a".repeat(place) + special + "b".repeat(length - place);
                    Event event = Event.of(text, "t", "n").withTime(AT);
                    assertThat(EventCodec.readStored(EventCodec.writeStored(event, AT, 1 << 20))
                                    .event())
                            .isEqualTo(event);
                }
            }
        }
        byte[] bare = EventCodec.writeStored(Event.of("abcdefghijkl", "t", "n").withTime(AT), AT, 1 << 20);
        int begin = new String(bare, StandardCharsets.US_ASCII).indexOf("abcdefghijkl");
        for (int place = 0; place < 12; place++) {
            for (int control = 0; control < ' '; control++) {
                byte[] broken = bare.clone();
                broken[begin + place] = (byte) control;
                assertThatThrownBy(() -> EventCodec.readStored(broken)).isInstanceOf(MalformedEventException.class);
            }
        }
    }

    @Test
    @DisplayName("random and mutated bytes are refused or read, never anything else")
    void fuzz() {
        Random random = new Random(5);
        byte[] good = EventCodec.writeStored(
                Event.of("env", "page", "näme\n")
                        .withData(Map.of("k", List.of(1, "x")))
                        .with("r", true),
                AT,
                10_000);
        int refused = 0;
        for (int i = 0; i < 50_000; i++) {
            byte[] bytes;
            if (i % 2 == 0) {
                bytes = good.clone();
                for (int j = 1 + random.nextInt(3); j > 0; j--) {
                    bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
                }
                bytes = Arrays.copyOf(bytes, bytes.length - random.nextInt(2) * random.nextInt(bytes.length));
            } else {
                bytes = new byte[random.nextInt(60)];
                random.nextBytes(bytes);
            }
            try {
                EventCodec.readStored(bytes);
            } catch (MalformedEventException expected) {
                refused++;
            }
        }
        assertThat(refused).isGreaterThan(30_000);
    }

    private static void assertSame(Event read, Event event) {
        assertThat(EventCodec.plain(read)).isEqualTo(EventCodec.plain(event));
        assertThat(read.topic()).isEqualTo(event.topic());
    }

    private static String text(Random random) {
        String alphabet = "abc\"\\/{}[]:,%\n\t\u0000\u001f\u007f\u00e9\u4e2d\u2028 ";
        StringBuilder text = new StringBuilder();
        for (int j = random.nextInt(6); j > 0; j--) {
            if (random.nextInt(8) == 0) {
                text.appendCodePoint(0x1F600 + random.nextInt(50));
            } else {
                text.append(alphabet.charAt(random.nextInt(alphabet.length())));
            }
        }
        return text.toString();
    }

    private static Object value(Random random, int depth) {
        return switch (random.nextInt(depth == 0 ? 6 : 8)) {
            case 0 -> text(random);
            case 1 -> random.nextInt();
            case 2 -> (1L << 40) + random.nextInt(1 << 20);
            case 3 -> new BigDecimal(new BigInteger(70, random), random.nextInt(20) + 1);
            case 4 -> random.nextBoolean();
            case 5 -> new BigInteger(200, random).setBit(199);
            case 6 -> {
                List<Object> list = new ArrayList<>();
                for (int i = random.nextInt(4); i > 0; i--) {
                    list.add(value(random, depth - 1));
                }
                yield list;
            }
            default -> {
                Map<String, Object> map = new LinkedHashMap<>();
                for (int i = random.nextInt(4); i > 0; i--) {
                    map.put(text(random), value(random, depth - 1));
                }
                yield map;
            }
        };
    }
}
