package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.queue.Admission.Overflow;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;

/** Delayed deliveries to facets with a limit: when they are accepted, and when they are due. */
@RedisTest
class DelayedAdmissionIT {

    private QueueRig rig;

    @BeforeEach
    void open(RedisServer server, @Namespace String namespace) {
        rig = QueueRig.on(server, namespace);
    }

    @AfterEach
    void close() {
        assertThat(rig.doctor().findings()).isEmpty();
        rig.close();
    }

    @Test
    @DisplayName("a delayed delivery takes up room from the moment it is asked for: nothing piles up behind a limit")
    void delayedRejected() {
        rig.limit(3, Overflow.REJECT);
        rig.deliver("a", "a1");
        assertThat(delay("a2", Duration.ofHours(1)).queues()).containsExactly("q");
        assertThat(delay("a3", Duration.ZERO).queues()).containsExactly("q");

        Delivered refused = delay("a4", Duration.ZERO);
        assertThat(refused.queues()).isEmpty();
        assertThat(refused.refusedBy()).containsExactly("q");
        assertThat(deliver("a", "a5").refusedBy()).containsExactly("q");
        assertThat(delay("a2", Duration.ofHours(1)).duplicateIn()).containsExactly("q");
        assertThat(deliver("b", "b1").queues()).containsExactly("q");

        assertThat(rig.pullIds(9)).containsExactlyInAnyOrder("a1", "a3", "b1");
        assertThat(delay("a4", Duration.ofHours(1)).queues()).containsExactly("q");
        assertThat(rig.queue.cancel("a2").block(SOON)).isTrue();
        assertThat(deliver("a", "a5").queues()).containsExactly("q");
        assertThat(deliver("a", "a6").queues()).containsExactly("q");
        assertThat(deliver("a", "a7").refusedBy()).containsExactly("q");
    }

    @Test
    @DisplayName("a facet's own limit holds for delayed deliveries, too")
    void delayedOwnLimit() {
        rig.limit(1, Overflow.REJECT);
        rig.queue.policies().limitWaiting("a", 2).block(SOON);

        assertThat(delay("a1", Duration.ofHours(1)).refusedBy()).isEmpty();
        assertThat(delay("a2", Duration.ofHours(1)).refusedBy()).isEmpty();
        assertThat(delay("a3", Duration.ofHours(1)).refusedBy()).containsExactly("q");
        rig.queue.policies().limitWaiting("a", 0).block(SOON);
        assertThat(delay("a3", Duration.ofHours(1)).refusedBy()).isEmpty();
    }

    @Test
    @DisplayName(
            "oldest: the oldest makes room for a delayed delivery when it is due, and becomes a dead letter: nobody is told")
    void delayedOldest() {
        rig.limit(2, Overflow.OLDEST);
        rig.deliver("a", "a1", "a2");
        assertThat(delay("a3", Duration.ZERO).queues()).containsExactly("q");
        assertThat(delay("a4", Duration.ofHours(1)).queues()).containsExactly("q");
        assertThat(delay("a5", Duration.ofHours(1)).refusedBy())
                .as("as many delayed ones as the limit allows")
                .containsExactly("q");
        ModelRun.maintain(rig, QueueRig.LONG);

        assertThat(rig.waiting()).isEqualTo(2);
        DeadLetter dropped = rig.deadLetters().get(0);
        assertThat(dropped.message().id()).isEqualTo("a1");
        assertThat(dropped.message().attempt()).isZero();
        assertThat(dropped.reason()).isEqualTo("made room for a delayed delivery");
        assertThat(dropped.firstHandedOut()).isNull();
        assertThat(rig.queue.redriveAll().block(SOON)).isEqualTo(1);
        assertThat(rig.pullIds(9)).containsExactly("a1", "a2", "a3");
    }

    @Test
    @DisplayName("oldest: a delayed delivery makes no room before it is due, and then by its facet's own limit")
    void delayedOldestOwnLimit() {
        rig.limit(2, Overflow.OLDEST);
        rig.deliver("b", "b1");
        assertThat(rig.mill
                        .queues()
                        .deliverAfter(event("b", "b3"), Duration.ofHours(1))
                        .block(SOON)
                        .queues())
                .containsExactly("q");
        assertThat(deliver("b", "b2").displaced()).isEmpty();

        rig.queue.policies().limitWaiting("a", 4).block(SOON);
        rig.deliver("a", "a1", "a2", "a3");
        assertThat(delay("a4", Duration.ZERO).queues()).containsExactly("q");
        ModelRun.maintain(rig, LONG);
        assertThat(rig.pullIds(9)).containsExactly("b1", "a1", "b2", "a2", "a3", "a4");
    }

    @Test
    @DisplayName("oldest: a delayed delivery makes room also when it is published for another queue that took it back")
    void delayedOldestPublishes() {
        rig.mill.queues().register("first", ".*").block(SOON);
        rig.limit(1, Overflow.OLDEST);
        rig.deliver("a", "a1");
        assertThat(delay("a2", Duration.ofHours(1)).queues()).containsExactly("first", "q");
        assertThat(rig.mill.queue("first").cancel("a2").block(SOON)).isTrue();
        rig.raw("ZADD", rig.key("later"), 1, "=a2");

        ModelRun.maintain(rig, LONG);
        assertThat(rig.pullIds(9)).containsExactly("a2");
    }

    @Test
    @DisplayName("what came back takes up the room of delayed deliveries, too")
    void delayedAndWhatCameBack() {
        rig.limit(2, Overflow.REJECT);
        rig.deliver("a", "a1", "a2");
        rig.lease(2, LONG).forEach(one -> assertThat(one.nack().block(SOON)).isTrue());

        assertThat(delay("a3", Duration.ofHours(1)).refusedBy()).containsExactly("q");
    }

    @Test
    @DisplayName("oldest: what came back takes up room, and keeps its place, when a delayed delivery is due")
    void delayedOldestAndWhatCameBack() {
        rig.limit(2, Overflow.OLDEST);
        rig.deliver("a", "a1", "a2");
        assertThat(rig.lease(1, LONG).get(0).nack().block(SOON)).isTrue();
        assertThat(delay("a3", Duration.ZERO).queues()).containsExactly("q");
        ModelRun.maintain(rig, LONG);
        assertThat(rig.pullIds(9)).containsExactly("a1", "a3");

        rig.deliver("a", "a4", "a5");
        rig.lease(2, LONG).forEach(one -> assertThat(one.nack().block(SOON)).isTrue());
        assertThat(delay("a6", Duration.ZERO).queues()).containsExactly("q");
        ModelRun.maintain(rig, LONG);
        assertThat(rig.deadLetters())
                .extracting(DeadLetter::reason)
                .containsExactly("made room for a delayed delivery", "no room");
        assertThat(rig.pullIds(9)).containsExactly("a4", "a5");
    }

    @Test
    @DisplayName("wait: the producer of a delayed delivery waits for room")
    void delayedWaits() {
        rig.limit(1, Overflow.WAIT);
        rig.deliver("a", "a1");

        Delivered second = Mono.zip(
                        rig.mill.queues().deliverAfter(event("a", "a2"), Duration.ZERO),
                        Mono.delay(Duration.ofMillis(100)).then(rig.queue.pull()))
                .block(SOON)
                .getT1();

        assertThat(second.queues()).containsExactly("q");
        Eventually.await("it", SOON, () -> rig.pullIds(1).contains("a2"));
    }

    @Test
    @DisplayName("what the first queue refuses and another takes is published, delayed by the one that keeps it")
    void delayedPublished() {
        rig.limit(1, Overflow.REJECT);
        rig.deliver("a", "a1");
        rig.mill.queues().register("r", ".*").block(SOON);
        List<String> heard = new CopyOnWriteArrayList<>();
        Disposable listener = rig.mill.listen("*").subscribe(event -> heard.add(event.id()));
        Eventually.await("listening", SOON, () -> {
            rig.deliver("b" + System.nanoTime(), "probe");
            return heard.contains("probe");
        });

        assertThat(deliver("a", "a0").refusedBy()).containsExactly("q");
        Eventually.await("it to be published", SOON, () -> heard.contains("a0"));
        Delivered delivered = delay("a2", Duration.ofMillis(50));
        assertThat(delivered.queues()).containsExactly("r");
        assertThat(delivered.refusedBy()).containsExactly("q");

        Eventually.await("it to be published", SOON, () -> {
            rig.mill.queue("r").pull(100).blockLast(SOON);
            return heard.contains("a2");
        });
        listener.dispose();
    }

    private Delivered delay(String id, Duration delay) {
        return rig.mill.queues().deliverAfter(event("a", id), delay).block(SOON);
    }

    private Delivered deliver(String facet, String id) {
        return rig.mill.deliver(event(facet, id)).block(SOON);
    }
}
