package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.RedisUnavailableException;
import io.millrace.redis.Reply;
import io.millrace.testing.Eventually;
import io.millrace.testing.FaultProxy;
import io.millrace.testing.FaultProxy.Direction;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.function.IntFunction;
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

    private static final int TRIES = 40;

    private FaultProxy proxy;
    private QueueRig rig;
    private QueueRig admin;
    private String lastError = "";

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
            lastError = String.valueOf(e.getMessage());
            return Optional.empty();
        }
    }

    /** Again and again, until a repeat got through three times. */
    private <T> void tellsNothingBut(T truth, IntFunction<Mono<T>> call) {
        int told = 0;
        for (int i = 0; i < TRIES && told < 3; i++) {
            Optional<T> answer = losing(call.apply(i));
            answer.ifPresent(said -> assertThat(said).isEqualTo(truth));
            told += answer.isPresent() ? 1 : 0;
        }
        assertThat(told).as("repeats that got through").isPositive();
    }

    @Test
    @DisplayName(
            "S12 the answer of a cancel is lost: taken back, and said so; asked again there is nothing to take back")
    void cancel() {
        tellsNothingBut(true, i -> {
            delay("m" + i, Duration.ofHours(1));
            return rig.queue.cancel("m" + i);
        });

        Eventually.await("the connection", SOON, () -> !rig.queue.cancel("m0").block(SOON));
        delay("m0", Duration.ofHours(1));
        assertThat(rig.queue.cancel("m0").block(SOON)).isTrue();
    }

    @Test
    @DisplayName("S12 the answer of a cancel is lost: the other queue that keeps the event publishes it in its place")
    void cancelOfPublisher() {
        admin.mill.queues().register("r", ".*").block(SOON);
        Set<String> cancelled = new HashSet<>();
        tellsNothingBut(true, i -> {
            delay("m" + i, Duration.ofHours(1));
            return rig.queue.cancel("m" + i).doOnNext(done -> cancelled.add("m" + i));
        });

        String other = admin.key("delayed").replace("{q/", "{r/");
        for (String id : cancelled) {
            String channel = admin.namespace + ":a:test:" + id;
            assertThat(admin.raw("HGET", other, id).text(0)).startsWith(channel.length() + ":" + channel);
        }
    }

    @Test
    @DisplayName(
            "S12 the answer of a redrive or a drop of dead letters is lost: how many there were is told all the same")
    void deadLetters() {
        rig.fill("a", 2 * TRIES);
        rig.lease(2 * TRIES, LONG).forEach(one -> one.bury("no").block(SOON));
        List<String> all = admin.deadLetters().stream().map(DeadLetter::entry).toList();

        tellsNothingBut(2L, i -> rig.queue.redrive(all.subList(2 * i, 2 * i + 2)));

        admin.queue.redriveAll().block(SOON);
        admin.lease(2 * TRIES, LONG).forEach(one -> one.bury("no").block(SOON));
        List<String> again = admin.deadLetters().stream().map(DeadLetter::entry).toList();
        tellsNothingBut(2L, i -> rig.queue.dropDeadLetters(again.subList(2 * i, 2 * i + 2)));
        assertThat(admin.queue.dropDeadLetters(again.subList(0, 2)).block(SOON)).isZero();
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
    @DisplayName("S12 the answer of an acknowledgement is lost: it is not said that the lease had ended")
    void acknowledgement() {
        Delivery last = notKnown(Delivery::ack);

        Eventually.await("the connection", SOON, () -> !last.ack().block(SOON));
    }

    @Test
    @DisplayName("S12 the answer of giving back is lost: it is not said that the lease had ended")
    void givenBack() {
        Delivery last = notKnown(Delivery::nack);

        Eventually.await("the connection", SOON, () -> !last.nack().block(SOON));
        assertThat(admin.inFlight()).isZero();
    }

    private Delivery notKnown(Function<Delivery, Mono<Boolean>> how) {
        for (int i = 0; i < TRIES; i++) {
            admin.deliver("a", "m" + i);
            Eventually.await("the connection", SOON, () -> rig.raw("PING").size() == 1);
            Delivery one = rig.lease(1, LONG).get(0);
            lastError = "";
            losing(how.apply(one)).ifPresent(told -> assertThat(told).isTrue());
            if (lastError.contains("not known")) {
                return one;
            }
        }
        throw new AssertionError("no repeat got through");
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
