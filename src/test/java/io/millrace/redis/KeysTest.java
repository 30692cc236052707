package io.millrace.redis;

import static org.assertj.core.api.Assertions.assertThat;

import io.lettuce.core.cluster.SlotHash;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class KeysTest {

    private final Keys keys = new Keys("ns");

    @Test
    @DisplayName("a unit's prefix names kind, name and partition, with the slot in braces")
    void unit() {
        assertThat(keys.unitText("queue", "orders", 0)).isEqualTo("ns:queue:{orders/0}:");
        assertThat(new Keys("").unitText("queue", "orders", 3)).isEqualTo("queue:{orders/3}:");
        assertThat(text(keys.single("registry", "queues"))).isEqualTo("ns:{registry}:queues");
    }

    @Test
    @DisplayName("two different names never share a prefix, and all keys of one share its slot")
    void anyName() {
        Random random = new Random(7);
        String alphabet = "ab{}/:% \u00e9\n\u0000*";
        Map<String, String> seen = new HashMap<>();
        for (int i = 0; i < 20_000; i++) {
            StringBuilder name = new StringBuilder();
            for (int j = 1 + random.nextInt(5); j > 0; j--) {
                name.append(alphabet.charAt(random.nextInt(alphabet.length())));
            }
            String prefix = keys.unitText("queue", name.toString(), 0);
            String before = seen.put(prefix, name.toString());
            assertThat(before == null || before.contentEquals(name))
                    .as("%s and %s", before, name)
                    .isTrue();
            int slot = SlotHash.getSlot(prefix + "ring");
            assertThat(SlotHash.getSlot(prefix + "f:{other}")).isEqualTo(slot);
            assertThat(SlotHash.getSlot(prefix + "l:30000.20")).isEqualTo(slot);
        }
    }

    @Test
    @DisplayName(
            "F7 in a cluster a unit's prefix gets a second name of its slot that is nobody's; other keys stay as they are")
    void guard() {
        byte[] unit = keys.unit("queue", "orders", 0);
        List<byte[]> guarded = Keys.guarded(List.of(unit));
        assertThat(guarded).hasSize(2).first().isSameAs(unit);
        assertThat(text(guarded.get(1))).isEqualTo("ns:queue:{orders/0}:-");
        assertThat(SlotHash.getSlot(guarded.get(1))).isEqualTo(SlotHash.getSlot(unit));
        List<byte[]> two = List.of(unit, keys.single("registry", "queues"));
        assertThat(Keys.guarded(two)).isSameAs(two);
        List<byte[]> plain = List.of(keys.single("registry", "queues"));
        assertThat(Keys.guarded(plain)).isSameAs(plain);
    }

    @Test
    @DisplayName("queues spread over slots")
    void spread() {
        long slots = java.util.stream.IntStream.range(0, 1_000)
                .map(i -> SlotHash.getSlot(keys.unitText("queue", "q" + i, 0)))
                .distinct()
                .count();
        assertThat(slots).isGreaterThan(900);
    }

    @Test
    @DisplayName("a namespace with glob characters matches only itself")
    void namespaceInPattern() {
        assertThat(text(new Keys("a*[b]?").topicPattern("*:page:*"))).isEqualTo("a\\*\\[b\\]\\?:*:page:*");
        assertThat(text(new Keys("").topicPattern("*"))).isEqualTo("*");
        assertThat(text(keys.topicChannel("env:page:x"))).isEqualTo("ns:env:page:x");
    }

    private static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }
}
