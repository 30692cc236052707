package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.millrace.Event;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;

/** Several queues read as one. */
@RedisTest
class QueueGroupIT {

    private QueueRig rig;

    @BeforeEach
    void open(RedisServer server, @Namespace String namespace) {
        rig = QueueRig.on(server, namespace);
        rig.mill.queues().unregister("q").block(SOON);
        for (String queue : List.of("high", "low", "idle")) {
            rig.mill.queues().register(queue, ".*:" + queue + ":.*").block(SOON);
        }
    }

    @AfterEach
    void close() {
        rig.close();
    }

    @Test
    @DisplayName("queues of weights 3 and 1 get 3 and 1 of 4 turns, and all of them when the others are empty")
    void shares() {
        fill("high", 40);
        fill("low", 40);
        QueueGroup group = fromTheFirstTurn(Map.of("high", 3, "low", 1, "idle", 5));

        Map<String, Long> got = byQueue(group.pull(16).collectList().block(SOON));
        assertThat(got).isEqualTo(Map.of("high", 12L, "low", 4L));
        assertThat(byQueue(group.pull(100).collectList().block(SOON))).isEqualTo(Map.of("high", 28L, "low", 36L));
        assertThat(group.pull(5).collectList().block(SOON)).isEmpty();
    }

    @Test
    @DisplayName(
            "who pulls one message at a time gets each queue's share too, whether the group is kept or made for each")
    void oneAtATime() {
        fill("high", 60);
        fill("low", 60);
        QueueGroup kept = group(Map.of("high", 3, "low", 1));
        List<Message> got = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            got.add(kept.pull(1).blockLast(SOON));
            got.add(kept.lease(1, LONG).map(Delivery::message).blockLast(SOON));
        }
        assertThat(byQueue(got)).isEqualTo(Map.of("high", 30L, "low", 10L));

        got.clear();
        for (int begun = 0; begun < 4; begun++) {
            int over = begun;
            got.add(rig.mill
                    .queues()
                    .group(ordered("high", 3, "low", 1), weights -> new GroupTurns(weights, over))
                    .pull(1)
                    .blockLast(SOON));
        }
        assertThat(byQueue(got)).as("wherever in a cycle it begins").isEqualTo(Map.of("high", 3L, "low", 1L));
        while (byQueue(got).get("low") < 3) {
            got.add(group(ordered("high", 5, "low", 5)).pull(1).blockLast(SOON));
            assertThat(got).hasSizeLessThan(60); // it begins anywhere
        }
    }

    @Test
    @DisplayName("S3 a queue with nothing to serve never hides the next one")
    void nothingHidden() {
        rig.mill.queue("high").policies().pause("t").block(SOON);
        fill("high", 3);
        fill("low", 1);

        assertThat(group(ordered("high", 10, "low", 1)).pull(1).collectList().block(SOON))
                .hasSize(1);
    }

    @Test
    @DisplayName("receive leases as much as is asked for, by turns, and wakes up for any of its queues")
    void receives() {
        fill("high", 4);
        fill("low", 4);
        QueueGroup group = fromTheFirstTurn(ordered("high", 1, "low", 1, "idle", 1));
        List<Delivery> taken = group.receive(LONG).take(6).collectList().block(SOON);
        assertThat(byQueue(taken.stream().map(Delivery::message).toList())).isEqualTo(Map.of("high", 3L, "low", 3L));
        taken.forEach(one -> assertThat(one.ack().block(SOON)).isTrue());

        Queue<String> heard = new ConcurrentLinkedQueue<>();
        Disposable reading = group.receive(
                        LONG.mutate().pollInterval(Duration.ofSeconds(30)).build())
                .doOnNext(one -> heard.add(one.message().queue()))
                .concatMap(Delivery::ack)
                .subscribe();
        try {
            Eventually.await("what is left", SOON, () -> heard.size() == 2);
            fill("idle", 1);
            Eventually.await("the one that was idle", SOON, () -> heard.contains("idle"));
        } finally {
            reading.dispose();
        }
    }

    @Test
    @DisplayName("consume acknowledges in each message's own queue; a failure is tried again; nothing is left")
    void consumes() {
        fill("high", 30);
        fill("low", 30);
        Queue<String> done = new ConcurrentLinkedQueue<>();
        Disposable consumer = group(ordered("high", 2, "low", 1))
                .consume(
                        message -> Mono.defer(() -> {
                            if (message.attempt() == 1 && message.id().endsWith("7")) {
                                return Mono.error(new IllegalStateException("not yet"));
                            }
                            done.add(message.queue() + "/" + message.id());
                            return Mono.empty();
                        }),
                        ConsumeOptions.builder()
                                .concurrency(8)
                                .retryDelay(Duration.ofMillis(20), Duration.ofMillis(50))
                                .build())
                .subscribe();
        try {
            Eventually.await("all of them", SOON, () -> done.size() == 60);
            for (String queue : List.of("high", "low")) {
                Eventually.await(
                        "nothing in flight",
                        SOON,
                        () -> rig.mill
                                .queue(queue)
                                .facets()
                                .collectList()
                                .block(SOON)
                                .isEmpty());
            }
            assertThat(done).doesNotHaveDuplicates();
        } finally {
            consumer.dispose();
        }
    }

    @Test
    @DisplayName("a group of one acknowledges too; one of none, or with a weight out of range, is refused")
    void edges() {
        fill("high", 3);
        Queue<String> done = new ConcurrentLinkedQueue<>();
        Disposable consumer = group(Map.of("high", 1))
                .consume(message -> Mono.fromRunnable(() -> done.add(message.id())), ConsumeOptions.defaults())
                .subscribe();
        try {
            Eventually.await(
                    "nothing in flight",
                    SOON,
                    () -> done.size() == 3
                            && rig.mill
                                    .queue("high")
                                    .facets()
                                    .collectList()
                                    .block(SOON)
                                    .isEmpty());
        } finally {
            consumer.dispose();
        }
        assertThatThrownBy(() -> group(Map.of())).hasMessageContaining("queues");
        assertThatThrownBy(() -> group(Map.of("high", 0)))
                .hasMessageContaining("weight")
                .hasMessageContaining("0");
    }

    private QueueGroup group(Map<String, Integer> weights) {
        return rig.mill.queues().group(weights);
    }

    private QueueGroup fromTheFirstTurn(Map<String, Integer> weights) {
        return rig.mill.queues().group(weights, each -> new GroupTurns(each, 0));
    }

    private static Map<String, Integer> ordered(Object... pairs) {
        Map<String, Integer> weights = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            weights.put((String) pairs[i], (Integer) pairs[i + 1]);
        }
        return weights;
    }

    private void fill(String queue, int count) {
        List<Event> events = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            events.add(Event.of("t", queue, String.valueOf(i)).withId(queue + i));
        }
        rig.mill.queues().deliverAll(events).block(SOON);
    }

    private static Map<String, Long> byQueue(List<Message> messages) {
        return messages.stream()
                .map(Message::queue)
                .collect(Collectors.groupingBy(Function.identity(), Collectors.counting()));
    }
}
