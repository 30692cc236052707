package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Event;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Any text is a legal environment, type, name, queue name, id and attribute. {@code -Dmodel.seed=n} for one seed. */
@RedisTest
class AnyTextIT {

    private static final List<String> NASTY = List.of(
            "",
            "{}",
            "{",
            "}",
            ":",
            "%",
            "%3a",
            "\"",
            "\\",
            "\\\"",
            "'",
            "\u0000",
            "\n",
            "\r\n",
            "\t",
            "\u007f",
            "\u0080",
            "\u2028",
            "\ufeff",
            "\uffff",
            "é",
            "e\u0301",
            "😀",
            "𝒳",
            "ß",
            "[",
            "]",
            "*",
            "?",
            "^",
            "/",
            "/0}",
            "0",
            "-1",
            "nil",
            "null",
            "\",\"environment\":\"x",
            "$",
            " ",
            "--",
            "{registry}",
            "ring",
            "\\u0041",
            "\ud7ff",
            "\ue000");

    private Random random;

    @ParameterizedTest(name = "seed {0}")
    @ValueSource(longs = {1, 2, 3})
    @Tag("S5")
    @DisplayName(
            "S5 any text is a facet, a type, a name, a queue, an id and an attribute; all of it comes back as it was")
    void anyText(long seed, RedisServer server, @Namespace String namespace) {
        random = new Random(Long.getLong("model.seed", seed));
        try (QueueRig rig = QueueRig.on(server, namespace)) {
            rig.mill.queues().unregister("q").block(SOON);
            for (int i = 0; i < 150; i++) {
                Event event = Event.of(text(), text(), text())
                        .withId(i + text())
                        .withData(List.of(text(), text()))
                        .with("a" + text(), text());
                String name = "n" + text();
                try {
                    roundTrip(rig, event, name);
                } catch (RuntimeException | AssertionError e) {
                    throw new AssertionError(
                            "seed " + seed + ", step " + i + ", queue " + shown(name) + ", event "
                                    + shown(event.toString()),
                            e);
                }
            }
            assertThat(rig.mill.queues().registrations().collectList().block(SOON))
                    .isEmpty();
        }
    }

    private static void roundTrip(QueueRig rig, Event event, String name) {
        FacetQueue queue = rig.mill.queue(name);
        rig.mill
                .queues()
                .register(name, com.google.re2j.Pattern.quote(event.topic()))
                .block(SOON);
        assertThat(rig.mill.deliver(event).block(SOON).queues()).containsExactly(name);
        assertThat(rig.mill.deliver(event).block(SOON).duplicateIn()).containsExactly(name);
        assertThat(rig.mill
                        .queues()
                        .registrations()
                        .map(Registration::queue)
                        .collectList()
                        .block(SOON))
                .containsExactly(name);
        assertThat(queue.facets().map(FacetState::facet).collectList().block(SOON))
                .containsExactly(event.environment());
        Delivery first = queue.lease(1, LONG).blockFirst(SOON);
        same(first.event(), event);
        assertThat(queue.facets().blockFirst(SOON).inFlight()).isEqualTo(1);
        assertThat(first.nack().block(SOON)).isTrue(); // its facet is read from the stored event
        assertThat(queue.facets().map(FacetState::facet).collectList().block(SOON))
                .containsExactly(event.environment());
        Delivery second = queue.lease(1, LONG).blockFirst(SOON);
        same(second.event(), event);
        assertThat(second.message().attempt()).isEqualTo(2);
        assertThat(second.nack(Duration.ofHours(1)).block(SOON)).isTrue();
        assertThat(queue.facets().blockFirst(SOON))
                .satisfies(state -> assertThat(state.facet()).isEqualTo(event.environment()))
                .satisfies(state -> assertThat(state.later()).isEqualTo(1));
        assertThat(queue.doctor().block(SOON).findings()).isEmpty();
        assertThat(queue.destroy().block(SOON)).isEqualTo(1);
        assertThat(rig.keys()).noneMatch(key -> key.contains(":queue:"));
    }

    private static void same(Event got, Event sent) {
        assertThat(got.environment()).isEqualTo(sent.environment());
        assertThat(got.type()).isEqualTo(sent.type());
        assertThat(got.name()).isEqualTo(sent.name());
        assertThat(got.id()).isEqualTo(sent.id());
        assertThat(got.data()).isEqualTo(sent.data());
        assertThat(got.attributes()).isEqualTo(sent.attributes());
    }

    /** Up to four pieces, nasty or random. */
    private String text() {
        StringBuilder text = new StringBuilder();
        for (int i = random.nextInt(5); i > 0; i--) {
            if (random.nextInt(3) > 0) {
                text.append(NASTY.get(random.nextInt(NASTY.size())));
            } else {
                int point = random.nextInt(Character.MAX_CODE_POINT + 1);
                boolean surrogate = point >= Character.MIN_SURROGATE && point <= Character.MAX_SURROGATE;
                text.appendCodePoint(surrogate ? 'x' : point);
            }
        }
        return text.toString();
    }

    private static String shown(String text) {
        StringBuilder shown = new StringBuilder();
        text.chars()
                .forEach(
                        c -> shown.append(c > ' ' && c < 127 ? String.valueOf((char) c) : String.format("\\u%04x", c)));
        return shown.toString();
    }
}
