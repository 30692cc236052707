package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.millrace.Event;
import io.millrace.OverloadedException;
import io.millrace.json.EventCodec;
import io.millrace.queue.Admission.Overflow;
import io.millrace.redis.Reply;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.test.StepVerifier;

/** What happens to a message that is one too many for its facet. */
@RedisTest
class AdmissionIT {

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
    @DisplayName("reject: its producer is told, nobody else suffers, and it may be delivered again when there is room")
    void reject() {
        rig.limit(2, Overflow.REJECT);
        rig.deliver("a", "a1", "a2");

        Delivered refused = deliver("a", "a3");
        assertThat(refused.queues()).isEmpty();
        assertThat(refused.refusedBy()).containsExactly("q");
        assertThat(deliver("b", "b1").queues()).containsExactly("q");
        assertThat(deliver("a", "a1").duplicateIn()).containsExactly("q");

        assertThat(rig.pullIds(1)).containsExactly("a1");
        assertThat(deliver("a", "a3").queues()).containsExactly("q");
        assertThat(rig.pullIds(9)).containsExactly("b1", "a2", "a3");
    }

    @Test
    @DisplayName("a batch is admitted message by message")
    void batch() {
        rig.limit(3, Overflow.REJECT);
        List<Event> events = IntStream.range(0, 10)
                .mapToObj(i -> event(i < 7 ? "a" : "b", "m" + i))
                .toList();

        List<Delivered> outcomes = rig.mill.queues().deliverAll(events).block(SOON);

        assertThat(outcomes.stream().map(one -> one.refusedBy().size()).toList())
                .containsExactly(0, 0, 0, 1, 1, 1, 1, 0, 0, 0);
        assertThat(rig.waiting()).isEqualTo(6);
    }

    @Test
    @DisplayName("oldest: it makes room and its id is told; with a limit of 1 only the newest is ever there")
    void oldest() {
        rig.limit(1, Overflow.OLDEST);
        rig.deliver("a", "a1");
        assertThat(deliver("a", "a2").displaced()).containsExactly("a1");
        assertThat(deliver("a", "a3").displaced()).containsExactly("a2");

        assertThat(rig.pullIds(9)).containsExactly("a3");
        assertThat(deliver("a", "a3").duplicateIn()).containsExactly("q");
    }

    @Test
    @DisplayName(
            "newest: it takes the place of a waiting one of the same type and name, at the limit a new one is refused")
    void newest() {
        rig.limit(2, Overflow.NEWEST);
        assertThat(deliver(Event.of("a", "page", "x\",\"id\":\"1").withId("1")).displaced())
                .isEmpty();
        assertThat(deliver(Event.of("a", "page", "y").withId("2")).displaced()).isEmpty();

        assertThat(deliver(Event.of("a", "page", "x\",\"id\":\"1").withId("3").withData("new"))
                        .displaced())
                .containsExactly("1");
        assertThat(deliver(Event.of("a", "page", "z").withId("4")).refusedBy()).containsExactly("q");
        assertThat(deliver(Event.of("b", "page", "y").withId("5")).displaced()).isEmpty();
        assertThat(rig.pullIds(9)).containsExactly("3", "5", "2");
    }

    @Test
    @DisplayName(
            "wait: a producer goes on as soon as consumers make room, all of them get through, none twice, in their order")
    void waiting() {
        rig.limit(5, Overflow.WAIT);
        Flux<Delivered> producing = rig.mill.deliver(Flux.range(0, 60).map(i -> event("a", "w" + i)));
        Mono<List<String>> consuming = rig.queue
                .receive(LONG)
                .concatMap(one -> one.ack().thenReturn(one.message().id()), 1)
                .take(60)
                .collectList();

        List<String> got = Mono.zip(producing.collectList(), consuming)
                .map(both -> {
                    assertThat(both.getT1())
                            .allSatisfy(one -> assertThat(one.refusedBy()).isEmpty())
                            .allSatisfy(one -> assertThat(one.duplicateIn()).isEmpty());
                    return both.getT2();
                })
                .block(Duration.ofSeconds(30));

        assertThat(got)
                .containsExactlyElementsOf(
                        IntStream.range(0, 60).mapToObj(i -> "w" + i).toList());
    }

    @Test
    @DisplayName("wait: a producer that has waited for 30 s is told, and what to do")
    void waitedInVain() {
        rig.limit(1, Overflow.WAIT);
        rig.deliver("a", "a1");
        Registry registry = new Registry(rig.mill.redis());
        Delivered refused = new Delivered("a2", List.of(), List.of(), List.of("q"), List.of());
        AtomicInteger tries = new AtomicInteger();
        RoomAwaiting impatient = new RoomAwaiting(
                rig.mill.redis(),
                registry,
                again -> Mono.fromSupplier(() -> {
                    tries.incrementAndGet();
                    return refused;
                }),
                Duration.ofMillis(400));

        StepVerifier.create(impatient.forRoom(event("a", "a2"), refused))
                .expectErrorSatisfies(error -> assertThat(error)
                        .isInstanceOf(OverloadedException.class)
                        .hasMessageContaining("queue \"q\"")
                        .hasMessageContaining("facet \"a\"")
                        .hasMessageContaining("raise the limit"))
                .verify(SOON);
        assertThat(tries.get()).as("with pauses that grow").isBetween(3, 30);
        assertThat(RoomAwaiting.PATIENCE).isEqualTo(Duration.ofSeconds(30)); // as README and Javadoc say
        registry.close();
    }

    @Test
    @Tag("P4")
    @DisplayName(
            "P4 newest: one script looks through a bounded number of messages; the rest of a batch goes with the next")
    void newestOfMany() {
        List<Event> waiting = IntStream.range(0, 5_000)
                .mapToObj(i -> Event.of("f" + i % 5, "page", "p" + i).withId("p" + i))
                .toList();
        rig.mill.queues().deliverAll(waiting).block(SOON);
        rig.limit(1_000, Overflow.NEWEST);
        List<Object> words = new ArrayList<>(List.of("-", "0", "10"));
        List<Event> anew = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            Event event = Event.of("f" + i % 5, "page", "p" + (4_990 + i)).withId("n" + i);
            anew.add(event);
            words.addAll(List.of(
                    "",
                    new String(EventCodec.writeStored(event, Instant.now(), 1_000), StandardCharsets.UTF_8),
                    event.id(),
                    event.environment()));
        }
        words.addAll(List.of("1000", "newest", "0"));
        byte[] unit = rig.key("").getBytes(StandardCharsets.UTF_8);
        byte[] guard = rig.key("-").getBytes(StandardCharsets.UTF_8);
        Reply reply = rig.mill
                .redis()
                .run(
                        QueueScripts.ADMIT,
                        List.of(unit, guard), // as in a cluster, where no version is checked
                        Insight.args(words.toArray()))
                .block(SOON);
        List<String> said = IntStream.range(0, 10)
                .mapToObj(i -> reply.text(1 + 4 * i) + reply.number(3 + 4 * i))
                .toList();
        assertThat(said)
                .containsExactly(
                        "UNTRIED4",
                        "UNTRIED5",
                        "UNTRIED6",
                        "UNTRIED7",
                        "UNTRIED8",
                        "UNTRIED9",
                        "UNTRIED10",
                        "DISPLACED1",
                        "DISPLACED2",
                        "DISPLACED3");

        List<Delivered> outcomes = rig.mill.queues().deliverAll(anew).block(SOON);
        for (int i = 0; i < 10; i++) {
            Delivered one = outcomes.get(i);
            assertThat(one.id()).isEqualTo("n" + i);
            assertThat(one.queues()).containsExactly("q");
            assertThat(one.refusedBy()).isEmpty();
            assertThat(one.duplicateIn()).isEqualTo(i < 3 ? List.of("q") : List.of());
            assertThat(one.displaced()).isEqualTo(i < 3 ? List.of() : List.of("p" + (4_990 + i)));
        }
        assertThat(rig.queue.length().block(SOON)).isEqualTo(5_000);
    }

    @Test
    @DisplayName(
            "a facet may have a limit of its own; a queue without limits asks nothing; what comes back always fits")
    void ownLimit() {
        rig.limit(2, Overflow.REJECT);
        rig.queue
                .policies()
                .limitWaiting("big", 5)
                .then(rig.queue.policies().limitWaiting("free", 0))
                .block(SOON);
        rig.fill("big", 9);
        rig.fill("free", 9);
        assertThat(rig.waiting()).isEqualTo(5 + 9);

        List<Delivery> taken = rig.lease(4, LONG);
        rig.deliver("big", "b9", "b10");
        taken.forEach(one -> assertThat(one.nack().block(SOON)).isTrue());
        assertThat(rig.waiting()).isEqualTo(7 + 9);
        assertThat(deliver("big", "b11").refusedBy()).containsExactly("q");
    }

    @Test
    @DisplayName("a limit that is changed or taken away is in force for the next delivery, of every producer")
    void changed(RedisServer server) {
        try (QueueRig other = QueueRig.joining(server.settings(rig.namespace), QueueSettings.defaults())) {
            other.deliver("a", "a1");
            rig.limit(1, Overflow.REJECT);
            assertThat(other.mill.deliver(event("a", "a2")).block(SOON).refusedBy())
                    .containsExactly("q");
            rig.mill.queues().register("q", ".*").block(SOON);
            assertThat(other.mill.deliver(event("a", "a2")).block(SOON).refusedBy())
                    .isEmpty();
        }
    }

    @Test
    @DisplayName("wait: a producer that does not know of the limit yet waits too")
    void waitingUnknown(RedisServer server) {
        try (QueueRig other = QueueRig.joining(server.settings(rig.namespace), QueueSettings.defaults())) {
            other.deliver("a", "a1");
            rig.limit(1, Overflow.WAIT);

            Delivered second = Mono.zip(
                            other.mill.deliver(event("a", "a2")),
                            Mono.delay(Duration.ofMillis(200)).then(rig.queue.pull()))
                    .block(SOON)
                    .getT1();

            assertThat(second.refusedBy()).isEmpty();
            assertThat(second.queues()).containsExactly("q");
        }
    }

    @Test
    @DisplayName("wait: while one queue has no room listeners do not hear of each try")
    void waitingIsQuiet() {
        rig.mill.queues().register("full", ".*", Admission.of(1, Overflow.WAIT)).block(SOON);
        rig.deliver("a", "a1");
        List<String> heard = new CopyOnWriteArrayList<>();
        Disposable listener = rig.mill.listen("*").subscribe(event -> heard.add(event.id()));
        Eventually.await("listening", SOON, () -> {
            rig.deliver("b" + heard.size() + System.nanoTime(), "probe");
            return heard.contains("probe");
        });

        Mono.zip(
                        rig.mill.deliver(event("a", "a2")),
                        Mono.delay(Duration.ofSeconds(1))
                                .then(rig.mill.queue("full").pull(50).then(Mono.just(true))))
                .block(SOON);
        rig.deliver("last", "last");
        Eventually.await("the last one to be heard", SOON, () -> heard.contains("last"));
        listener.dispose();

        assertThat(heard.stream().filter("a2"::equals).count()).isBetween(1L, 2L);
    }

    @Test
    @DisplayName("newest: a facet's own limit, too, is at most what one look goes through")
    void newestOwnLimit() {
        rig.limit(2, Overflow.NEWEST);
        rig.queue.policies().limitWaiting("a", 100_000).block(SOON);
        rig.fill("a", 1_010);

        assertThat(rig.waiting()).isEqualTo(1_000);
    }

    @Test
    @DisplayName("limits out of range are refused and named")
    void refused() {
        assertThatThrownBy(() -> Admission.of(0, Overflow.REJECT)).hasMessageContaining("limit");
        assertThatThrownBy(() -> Admission.of(1001, Overflow.NEWEST)).hasMessageContaining("1001");
    }

    private Delivered deliver(String facet, String id) {
        return deliver(event(facet, id));
    }

    private Delivered deliver(Event event) {
        return rig.mill.deliver(event).block(SOON);
    }
}
