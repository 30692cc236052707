package io.millrace.json;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.millrace.MalformedEventException;
import io.millrace.json.Notifications.Notification;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

class NotificationsTest {

    private static final String GOOD =
            "[{\"topic\":\"w\",\"type\":\"update\",\"url\":\"https://x/\\u00e91\",\"t\":12.9,"
                    + "\"data\":{\"a\":[1,{\"b\":null}],\"c\":\"\uD83D\uDE80\"},\"x\":[true,false,{\"y\":1}]}, "
                    + "{\"t\":3,\"url\":\"u\",\"type\":\"noop\",\"topic\":\"v\"}]";

    /** Nothing in it needs to be looked into: {@link PlainBatch}. */
    private static final String PLAIN = "[{\"topic\":\"w\",\"type\":\"update\",\"url\":\"https://x/1\",\"t\":12,"
            + "\"data\":{\"a\":[1,{\"b\":null,\"a\":[]}],\"c\":\"d\",\"e\":{},\"f\":-1,\"g\":true,\"h\":1,\"i\":1,\"j\":1,\"k\":1}},"
            + "{\"t\":3,\"url\":\"u\",\"type\":\"noop\",\"topic\":\"v\"}]";

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    @Test
    @DisplayName("written and read they are the same; fields come in any order, unknown ones are passed over")
    void roundTrip() {
        List<Notification> batch = Notifications.read(bytes(GOOD), 10);
        assertThat(batch).hasSize(2);
        assertThat(batch.get(0).url()).isEqualTo("https://x/é1");
        assertThat(batch.get(0).t()).isEqualTo(12);
        assertThat(batch.get(0).data()).containsOnlyKeys("a", "c");
        assertThat(batch.get(1)).isEqualTo(new Notification("v", "noop", "u", 3, null));
        assertThat(Notifications.read(Notifications.write(batch), 10)).isEqualTo(batch);
        assertThat(Notifications.check(bytes(GOOD), 2)).isEqualTo(new Notifications.Summary(2, 12));
        assertThatThrownBy(() -> Notifications.check(bytes(GOOD), 1)).hasMessageContaining("1 events");
        assertThat(Notifications.write(List.of(new Notification("t", "create", "u", 1, Map.of("k", 1)))))
                .asString(StandardCharsets.UTF_8)
                .isEqualTo("[{\"topic\":\"t\",\"type\":\"create\",\"url\":\"u\",\"t\":1,\"data\":{\"k\":1}}]");
    }

    @Test
    @Tag("D12")
    @DisplayName(
            "D12 fuzz: a mutated body is read or refused, by nothing else; what check takes, read takes, and alike again")
    void fuzz() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        int accepted = 0;
        for (int i = 0; i < 100_000; i++) {
            byte[] body = bytes(i % 2 == 0 ? GOOD : PLAIN);
            for (int m = random.nextInt(3); m >= 0 && body.length > 0; m--) {
                int at = random.nextInt(body.length);
                switch (random.nextInt(4)) {
                    case 0 -> body[at] = (byte) random.nextInt(256);
                    case 1 -> body = Arrays.copyOf(body, random.nextInt(5) == 0 ? at : body.length);
                    case 2 -> body[at] = (byte) "[]{}\",:0e-\\u".charAt(random.nextInt(12));
                    default -> {
                        int to = Math.min(body.length, at + random.nextInt(20));
                        byte[] longer = Arrays.copyOf(body, body.length + to - at);
                        System.arraycopy(body, at, longer, to, body.length - at);
                        body = longer;
                    }
                }
            }
            Notifications.Summary summary;
            try {
                summary = Notifications.check(body, 10);
            } catch (MalformedEventException e) {
                assertThat(e.getMessage()).isNotBlank();
                continue;
            } catch (RuntimeException | StackOverflowError e) {
                throw new AssertionError(
                        "seed " + seed + ", step " + i + ": " + new String(body, StandardCharsets.UTF_8), e);
            }
            accepted++;
            List<Notification> read = Notifications.read(body, 10);
            assertThat(summary)
                    .as("seed %d", seed)
                    .isEqualTo(new Notifications.Summary(
                            read.size(),
                            read.stream().mapToLong(Notification::t).max().orElse(0)));
            assertThat(Notifications.read(Notifications.write(read), 10))
                    .as("seed %d", seed)
                    .isEqualTo(read);
        }
        assertThat(accepted).isBetween(1_000, 99_000);
    }

    @Test
    @DisplayName("what is wrong with a plain batch is named as in any other")
    void plain() {
        assertThat(PlainBatch.is(bytes(PLAIN))).isTrue();
        assertThat(Notifications.check(bytes(PLAIN), 2)).isEqualTo(new Notifications.Summary(2, 12));
        for (String hidden : List.of("\\", "\u007f", "\n", "\t", "\u00e9", "\0")) {
            for (int at = 0; at < 17; at++) {
                assertThat(PlainBatch.is(bytes("x".repeat(at) + hidden + "x".repeat(16 - at))))
                        .as("%s at %d", hidden, at)
                        .isFalse();
            }
        }
        assertThatThrownBy(() -> Notifications.check(bytes(PLAIN.replace("noop", "nope")), 10))
                .hasMessageContaining("event 1 must be of type");
        assertThatThrownBy(() -> Notifications.check(bytes(PLAIN.replace("\"t\":3,", "")), 10))
                .hasMessageContaining("event 1 needs");
        assertThatThrownBy(() -> Notifications.check(bytes(PLAIN.replace("\"v\"", "\"\"")), 10))
                .hasMessageContaining("event 1 must have 1 to");
        assertThatThrownBy(() -> Notifications.check(bytes(PLAIN.replace("\"j\":", "\"i\":")), 10))
                .hasMessageContaining("\"i\"");
        assertThatThrownBy(() -> Notifications.check(bytes(PLAIN + "1"), 10))
                .isInstanceOf(MalformedEventException.class);
        assertThat(Notifications.check(bytes(PLAIN.replace("\"t\":3", "\"t\":3.9,\"x\":[{}]")), 10)
                        .count())
                .isEqualTo(2);
    }

    @Test
    @Tag("X15")
    @DisplayName("X15 depth, names, numbers and texts are bounded; names occur once")
    void bounds() {
        String event = "[{\"topic\":\"w\",\"type\":\"update\",\"url\":\"u\",\"t\":1,\"data\":%s}]";
        for (String bad : List.of(
                "{\"a\":".repeat(31) + "1" + "}".repeat(31),
                "{\"" + "n".repeat(300) + "\":1}",
                "{\"n\":" + "1".repeat(101) + "}",
                "{\"n\":\"" + "x".repeat(70_000) + "\"}",
                "{\"n\":1,\"n\":2}",
                "{\"m\":{\"n\":1,\"n\":2}}",
                "{\"m\":[{\"n\":1,\"n\":2}]}",
                "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,\"i\":2}",
                "[1]")) {
            assertThatThrownBy(() -> Notifications.check(bytes(event.formatted(bad)), 10))
                    .isInstanceOf(MalformedEventException.class);
        }
        assertThat(Notifications.check(bytes(event.formatted("null")), 10).count())
                .isEqualTo(1);
        assertThat(Notifications.check(bytes(event.formatted("{\"n\":\"" + "x".repeat(60_000) + "\"}")), 10)
                        .count())
                .isEqualTo(1);
    }
}
