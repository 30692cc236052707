package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** Messages that were given up: what is known of them, another chance, the end. */
@RedisTest
class DeadLettersIT {

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
    @DisplayName("a dead letter tells its reason, attempts, times and origin")
    void tells() {
        rig.deliver("a", "m");
        rig.lease(1, LONG).get(0).nack().block(SOON);
        rig.lease(1, LONG).get(0).bury("cannot be parsed").block(SOON);

        DeadLetter letter = rig.deadLetters().get(0);
        assertThat(letter.reason()).isEqualTo("cannot be parsed");
        assertThat(letter.message().attempt()).isEqualTo(2);
        assertThat(letter.message().queue()).isEqualTo("q");
        assertThat(letter.message().facet()).isEqualTo("a");
        assertThat(letter.firstHandedOut())
                .isBetween(letter.message().deliveredAt().minusMillis(2), letter.at());
    }

    @Test
    @DisplayName("what is no event and is pulled for good becomes a dead letter, as it does where messages are leased")
    void unreadable() {
        rig.raw("RPUSH", rig.key("f:a"), "no event");
        rig.raw("RPUSH", rig.key("ring"), "a");
        rig.deliver("b", "b1");

        assertThat(rig.pullIds(5)).containsExactly("b1");

        DeadLetter letter = rig.deadLetters().get(0);
        assertThat(letter.message().event().data()).isEqualTo("no event");
        assertThat(letter.reason()).isNotBlank();
        assertThat(rig.queue.dropDeadLetters(List.of(letter.entry())).block(SOON))
                .isEqualTo(1);
    }

    @Test
    @DisplayName(
            "what is no event and is leased together with others becomes a dead letter; they come as if never seen")
    void unreadableAmongOthers() {
        rig.deliver("a", "a1");
        rig.raw("RPUSH", rig.key("f:a"), "no event");
        rig.deliver("a", "a2");

        DeliveryBatch batch = rig.queue
                .receiveBatches(LONG.mutate().batchSize(3).build())
                .take(1)
                .blockLast(SOON);

        assertThat(batch.messages().stream().map(one -> one.id() + "#" + one.attempt()))
                .containsExactly("a1#1", "a2#1");
        assertThat(rig.deadLetters())
                .extracting(letter -> letter.message().event().data())
                .containsExactly("no event");
    }

    @Test
    @DisplayName("dead letters are dropped by their age, page by page")
    void droppedByAge() {
        rig.fill("a", 230);
        rig.lease(230, LONG).forEach(one -> one.bury("no").block(SOON));
        Instant last = rig.deadLetters().get(229).at();
        Eventually.await("time to pass", SOON, () -> rig.mill.redis().clock().millis() > last.toEpochMilli() + 20);
        rig.deliver("a", "young");
        rig.lease(1, LONG).get(0).bury("no").block(SOON);

        assertThat(rig.queue.dropDeadLettersBefore(Instant.EPOCH).block(SOON)).isZero();
        assertThat(rig.queue.dropDeadLettersBefore(last.plusMillis(1)).block(SOON))
                .isEqualTo(230);
        assertThat(rig.deadLetters())
                .extracting(letter -> letter.message().id())
                .containsExactly("young");
    }

    @Test
    @DisplayName("a redriven message comes from its old place, under its own id, with all attempts before it")
    void redriven() {
        rig.deliver("a", "a1", "a2", "a3");
        List<Delivery> taken = rig.lease(2, LONG);
        taken.get(0).bury("no").block(SOON);
        taken.get(1).nack().block(SOON);

        assertThat(rig.queue
                        .redrive(List.of(rig.deadLetters().get(0).entry(), "1-1"))
                        .block(SOON))
                .isEqualTo(1);

        assertThat(rig.deadLetters()).isEmpty();
        List<Delivery> again = rig.lease(5, LONG);
        assertThat(again.stream()
                        .map(one -> one.message().id() + "#" + one.message().attempt()))
                .containsExactly("a1#1", "a2#2", "a3#1");
    }

    @Test
    @DisplayName("all of a facet, or all, are redriven or dropped, over pages; what dies meanwhile stays")
    void all() {
        rig.fill("a", 250);
        rig.fill("b", 120);
        for (int i = 0; i < 4; i++) {
            rig.lease(100, LONG).forEach(one -> one.bury("bad").block(SOON));
        }
        assertThat(rig.deadLetters()).hasSize(370);

        assertThat(rig.queue.redriveAll("b").block(SOON)).isEqualTo(120);
        assertThat(rig.waiting()).isEqualTo(120);
        assertThat(rig.queue.dropAllDeadLetters("b").block(SOON)).isZero();
        assertThat(rig.queue
                        .dropDeadLetters(rig.deadLetters().stream()
                                .limit(10)
                                .map(DeadLetter::entry)
                                .toList())
                        .block(SOON))
                .isEqualTo(10);
        assertThat(rig.queue.redriveAll().block(SOON)).isEqualTo(240);
        assertThat(rig.waiting()).isEqualTo(360);
        assertThat(rig.queue.redriveAll().block(SOON)).isZero();
        rig.lease(5, LONG).forEach(one -> one.bury("again").block(SOON));
        assertThat(rig.queue.dropAllDeadLetters().block(SOON)).isEqualTo(5);
        assertThat(rig.pullIds(400)).hasSize(355);
    }
}
