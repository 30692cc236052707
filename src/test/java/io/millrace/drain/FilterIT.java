package io.millrace.drain;

import static io.millrace.drain.DrainRig.SOON;
import static io.millrace.drain.DrainRig.event;
import static io.millrace.drain.DrainRig.update;
import static org.assertj.core.api.Assertions.assertThat;

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
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What passes, what is old. */
@RedisTest
class FilterIT {

    private static final List<ChangeType> TYPES = List.of(ChangeType.CREATE, ChangeType.UPDATE, ChangeType.DELETE);

    private DrainRig rig;
    private ChangeFilter filter;

    @BeforeEach
    void open(RedisServer server, @Namespace String namespace) {
        rig = DrainRig.on(server, namespace);
        filter = new ChangeFilter(rig.mill.redis(), "f", DrainSettings.defaults());
    }

    @AfterEach
    void close() {
        rig.close();
    }

    private List<DrainEvent> changed(DrainEvent... events) {
        return filter.changed(List.of(events)).block(SOON);
    }

    @Test
    @Tag("D2")
    @DisplayName("D2 the newest wins; at equal times a delete is final, the same is a duplicate, the rest passes")
    void rules() {
        DrainEvent create = event(ChangeType.CREATE, "u", 10);
        DrainEvent update = update("u", 10);
        DrainEvent delete = event(ChangeType.DELETE, "u", 10);
        assertThat(changed(create)).containsExactly(create);
        assertThat(changed(create)).isEmpty();
        assertThat(changed(update("u", 9))).isEmpty();
        assertThat(changed(update)).containsExactly(update);
        assertThat(changed(update)).isEmpty();
        assertThat(changed(delete)).containsExactly(delete);
        assertThat(changed(update, create, delete)).isEmpty();
        DrainEvent later = event(ChangeType.CREATE, "u", 11);
        assertThat(changed(later)).containsExactly(later);
        DrainEvent one = new DrainEvent("w", ChangeType.UPDATE, "w", 1, Map.of("v", 1));
        DrainEvent two = new DrainEvent("w", ChangeType.UPDATE, "w", 1, Map.of("v", 2));
        assertThat(changed(one, one, two)).containsExactly(one, two);
        assertThat(changed(two)).isEmpty();
    }

    @Test
    @DisplayName("a noop that is no change is never remembered: the change before it still counts")
    void noop() {
        DrainEvent noop = event(ChangeType.NOOP, "u", 10);
        assertThat(changed(noop)).containsExactly(noop);
        assertThat(changed(update("u", 9))).hasSize(1);
        assertThat(changed(event(ChangeType.NOOP, "u", 8))).isEmpty();
    }

    @Test
    @Tag("D2")
    @DisplayName(
            "D2 two drains, many entities, any order, any slices: each ends with its newest event, which passed once")
    void anyOrder() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        ChangeFilter other = new ChangeFilter(rig.mill.redis(), "f", DrainSettings.defaults());
        List<DrainEvent> events = new ArrayList<>();
        for (int i = 0; i < 3_000; i++) {
            ChangeType type = TYPES.get(random.nextInt(3));
            events.add(event(type, "u" + random.nextInt(50), random.nextInt(200)));
        }
        Collections.shuffle(events, random);
        Map<String, DrainEvent> newest = new HashMap<>();
        Map<String, DrainEvent> lastPassed = new HashMap<>();
        for (int from = 0; from < events.size(); ) {
            int to = Math.min(events.size(), from + 1 + random.nextInt(700));
            List<DrainEvent> slice = events.subList(from, to);
            List<DrainEvent> passed =
                    (random.nextBoolean() ? filter : other).changed(slice).block(SOON);
            for (DrainEvent event : passed) {
                DrainEvent before = lastPassed.put(event.url(), event);
                assertThat(before == null || before.t() <= event.t())
                        .as("seed %d", seed)
                        .isTrue();
                assertThat(before == null
                                || before.t() < event.t()
                                || (before.type() != ChangeType.DELETE && before.type() != event.type()))
                        .as("seed %d: %s after %s", seed, event, before)
                        .isTrue();
            }
            slice.forEach(event -> newest.merge(event.url(), event, (a, b) -> a.t() >= b.t() ? a : b));
            from = to;
        }
        newest.forEach((url, event) ->
                assertThat(lastPassed.get(url).t()).as("seed %d", seed).isEqualTo(event.t()));
    }

    @Test
    @DisplayName("a batch of more events than one call takes is decided in slices")
    void slices() {
        DrainEvent[] many =
                IntStream.range(0, 1_700).mapToObj(i -> update("u" + i, 1)).toArray(DrainEvent[]::new);
        assertThat(changed(many)).containsExactly(many);
        assertThat(changed(many)).isEmpty();
    }

    @Test
    @DisplayName("what is known of an entity ends after a while, and leaves nothing behind")
    void expires() {
        filter = new ChangeFilter(
                rig.mill.redis(),
                "f",
                DrainSettings.builder().filterMemory(Duration.ofMillis(200)).build());
        assertThat(changed(update("u", 5))).hasSize(1);
        assertThat(changed(update("u", 5))).isEmpty();
        Eventually.await("it is forgotten", SOON, () -> rig.keys("f").isEmpty());
        assertThat(changed(update("u", 4))).hasSize(1);
    }

    @Test
    @DisplayName("any text is a URL, and none is mistaken for another")
    void anyText() {
        List<String> urls =
                List.of("*", "?", "a:b", "é", "\uD83D\uDE80", "%00", "u\\", "{x}", "a b", "x".repeat(8_000));
        for (String url : urls) {
            assertThat(changed(update(url, 1))).hasSize(1);
        }
        for (String url : urls) {
            assertThat(changed(update(url, 1))).isEmpty();
        }
    }
}
