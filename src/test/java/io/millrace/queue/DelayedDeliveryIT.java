package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.millrace.redis.RedisSettings;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;

/** Deliveries that take place later, and may be taken back. */
@RedisTest
class DelayedDeliveryIT {

    private QueueRig rig;
    private Queues queues;
    private Disposable listening = () -> {};

    @BeforeEach
    void open(RedisServer server, @Namespace String namespace) {
        rig = QueueRig.on(server, namespace);
        queues = rig.mill.queues();
    }

    @AfterEach
    void close() {
        listening.dispose();
        assertThat(rig.doctor().findings()).isEmpty();
        rig.close();
    }

    @Test
    @DisplayName("a delayed message comes when it is due, not before, in order of their times, behind what is there")
    void due() {
        queues.deliverAfter(event("a", "third"), Duration.ofMillis(600)).block(SOON);
        queues.deliverAfter(event("a", "second"), Duration.ofMillis(300)).block(SOON);
        rig.deliver("a", "first");
        long began = System.nanoTime();

        List<String> got = rig.queue
                .receive(LONG)
                .take(3)
                .map(one -> one.message().id())
                .collectList()
                .block(SOON);

        assertThat(got).containsExactly("first", "second", "third");
        assertThat(Duration.ofNanos(System.nanoTime() - began))
                .isBetween(Duration.ofMillis(450), Duration.ofSeconds(4));
    }

    @Test
    @DisplayName("a time that is too far ahead is refused, however far; one long past is now")
    void outOfRange() {
        for (Instant when : List.of(Instant.MAX, Instant.ofEpochMilli(10_000_000_000_000L))) {
            assertThatThrownBy(() -> queues.deliverAt(event("a", "far"), when).block(SOON))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("delay");
        }
        Instant began = Instant.ofEpochSecond(rig.number("TIME"));
        queues.deliverAt(event("a", "old"), Instant.MIN).block(SOON);
        Message old = rig.next(LONG).message();
        assertThat(old.id()).isEqualTo("old");
        assertThat(old.deliveredAt()).isAfterOrEqualTo(began);
    }

    @Test
    @DisplayName("a delayed message counts as delivered at the time it was kept back until")
    void bearsItsTime() {
        Instant asked = Instant.ofEpochSecond(rig.number("TIME"));
        queues.deliverAfter(event("a", "m"), Duration.ofHours(1)).block(SOON);

        assertThat(comesNow("q").deliveredAt())
                .isBetween(asked.plus(Duration.ofHours(1)), asked.plus(Duration.ofMinutes(61)));
    }

    @Test
    @DisplayName("an idle consumer wakes up for a message that is delayed after it went to sleep")
    void wakesUp() {
        List<Long> lateness = new CopyOnWriteArrayList<>();
        ConsumeOptions patient = ConsumeOptions.builder()
                .lease(LONG.mutate().pollInterval(Duration.ofSeconds(30)).build())
                .build();
        Disposable consumer = rig.queue
                .consume(
                        message -> {
                            lateness.add(Instant.now().toEpochMilli()
                                    - message.deliveredAt().toEpochMilli());
                            return reactor.core.publisher.Mono.empty();
                        },
                        patient)
                .subscribe();
        try {
            rig.deliver("a", "warm");
            Eventually.await("the first one", SOON, () -> lateness.size() == 1);
            queues.deliverAfter(event("a", "later"), Duration.ofMillis(400)).block(SOON);
            Eventually.await("the delayed one", SOON, () -> lateness.size() == 2);
            assertThat(lateness.get(1)).isLessThan(3_000);
        } finally {
            consumer.dispose();
        }
    }

    @Test
    @DisplayName("a cancelled message never comes, and its id may be delivered again")
    void cancelled() {
        queues.deliverAfter(event("a", "m"), Duration.ofMinutes(5)).block(SOON);
        assertThat(rig.facets().get(0).later()).isEqualTo(1);
        assertThat(rig.queue.cancel("m").block(SOON)).isTrue();
        assertThat(rig.queue.cancel("m").block(SOON)).isFalse();
        assertThat(rig.facets()).isEmpty();
        assertThat(rig.number("EXISTS", rig.key("delayed"), rig.key("later"))).isZero();

        assertThat(rig.mill.deliver(event("a", "m")).block(SOON).duplicateIn()).isEmpty();
        assertThat(rig.queue.cancel("m").block(SOON)).isFalse();
        assertThat(rig.pullIds(2)).containsExactly("m");

        queues.deliverAfter(event("a", "n"), Duration.ofMinutes(5)).block(SOON);
        rig.raw("RENAME", rig.key("ids"), rig.key("ids.old")); // a new window has begun
        assertThat(rig.queue.cancel("n").block(SOON)).isTrue();
        assertThat(rig.mill.deliver(event("a", "n")).block(SOON).duplicateIn()).isEmpty();
        windowIsOver();
    }

    @Test
    @DisplayName("an id is single, whether its message is still to come or not; a time that is over is now")
    void single() {
        Delivered first = queues.deliverAt(event("a", "m"), Instant.EPOCH).block(SOON);
        Delivered again =
                queues.deliverAfter(event("a", "m"), Duration.ofHours(1)).block(SOON);
        Delivered plain = rig.mill.deliver(event("a", "m")).block(SOON);

        assertThat(first.duplicateIn()).isEmpty();
        assertThat(again.duplicateIn()).containsExactly("q");
        assertThat(plain.duplicateIn()).containsExactly("q");
        assertThat(rig.next(LONG).message().id()).isEqualTo("m");
        assertThat(rig.pullIds(2)).isEmpty();
    }

    private void windowIsOver() {
        rig.raw("DEL", rig.key("ids"), rig.key("ids.old"));
    }

    @Test
    @DisplayName("an id is remembered until its message has come, however long that is, and for a window from then on")
    void singleForLong() {
        queues.deliverAfter(event("a", "m"), Duration.ofHours(9)).block(SOON);
        windowIsOver();
        assertThat(rig.mill.deliver(event("a", "m")).block(SOON).duplicateIn())
                .as("the first call, which looks after the window")
                .containsExactly("q");
        windowIsOver();
        assertThat(rig.mill.deliver(event("a", "m")).block(SOON).duplicateIn()).containsExactly("q");
        windowIsOver();
        assertThat(queues.deliverAfter(event("a", "m"), Duration.ZERO)
                        .block(SOON)
                        .duplicateIn())
                .containsExactly("q");
        windowIsOver();
        assertThat(queues.deliverAll(List.of(event("a", "other"), event("a", "m"), event("b", "m")))
                        .block(SOON))
                .extracting(one -> one.duplicateIn().size())
                .containsExactly(0, 1, 1);
        queues.register("q", ".*", Admission.of(9, Admission.Overflow.REJECT)).block(SOON);
        for (int i = 0; i < 2; i++) {
            windowIsOver();
            assertThat(rig.mill.deliver(event("a", "m")).block(SOON).duplicateIn())
                    .containsExactly("q");
        }
        assertThat(rig.pullIds(9)).containsExactly("other");

        queues.deliverAfter(event("a", "soon"), Duration.ofMillis(100)).block(SOON);
        windowIsOver();
        assertThat(rig.next(LONG).message().id()).isEqualTo("soon");
        assertThat(rig.number("PTTL", rig.key("ids"))).isPositive();
        assertThat(rig.mill.deliver(event("a", "soon")).block(SOON).duplicateIn())
                .containsExactly("q");
        assertThat(rig.queue.cancel("m").block(SOON)).isTrue();
        assertThat(rig.mill.deliver(event("a", "m")).block(SOON).duplicateIn()).isEmpty();
    }

    @Test
    @DisplayName("an id whose message is still to come is known to whoever delivers, when its window is over, too")
    void singleForOthers(RedisServer server) {
        queues.deliverAfter(event("a", "m"), Duration.ofHours(9)).block(SOON);
        windowIsOver();
        RedisSettings redis = server.settings(rig.namespace);
        try (QueueRig other = QueueRig.joining(redis, QueueSettings.defaults())) {
            other.deliver("a", "first"); // looks after the window
            assertThat(other.mill.deliver(event("a", "m")).block(SOON).duplicateIn())
                    .containsExactly("q");
        }
    }

    @Test
    @DisplayName("live listeners hear of it also when the first of its queues took it back, and not when all did")
    void publishedByAnother() {
        for (String other : List.of("o1", "o2", "z")) {
            queues.register(other, ".*").block(SOON);
        }
        List<String> heard = listen();
        queues.deliverAfter(event("a", "none"), Duration.ofMillis(300)).block(SOON);
        queues.deliverAfter(event("a", "m"), Duration.ofMillis(300)).block(SOON);
        for (String queue : List.of("o1", "o2", "z")) {
            assertThat(rig.mill.queue(queue).cancel("m").block(SOON)).isTrue();
        }
        for (String queue : List.of("o2", "o1", "z", "q")) {
            assertThat(rig.mill.queue(queue).cancel("none").block(SOON)).isTrue();
        }
        assertThat(rig.next(LONG).message().id()).isEqualTo("m");
        rig.deliver("a", "end");
        Eventually.await("the end", SOON, () -> heard.contains("end"));
        assertThat(heard).containsExactly("m", "end");
    }

    @Test
    @DisplayName(
            "live listeners hear of it once, also when it was due in its first queue and is taken back in the next")
    void publishedBeforeItIsTakenBack() {
        queues.register("first", ".*").then(queues.register("z", ".*")).block(SOON);
        List<String> heard = listen();
        queues.deliverAfter(event("a", "m"), Duration.ofHours(1)).block(SOON);
        comesNow("first");
        assertThat(rig.queue.cancel("m").block(SOON)).isTrue();
        comesNow("z");
        rig.deliver("a", "end");
        Eventually.await("the end", SOON, () -> heard.contains("end"));
        assertThat(heard).containsExactly("m", "end");
    }

    private Message comesNow(String queue) {
        rig.raw("ZADD", rig.mill.redis().keys().unitText("queue", queue, 0) + "later", 1, "=m");
        Message message = rig.mill.queue(queue).receive(LONG).next().block(SOON).message();
        assertThat(message.id()).isEqualTo("m");
        return message;
    }

    @Test
    @DisplayName("live listeners hear of it when it is due, once, although two queues want it")
    void published() {
        queues.register("other", ".*").block(SOON);
        List<String> heard = listen();
        Delivered kept =
                queues.deliverAfter(event("a", "m"), Duration.ofMillis(200)).block(SOON);
        assertThat(kept.queues()).containsExactly("other", "q");
        assertThat(heard).isEmpty();
        Flux.merge(
                        rig.queue.receive(LONG).take(1),
                        rig.mill.queue("other").receive(LONG).take(1))
                .blockLast(SOON);
        Eventually.await("the listener to hear", SOON, () -> heard.size() == 1);
        rig.deliver("a", "end");
        Eventually.await("the end", SOON, () -> heard.contains("end"));
        assertThat(heard).containsExactly("m", "end");
    }

    @Test
    @DisplayName("an event that no queue wants is not kept, and the answer tells")
    void unwanted() {
        queues.unregister("q").block(SOON);

        assertThat(queues.deliverAfter(event("a", "m"), Duration.ofMinutes(1))
                        .block(SOON)
                        .queues())
                .isEmpty();
        assertThat(rig.keys()).allMatch(key -> key.contains("{registry}"));
    }

    @Test
    @DisplayName("P3 a scheduled head that is taken back holds nobody up")
    void nobodyWaits() {
        queues.deliverAfter(event("a", "head"), Duration.ofMillis(200)).block(SOON);
        rig.deliver("a", "next");
        assertThat(rig.queue.cancel("head").block(SOON)).isTrue();

        assertThat(rig.pullIds(3)).containsExactly("next");
    }

    @Test
    @DisplayName("a delayed message gives its facet no second turn where something that came back waits for its own")
    void oneTurn() {
        rig.deliver("a", "a1");
        assertThat(rig.next(LONG).nack().block(SOON)).isTrue();
        queues.deliverAt(event("a", "a2"), Instant.EPOCH).block(SOON);
        ModelRun.maintain(rig, LONG);
        rig.deliver("b", "b1", "b2");

        assertThat(rig.pullIds(4)).containsExactly("a1", "b1", "a2", "b2");
    }

    @Test
    @DisplayName("destroying a queue takes what was to come with it")
    void destroyed() {
        queues.deliverAfter(event("a", "m"), Duration.ofMinutes(1)).block(SOON);

        assertThat(rig.queue.destroy().block(SOON)).isEqualTo(1);
        assertThat(rig.keys()).noneMatch(key -> key.startsWith(rig.key("")));
    }

    /** Ids of what live listeners hear from now on. */
    private List<String> listen() {
        List<String> heard = new CopyOnWriteArrayList<>();
        List<LiveSignal> signals = new CopyOnWriteArrayList<>();
        listening = rig.mill
                .listenSignals("*")
                .doOnNext(signals::add)
                .ofType(LiveSignal.Heard.class)
                .subscribe(signal -> heard.add(signal.event().id()));
        Eventually.await("the listener", SOON, () -> !signals.isEmpty());
        return heard;
    }
}
