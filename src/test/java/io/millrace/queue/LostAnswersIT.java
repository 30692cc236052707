package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.RedisUnavailableException;
import io.millrace.redis.GroupCommit.Outcome;
import io.millrace.redis.Reply;
import io.millrace.testing.Eventually;
import io.millrace.testing.FaultProxy;
import io.millrace.testing.FaultProxy.Direction;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;

/** Calls that did what was asked for and whose answer was lost: they are repeated, and their caller is told no untruth. */
@RedisTest
@Tag("S12")
class LostAnswersIT {

    private FaultProxy proxy;
    private QueueRig rig;
    private QueueRig admin;

    @BeforeEach
    void open(RedisServer server, @Namespace String namespace) {
        proxy = FaultProxy.to(server.uri());
        rig = QueueRig.on(proxy.uri(), namespace);
        admin = QueueRig.on(server, namespace);
    }

    @AfterEach
    void close() {
        assertThat(admin.doctor().findings()).isEmpty();
        rig.close();
        admin.close();
        proxy.close();
    }

    /** What is told when the first answer is lost; or that it is not known, when the connection does not come back in time. */
    private <T> Optional<T> losing(Mono<T> call) {
        Eventually.await("the connection", SOON, () -> rig.raw("PING").size() == 1);
        proxy.swallowThenReset(Direction.DOWN, Duration.ofMillis(5));
        try {
            return call.blockOptional(SOON);
        } catch (RedisUnavailableException e) {
            assertThat(e.indeterminate()).isTrue();
            return Optional.empty();
        }
    }

    @Test
    @DisplayName("S12 answers are lost: what is told is true, or that it is not known; never that nothing was there")
    void truth() {
        delay("m", Duration.ofHours(1));
        losing(rig.queue.cancel("m")).ifPresent(told -> assertThat(told).isTrue());
        admin.fill("a", 4);
        List<Delivery> held = admin.lease(4, LONG);
        held.subList(0, 2).forEach(one -> one.bury("no").block(SOON));
        List<String> dead = admin.deadLetters().stream().map(DeadLetter::entry).toList();
        Optional<Long> redriven = losing(rig.queue.redrive(dead));
        Optional<Boolean> acknowledged =
                losing(rig.queue.acknowledge(held.get(2).receipt()));
        redriven.ifPresent(told -> assertThat(told).isEqualTo(2));
        acknowledged.ifPresent(told -> assertThat(told).isTrue());

        FacetState facet = admin.facets().get(0); // what is not known may not have reached the server
        assertThat(facet.waiting()).isIn(2L, redriven.isPresent() ? 2L : 0L);
        assertThat(facet.inFlight()).isIn(1L, acknowledged.isPresent() ? 1L : 2L);
    }

    @Test
    @DisplayName("S12 a cancel that is repeated answers the same; another one finds nothing")
    void cancelTwice() {
        delay("m", Duration.ofHours(1));

        Reply first = cancel("m", "call");
        Reply second = cancel("m", "call");

        assertThat(first.number(1)).isEqualTo(1);
        assertThat(first.text(2)).as("to be published by another queue").contains("\"id\":\"m\"");
        assertThat(second.number(1)).isEqualTo(1);
        assertThat(second.text(2)).isEqualTo(first.text(2));
        assertThat(cancel("m", "another").number(1)).isZero();
        delay("m", Duration.ofHours(1));
        assertThat(rig.queue.cancel("m").block(SOON)).isTrue();
        assertThat(rig.queue.cancel("m").block(SOON)).isFalse();
        assertThat(rig.number("PTTL", rig.key("answer:call"))).isBetween(1L, 60_000L);
    }

    private Reply cancel(String id, String call) {
        return rig.mill
                .redis()
                .run(QueueScripts.CANCEL, List.of(Leases.bytes(rig.key(""))), Insight.args(id, call))
                .block(SOON);
    }

    @Test
    @DisplayName("S12 letters that are treated twice by one call are counted the same; by another they are gone")
    void lettersTwice() {
        rig.fill("a", 3);
        rig.lease(3, LONG).forEach(one -> one.bury("no").block(SOON));
        List<Object> drop = new ArrayList<>(List.of("drop", "", "0", "call", "ids"));
        rig.deadLetters().forEach(letter -> drop.add(letter.entry()));

        assertThat(redrive(drop).number(1)).isEqualTo(3);
        assertThat(redrive(drop).number(1)).isEqualTo(3);
        drop.set(3, "another");
        assertThat(redrive(drop).number(1)).isZero();
    }

    @Test
    @DisplayName(
            "S12 a page of dead letters that is treated twice by one call is answered the same; by another it is gone")
    void pageTwice() {
        rig.fill("a", 150);
        rig.lease(150, LONG).forEach(one -> one.bury("no").block(SOON));
        List<Object> page = List.of("redrive", "", "0", "call", "page", "-", "+", 100);

        Reply first = redrive(page);
        assertThat(first.number(1)).isEqualTo(100);
        Reply second = redrive(page);
        assertThat(second.number(1)).isEqualTo(100);
        assertThat(second.text(2)).isEqualTo(first.text(2)).isNotEmpty();
        assertThat(rig.waiting()).isEqualTo(100);
        assertThat(redrive(List.of("redrive", "", "0", "another", "page", "-", "+", 100))
                        .number(1))
                .isEqualTo(50);
        assertThat(rig.number("PTTL", rig.key("answer:call"))).isBetween(1L, 60_000L);
    }

    private Reply redrive(List<Object> words) {
        return rig.mill
                .redis()
                .run(QueueScripts.REDRIVE, List.of(Leases.bytes(rig.key(""))), Insight.args(words.toArray()))
                .block(SOON);
    }

    @Test
    @DisplayName(
            "S12 a repeat that finds no lease says that it is not known whether it ended one; a first try that there is none")
    void repeatedEnds() {
        Leases leases = rig.queue.layout().now().block(SOON).all().get(0).leases();
        List<Receipt> two = List.of(new Receipt(LONG.profile(), "1-1"), new Receipt(LONG.profile(), "1-2"));
        Reply acknowledged = new Reply(List.of(Leases.bytes("OK"), 1L, 0L));

        assertThat(leases.acknowledged(new QueueScripts.Told(acknowledged, false), two))
                .isEqualTo(List.of(new Outcome.Done<>(true), new Outcome.Done<>(false)));
        List<Outcome<Boolean>> again = leases.acknowledged(new QueueScripts.Told(acknowledged, true), two);
        assertThat(again.get(0)).isEqualTo(new Outcome.Done<>(true));
        notKnown(again.get(1));

        List<Leases.Return> back =
                two.stream().map(receipt -> Leases.Return.untouched(receipt, 1)).toList();
        Reply ended = new Reply(List.of(Leases.bytes("OK"), Leases.bytes("BACK"), Leases.bytes("GONE")));
        assertThat(leases.ended(new QueueScripts.Told(ended, false), back))
                .isEqualTo(List.of(new Outcome.Done<>(Leases.Ended.BACK), new Outcome.Done<>(Leases.Ended.GONE)));
        notKnown(leases.ended(new QueueScripts.Told(ended, true), back).get(1));
    }

    private static void notKnown(Outcome<?> outcome) {
        assertThat(outcome).isInstanceOf(Outcome.Failed.class);
        Throwable error = ((Outcome.Failed<?>) outcome).error();
        assertThat(error).hasMessageContaining("not known").isInstanceOf(RedisUnavailableException.class);
        assertThat(((RedisUnavailableException) error).indeterminate()).isTrue();
    }

    private void delay(String id, Duration delay) {
        assertThat(admin.mill
                        .queues()
                        .deliverAfter(QueueRig.event("a", id), delay)
                        .block(SOON)
                        .duplicateIn())
                .isEmpty();
    }
}
