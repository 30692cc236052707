package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.test.StepVerifier;

/** Handlers that are slow, hang or throw; batches and garbage: L8, L11, L12, L14, L15, P5, F16, F17. */
@RedisTest
class HandlingFaultsIT {

    private static final LeaseOptions SECOND =
            LONG.mutate().lease(Duration.ofSeconds(1)).build();

    private RedisServer server;

    @Namespace
    private String namespace;

    private QueueRig rig;
    private final Queue<Message> handled = new ConcurrentLinkedQueue<>();
    private final Checker checker = new Checker().unordered();
    private Disposable consumer = () -> {};

    @BeforeEach
    void open() {
        rig = QueueRig.on(server, namespace);
    }

    @AfterEach
    void close() {
        consumer.dispose();
        rig.close();
    }

    @Test
    @DisplayName("a lease that is extended again and again keeps nothing of the extensions before")
    void manyExtensions() {
        rig.deliver("a", "1");
        Delivery held = rig.lease(1, LONG).get(0);
        assertThat(Flux.range(0, 50)
                        .flatMap(i -> held.extend(), 50)
                        .collectList()
                        .block(SOON))
                .hasSize(50)
                .containsOnly(true);
        assertThat(held.isExtending()).isFalse();
        assertThat(held.ack().block(SOON)).isTrue();
        assertThat(held.extend().block(SOON)).isFalse();
        assertThat(held.isExtending()).isFalse();
    }

    @Test
    @Tag("L8")
    @Tag("P5")
    @DisplayName("L8 P5 handlers block for 3 s under leases of 1 s: renewed in time, each message is handled once")
    void blockingHandlers() {
        checker.filling(rig, "a", 16);
        consumer = rig.queue
                .consume(
                        checker.handling(message -> {
                            await(3_000);
                            return Mono.empty();
                        }),
                        ConsumeOptions.builder().lease(SECOND).build())
                .subscribe();
        try (QueueRig rival = QueueRig.on(server, namespace)) { // takes at once what is not renewed in time
            Disposable other =
                    rival.queue.receive(SECOND).subscribe(one -> checker.handedOut(one.message(), one.receipt()));
            Eventually.await(
                    "the end", SOON, () -> checker.allFinished() && rig.facets().isEmpty());
            other.dispose();
        }
        assertThat(checker.check().duplicates()).isZero();
    }

    @Test
    @Tag("P5")
    @DisplayName("P5 a lease lasts as long as it was asked for, whatever others ask for")
    void leasesOfDifferentLengths() {
        rig.deliver("a", "long", "short");
        rig.lease(1, LONG);
        rig.lease(1, QueueRig.SHORT);
        StepVerifier.create(rig.queue
                        .receive(QueueRig.SHORT.mutate().maxAttempts(0).build())
                        .take(3))
                .expectNextMatches(one -> one.message().id().equals("short"))
                .expectNextMatches(one -> one.message().id().equals("short"))
                .expectNextMatches(one ->
                        one.message().id().equals("short") && one.message().attempt() == 4)
                .expectComplete()
                .verify(SOON);
    }

    @Test
    @Tag("L11")
    @DisplayName("L11 1,000 messages for a subscriber that requests one by one: all arrive, in order")
    void oneByOne() {
        rig.fill("a", 1_000);
        List<String> ids = rig.queue
                .receive(LONG.mutate().batchSize(256).build())
                .take(1_000)
                .concatMap(one -> one.ack().thenReturn(one.message().id()), 1)
                .collectList()
                .block(SOON);
        assertThat(ids)
                .hasSize(1_000)
                .doesNotHaveDuplicates()
                .startsWith("a-0", "a-1")
                .endsWith("a-999");
        assertThat(rig.facets()).isEmpty();
    }

    @ParameterizedTest
    @Tag("L12")
    @Tag("F17")
    @DisplayName("L12 F17 garbage in a facet becomes a dead letter, and the next messages arrive without delay")
    @ValueSource(
            strings = {
                "garbage",
                "",
                "{}",
                "{\"_at\":1790000000000,\"environment\":\"a\\q\",\"type\":\"t\"}",
                "{\"_at\":1790000000000,\"environment\":\"a\",\"type\":\"t\",\"name\":5.5}"
            })
    void garbage(String garbage) {
        LeaseOptions rarely = LONG.mutate().pollInterval(Duration.ofHours(1)).build();
        for (int demand : List.of(1, 5)) {
            plant(garbage);
            assertThat(rig.queue
                            .receive(rarely)
                            .take(2)
                            .map(one -> one.message().id())
                            .collectList()
                            .block(SOON))
                    .as("demand of %s", demand)
                    .hasSize(2)
                    .allMatch(id -> id.startsWith("m"));
            rig.queue.destroy().block(SOON);
            rig.mill.queues().register("q", ".*").block(SOON);
        }
        plant(garbage);
        assertThat(rig.queue.receiveBatches(rarely).take(1).blockLast(SOON).messages())
                .hasSize(2);
        Eventually.await("the dead letter", SOON, () -> rig.deadLetters().size() == 1);
        assertThat(rig.deadLetters().get(0).message().event().data()).isEqualTo(garbage);
        assertThat(rig.doctor().findings()).isEmpty();
    }

    @Test
    @Tag("L12")
    @DisplayName("L12 garbage does not take others along: neither in a pull, nor in a peek, nor when its lease ends")
    void garbageAmongOthers() {
        plant("{\"_at\":1790000000000,\"environment\":\"a\\q\",\"type\":\"t\"}");
        assertThat(rig.queue.peek(3).map(Message::id).collectList().block(SOON))
                .hasSize(3)
                .contains("m1", "m2");
        assertThat(rig.pullIds(1)).containsExactly("m1");
        assertThat(rig.pullIds(1)).containsExactly("m2");
        plant("garbage\\\"");
        assertThat(rig.pullIds(3)).containsExactly("m3", "m4");
    }

    /** In front of two messages. */
    private void plant(String garbage) {
        String first = "m" + ++planted;
        rig.deliver("a", first, "m" + ++planted);
        rig.raw("LPUSH", rig.key("f:a"), garbage);
    }

    private int planted;

    @Test
    @Tag("L14")
    @DisplayName("L14 one slow worker, 1,000 messages: never more in flight than slots")
    void inFlightIsBounded() {
        rig.fill("a", 1_000);
        CountDownLatch release = new CountDownLatch(1);
        consumer = rig.queue
                .consume(
                        message -> {
                            handled.add(message);
                            return Mono.delay(Duration.ofMillis(2));
                        },
                        ConsumeOptions.builder().concurrency(4).build())
                .doFinally(end -> release.countDown())
                .subscribe();
        AtomicLong most = new AtomicLong();
        Eventually.await("300 handled", SOON, () -> {
            most.accumulateAndGet(rig.inFlight(), Math::max);
            return handled.size() > 300;
        });
        // What is done may wait for the next pull to carry its acknowledgement: 4 more.
        assertThat(most.get()).isBetween(1L, 8L);
    }

    @Test
    @Tag("L15")
    @DisplayName("L15 acknowledgements travel with pulls: far fewer scripts than messages")
    void acknowledgementsTravelTogether() {
        rig.fill("a", 10_000);
        rig.raw("CONFIG", "RESETSTAT");
        Set<String> done = ConcurrentHashMap.newKeySet();
        consumer = rig.queue
                .consume(
                        message -> Mono.fromRunnable(() -> done.add(message.id())),
                        ConsumeOptions.builder().concurrency(256).build())
                .subscribe();
        Eventually.await("all", Duration.ofSeconds(30), () -> done.size() == 10_000);
        long calls = Long.parseLong(
                rig.raw("INFO", "commandstats").text(0).replaceAll("(?s).*cmdstat_evalsha:calls=(\\d+).*", "$1"));
        assertThat(calls).as("scripts for 10,000 messages").isLessThan(2_500);
        Eventually.await("acknowledged", SOON, () -> rig.facets().isEmpty());
    }

    @Test
    @Tag("F16")
    @DisplayName("F16 a consumer ten times slower than what comes: what it holds is bounded, all is handled")
    void slowConsumer() {
        consumer = rig.queue
                .consume(
                        checker.handling(message -> Mono.delay(Duration.ofMillis(20))),
                        ConsumeOptions.builder().lease(SECOND).concurrency(8).build())
                .subscribe();
        AtomicLong most = new AtomicLong();
        Flux.range(0, 50)
                .delayElements(Duration.ofMillis(10))
                .concatMap(tick -> rig.mill
                        .deliver(Flux.range(0, 20)
                                .map(i -> QueueRig.event("f" + i % 3, tick + "-" + i))
                                .doOnNext(checker::attempted))
                        .doOnNext(done -> checker.acknowledged(done.id()))
                        .then(rig.queue.facets().map(FacetState::inFlight).reduce(0L, Long::sum)))
                .doOnNext(inFlight -> most.accumulateAndGet(inFlight, Math::max))
                .blockLast(SOON);
        assertThat(most.get()).isLessThanOrEqualTo(16);
        Eventually.await(
                "all handled",
                Duration.ofSeconds(30),
                () -> checker.allFinished() && rig.facets().isEmpty());
        assertThat(checker.check()).isEqualTo(new Checker.Summary(1_000, 1_000, 0, 1_000, 0));
    }

    @Test
    @Tag("F17")
    @DisplayName(
            "F17 poison: a handler that throws and one that hangs end as dead letters, other messages are handled once")
    void poison() {
        Map<String, AtomicInteger> attempts = new ConcurrentHashMap<>();
        ConsumeOptions options = ConsumeOptions.builder()
                .lease(SECOND.mutate().maxAttempts(3).build())
                .retryDelay(Duration.ofMillis(20), Duration.ofMillis(40))
                .handlerTimeout(Duration.ofMillis(150))
                .concurrency(4)
                .build();
        rig.deliver("sick", "throws", "behind");
        rig.deliver("hung", "hangs", "hangs-blocking", "after");
        rig.fill("well", 100);
        consumer = rig.queue
                .consume(
                        message -> {
                            attempts.computeIfAbsent(message.id(), id -> new AtomicInteger())
                                    .incrementAndGet();
                            switch (message.id()) {
                                case "throws" -> throw new IllegalStateException("as told");
                                case "hangs" -> {
                                    return Mono.never();
                                }
                                case "hangs-blocking" -> await(60_000);
                                default -> {}
                            }
                            return Mono.fromRunnable(() -> handled.add(message));
                        },
                        options)
                .subscribe();
        Eventually.await("all else handled", SOON, () -> handled.size() >= 102);
        Eventually.await("dead letters", SOON, () -> {
            assertThat(rig.deadLetters()).hasSize(3);
            return true;
        });
        assertThat(handled)
                .extracting(Message::id)
                .hasSize(102)
                .contains("behind", "after")
                .doesNotHaveDuplicates();
        Map<String, String> reasons = new ConcurrentHashMap<>();
        rig.deadLetters().forEach(dead -> {
            assertThat(dead.message().attempt()).isEqualTo(3);
            reasons.put(dead.message().id(), dead.reason());
        });
        assertThat(reasons.get("throws")).contains("IllegalStateException", "as told");
        assertThat(reasons.get("hangs")).contains("TimeoutException");
        assertThat(reasons.get("hangs-blocking")).contains("TimeoutException");
        assertThat(attempts.get("throws")).hasValue(3);
        assertThat(attempts.get("hangs")).hasValue(3);
        Eventually.await("nothing left", SOON, () -> rig.facets().isEmpty());
    }

    /** As a handler that blocks; an interrupt ends it. */
    private static void await(long millis) {
        try {
            boolean never = new CountDownLatch(1).await(millis, TimeUnit.MILLISECONDS);
            assertThat(never).isFalse();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
