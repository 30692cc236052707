package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.millrace.Event;
import io.millrace.json.EventCodec;
import io.millrace.json.Json;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;

/** Real webhooks, and made-up ones of the same shape: fair and complete, byte for byte. */
@RedisTest
class RealInputIT {

    private static final Path FILE =
            Path.of(System.getProperty("millrace.data", "../shared/data"), "github-webhooks.ndjson");

    @Test
    @DisplayName("182 webhooks of 12 repositories' owners: nothing lost, nothing twice, exact turns")
    void githubWebhooks(RedisServer server, @Namespace String namespace) throws IOException {
        assumeTrue(Files.exists(FILE), () -> FILE + " is not here");
        List<String> lines = Files.readAllLines(FILE).stream()
                .filter(line -> !line.isBlank())
                .toList();
        List<Event> events = lines.stream().map(EventCodec::read).toList();
        assertThat(events).hasSize(182);
        assertThat(events.stream().map(Event::environment).distinct()).hasSize(12);
        for (int i = 0; i < events.size(); i++) {
            Map<?, ?> raw = (Map<?, ?>) Json.read(lines.get(i).getBytes(java.nio.charset.StandardCharsets.UTF_8));
            assertThat(Json.write(events.get(i).data())).isEqualTo(Json.write(raw.get("payload")));
        }
        passThrough(server, namespace, events);
    }

    @Test
    @DisplayName(
            "1,000 lifelike events of 12 environments, one of them with half of all: nothing lost, nothing twice, exact turns")
    void lifelike(RedisServer server, @Namespace String namespace) {
        Random random = new Random(7);
        List<Event> events = new ArrayList<>();
        for (int i = 0; i < 1_000; i++) {
            int tenant = random.nextBoolean() ? 0 : random.nextInt(12);
            Map<String, Object> data = new LinkedHashMap<>();
            data.put("action", List.of("opened", "closed", "re-\"quoted\"").get(random.nextInt(3)));
            data.put("number", random.nextInt());
            data.put("ratio", random.nextInt(1_000) / 8.0);
            data.put("big", 1L << 60);
            data.put("body", "Zeile\r\n\tüñí 😀 \u2028".repeat(random.nextInt(100)));
            data.put("nested", Map.of("list", List.of(1, true, "x", List.of()), "empty", Map.of()));
            events.add(Event.of("tenant/" + tenant, "issues", "repo#" + i)
                    .withData(data)
                    .with("url", "https://example.org/?q=" + i));
        }
        passThrough(server, namespace, events);
    }

    private static void passThrough(RedisServer server, String namespace, List<Event> events) {
        Map<String, Event> sent = new LinkedHashMap<>();
        events.forEach(event -> sent.put(event.id(), event));
        assertThat(sent).hasSize(events.size());
        try (QueueRig rig = QueueRig.on(server, namespace)) {
            for (int way = 0; way < 3; way++) {
                Flux<Delivered> outcomes = switch (way) {
                    case 0 -> Flux.fromIterable(events).concatMap(rig.mill::deliver);
                    case 1 -> rig.mill.deliver(Flux.fromIterable(events));
                    default -> rig.mill.queues().deliverAll(events).flatMapIterable(all -> all);
                };
                assertThat(outcomes.map(Delivered::duplicateIn).collectList().block(SOON))
                        .hasSize(events.size())
                        .allMatch(List::isEmpty);
                // A publisher keeps the order inside each environment only: which of them came first is seen in the
                // ring.
                List<String> arrived = way == 1
                        ? rig.facets().stream().map(FacetState::facet).toList()
                        : events.stream().map(Event::environment).distinct().toList();
                List<String> expected = turns(events, arrived);
                Flux<Message> messages = switch (way) {
                    case 0 -> rig.queue.pull().repeat(events.size() - 1L);
                    case 1 -> rig.queue.pull(events.size());
                    default ->
                        rig.queue
                                .receive(LONG)
                                .take(events.size())
                                .concatMap(one -> one.ack().thenReturn(one.message()));
                };
                List<Message> got = messages.collectList().block(SOON);
                assertThat(got.stream().map(Message::id).toList().equals(expected))
                        .as("turns and order, way %s", way)
                        .isTrue();
                for (Message message : got) {
                    assertThat(EventCodec.text(message.event())).isEqualTo(EventCodec.text(sent.get(message.id())));
                }
                assertThat(rig.facets()).isEmpty();
                rig.queue.destroy().block(SOON);
                rig.mill.queues().register("q", ".*").block(SOON);
            }
        }
    }

    /** Independent of the library: one event of each environment in turn until all are through. */
    private static List<String> turns(List<Event> events, List<String> environments) {
        Map<String, Deque<String>> waiting = new LinkedHashMap<>();
        environments.forEach(environment -> waiting.put(environment, new ArrayDeque<>()));
        events.forEach(event -> waiting.get(event.environment()).add(event.id()));
        List<String> order = new ArrayList<>();
        while (order.size() < events.size()) {
            for (Deque<String> facet : waiting.values()) {
                if (!facet.isEmpty()) {
                    order.add(facet.poll());
                }
            }
        }
        return order;
    }
}
