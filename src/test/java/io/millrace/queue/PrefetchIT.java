package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.RedisRefusedException;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;

/** What is leased before a handler is free for it. */
@RedisTest
class PrefetchIT {

    private RedisServer server;

    @Namespace
    private String namespace;

    private QueueRig rig;
    private final Queue<Message> handled = new ConcurrentLinkedQueue<>();
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

    private static ConsumeOptions.Builder options(int concurrency, int prefetch) {
        return ConsumeOptions.builder().concurrency(concurrency).prefetch(prefetch);
    }

    private Mono<Void> hanging(Message message) {
        handled.add(message);
        return Mono.never();
    }

    @Test
    @Tag("L14")
    @DisplayName(
            "L14 as many are leased as handlers are free and were to be leased ahead, never more; a cancel gives the rest back untouched")
    void bounded() {
        rig.fill("a", 200);
        AtomicLong most = new AtomicLong();
        consumer = rig.queue.consume(this::hanging, options(4, 10).build()).subscribe();
        Eventually.await("all slots", SOON, () -> most.accumulateAndGet(rig.inFlight(), Math::max) >= 14);
        assertThat(IntStream.range(0, 20).mapToLong(i -> rig.inFlight()).max()).hasValue(14);
        assertThat(handled).hasSize(4);

        consumer.dispose();
        Eventually.await("all to be back", Duration.ofSeconds(2), () -> rig.inFlight() == 0 && rig.waiting() == 200);
        List<Message> all = rig.queue.pull(200).collectList().block(SOON);
        assertThat(all.stream().filter(message -> message.attempt() == 2).map(Message::id))
                .containsExactlyInAnyOrderElementsOf(
                        handled.stream().map(Message::id).toList());
        assertThat(all).extracting(Message::id).containsExactly(ids("a", 200));
    }

    @Test
    @DisplayName("batches that are leased ahead: as many as were asked for, in order, given back by a cancel")
    void batches() {
        rig.fill("a", 200);
        ConsumeOptions options =
                options(1, 2).lease(LONG.mutate().batchSize(20).build()).build();
        consumer = rig.queue
                .consumeBatches(messages -> hanging(messages.get(0)), options)
                .subscribe();
        Eventually.await("three batches", SOON, () -> rig.inFlight() == 60);
        assertThat(IntStream.range(0, 20).mapToLong(i -> rig.inFlight()).max()).hasValue(60);
        consumer.dispose();
        Eventually.await("all to be back", Duration.ofSeconds(2), () -> rig.inFlight() == 0);
        assertThat(rig.pullIds(200)).containsExactly(ids("a", 200));
    }

    @ParameterizedTest(name = "prefetch {0}")
    @ValueSource(ints = {0, 1, 7, 300})
    @DisplayName("one handler has the messages of a facet in their order, however many are leased ahead, each once")
    void order(int prefetch) {
        rig.fill("a", 3_000);
        consumer = rig.queue
                .consume(
                        message -> Mono.fromRunnable(() -> handled.add(message)),
                        options(1, prefetch).scheduler(Schedulers.immediate()).build())
                .subscribe();
        Eventually.await("the end", Duration.ofSeconds(30), () -> rig.facets().isEmpty());
        assertThat(handled).extracting(Message::id).containsExactly(ids("a", 3_000));
    }

    @Test
    @DisplayName("acknowledgements do not wait for what was leased ahead: gone while handlers hang")
    void acknowledgementsGoOn() {
        rig.fill("a", 200);
        AtomicInteger calls = new AtomicInteger();
        consumer = rig.queue
                .consume(
                        message -> calls.incrementAndGet() <= 10 ? Mono.empty() : Mono.never(),
                        options(1, 100).build())
                .subscribe();
        Eventually.await("the tenth to be acknowledged", SOON, () -> calls.get() == 11 && rig.inFlight() == 90);
        assertThat(rig.waiting()).isEqualTo(100); // the next are taken when a quarter of them are missing
    }

    @Test
    @Tag("L15")
    @DisplayName("L15 acknowledgements travel with the pull that comes when a quarter of what waits is missing")
    void acknowledgementsTravelTogether() {
        rig.fill("a", 3_000);
        rig.raw("CONFIG", "RESETSTAT");
        consumer = rig.queue
                .consume(
                        message -> Mono.fromRunnable(() -> handled.add(message)),
                        options(1, 200).build())
                .subscribe();
        Eventually.await("all", Duration.ofSeconds(30), () -> handled.size() == 3_000);
        long calls = Long.parseLong(
                rig.raw("INFO", "commandstats").text(0).replaceAll("(?s).*cmdstat_evalsha:calls=(\\d+).*", "$1"));
        assertThat(calls).as("scripts for 3,000 messages").isLessThan(600);
        Eventually.await("acknowledged", SOON, () -> rig.facets().isEmpty());
    }

    @Test
    @Tag("P5")
    @DisplayName(
            "P5 the lease of what waits for a handler is extended: a rival that takes what is not renewed gets nothing")
    void renewed() {
        rig.fill("a", 6);
        Set<String> rivals = ConcurrentHashMap.newKeySet();
        LeaseOptions second = LONG.mutate().lease(Duration.ofSeconds(1)).build();
        consumer = rig.queue
                .consume(
                        message -> {
                            handled.add(message);
                            return Mono.delay(Duration.ofMillis(500));
                        },
                        options(1, 5).lease(second).build())
                .subscribe();
        Eventually.await("all leased", SOON, () -> rig.inFlight() == 6);
        try (QueueRig rival = QueueRig.on(server, namespace)) {
            Disposable other = rival.queue
                    .receive(second)
                    .subscribe(one -> rivals.add(one.message().id()));
            Eventually.await("the end", SOON, () -> rig.facets().isEmpty());
            other.dispose();
        }
        assertThat(rivals).isEmpty();
        assertThat(handled).extracting(Message::id).containsExactly(ids("a", 6));
    }

    @Test
    @Tag("L14")
    @DisplayName("L14 what lost its lease while it waited for a handler is another's: it is not handled here")
    void lostWhileWaiting() {
        rig.fill("a", 4);
        CountDownLatch go = new CountDownLatch(1);
        consumer = rig.queue
                .consume(
                        message -> {
                            handled.add(message);
                            await(go);
                            return Mono.empty();
                        },
                        options(1, 3).lease(QueueRig.SHORT).extendLeases(false).build())
                .subscribe();
        Eventually.await("one to hang", SOON, () -> !handled.isEmpty());
        Set<String> others = ConcurrentHashMap.newKeySet();
        try (QueueRig rival = QueueRig.on(server, namespace)) {
            Disposable other = rival.queue
                    .receive(LONG)
                    .subscribe(one -> others.add(one.message().id()));
            Eventually.await("all four elsewhere", SOON, () -> others.size() == 4);
            go.countDown();
            rig.deliver("b", "last");
            Eventually.await("the next", SOON, () -> handled.size() == 2 || others.size() == 5);
            other.dispose();
        }
        assertThat(handled.stream().map(Message::id)).first().isEqualTo("a-0");
        assertThat(handled.stream().skip(1).map(Message::id)).isSubsetOf("last");
    }

    @Test
    @Tag("F21")
    @DisplayName(
            "F21 until: what waits for a handler is given back, not handled; nothing is left leased when consuming has ended")
    void until() throws InterruptedException {
        rig.fill("a", 100);
        Sinks.Empty<Void> stop = Sinks.empty();
        CountDownLatch running = new CountDownLatch(2);
        Mono<Void> consuming = rig.queue.consume(
                message -> {
                    handled.add(message);
                    running.countDown();
                    return Mono.delay(Duration.ofMillis(300));
                },
                options(2, 50).until(stop.asMono()).build());
        StepVerifier.create(consuming)
                .then(() -> {
                    await(running);
                    Eventually.await("leased ahead", SOON, () -> rig.inFlight() == 52);
                    stop.tryEmitEmpty();
                })
                .expectComplete()
                .verify(SOON);
        assertThat(handled).hasSize(2);
        assertThat(rig.inFlight()).isZero();
        List<Message> rest = rig.queue.pull(100).collectList().block(SOON);
        assertThat(rest).hasSize(98).allMatch(message -> message.attempt() == 1);
    }

    @Test
    @DisplayName("an error that ends consuming for good gives back what is leased ahead, as if it had never been taken")
    void errorForGood() {
        rig.fill("a", 1_000);
        AtomicReference<Throwable> end = new AtomicReference<>();
        consumer = rig.queue
                .consume(
                        message -> {
                            handled.add(message);
                            return Mono.delay(Duration.ofMillis(50));
                        },
                        options(4, 20).build())
                .subscribe(none -> {}, end::set);
        Eventually.await("some to be handled", SOON, () -> handled.size() > 8);
        rig.raw("SET", rig.key("later"), "not what belongs here");
        Eventually.await("the end", SOON, () -> end.get() != null);
        assertThat(end.get()).isInstanceOf(RedisRefusedException.class).hasMessageContaining("WRONGTYPE");
        rig.raw("DEL", rig.key("later"));

        Eventually.await("nothing leased", SOON, () -> rig.inFlight() == 0);
        Set<String> begun = handled.stream().map(Message::id).collect(Collectors.toSet());
        List<Message> rest = rig.queue.pull(1_000).collectList().block(SOON);
        assertThat(rest)
                .filteredOn(message -> !begun.contains(message.id()))
                .hasSize(1_000 - begun.size())
                .allMatch(message -> message.attempt() == 1);
    }

    @Test
    @DisplayName("400 consumers that lease ahead, cancelled at random: nothing lost, nothing left leased")
    void cancelsAtRandom() throws InterruptedException {
        Random random = new Random(7);
        rig.fill("a", 6_000);
        rig.fill("b", 6_000);
        Queue<String> done = new ConcurrentLinkedQueue<>();
        for (int i = 0; i < 400; i++) {
            boolean batches = random.nextBoolean();
            ConsumeOptions options = options(1 + random.nextInt(4), random.nextInt(batches ? 4 : 40))
                    .lease(LONG.mutate().batchSize(1 + random.nextInt(20)).build())
                    .retryDelay(Duration.ZERO, Duration.ZERO)
                    .scheduler(random.nextBoolean() ? Schedulers.immediate() : Schedulers.parallel())
                    .build();
            Disposable one = (batches
                            ? rig.queue.consumeBatches(
                                    messages -> Mono.fromRunnable(
                                            () -> messages.forEach(message -> done.add(message.id()))),
                                    options)
                            : rig.queue.consume(message -> Mono.fromRunnable(() -> done.add(message.id())), options))
                    .subscribe();
            TimeUnit.MICROSECONDS.sleep(random.nextInt(4_000));
            one.dispose();
        }
        Eventually.await("nothing leased", SOON, () -> rig.inFlight() == 0);
        rig.queue.pull(12_000).map(Message::id).doOnNext(done::add).blockLast(SOON);
        assertThat(Set.copyOf(done)).hasSize(12_000);
        assertThat(rig.doctor().findings()).isEmpty();
    }

    @Test
    @DisplayName(
            "of a queue with partitions, and of several queues read as one: as many leased ahead, all given back by a cancel")
    void severalPlaces() {
        try (QueueRig parted = QueueRig.on(server, namespace + "-parts", 4)) {
            IntStream.range(0, 8).forEach(facet -> parted.fill("f" + facet, 50));
            Disposable reader =
                    parted.queue.consume(this::hanging, options(3, 20).build()).subscribe();
            Eventually.await("all slots", SOON, () -> parted.inFlight() == 23);
            assertThat(IntStream.range(0, 20).mapToLong(i -> parted.inFlight()).max())
                    .hasValue(23);
            reader.dispose();
            Eventually.await("all to be back", SOON, () -> parted.inFlight() == 0 && parted.waiting() == 400);
        }
        rig.mill.queues().register("r", ".*").block(SOON);
        rig.fill("a", 100);
        Disposable reader = rig.mill
                .queues()
                .group(Map.of("q", 3, "r", 1))
                .consume(this::hanging, options(3, 20).build())
                .subscribe();
        FacetQueue other = rig.mill.queue("r");
        Eventually.await("all slots", SOON, () -> rig.inFlight() + inFlight(other) == 23);
        assertThat(inFlight(other)).isBetween(5L, 6L);
        reader.dispose();
        Eventually.await("all to be back", SOON, () -> rig.inFlight() + inFlight(other) == 0);
        assertThat(rig.pullIds(200)).containsExactly(ids("a", 100));
    }

    private static long inFlight(FacetQueue queue) {
        return queue.facets().toStream().mapToLong(FacetState::inFlight).sum();
    }

    private static String[] ids(String facet, int count) {
        return IntStream.range(0, count).mapToObj(i -> facet + "-" + i).toArray(String[]::new);
    }

    private static void await(CountDownLatch latch) {
        try {
            assertThat(latch.await(10, TimeUnit.SECONDS)).isTrue();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }
}
