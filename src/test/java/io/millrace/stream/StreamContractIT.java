package io.millrace.stream;

import static io.millrace.stream.StreamRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import io.millrace.redis.RedisSettings;
import io.millrace.stream.StreamRig.Seen;
import io.millrace.testing.Eventually;
import io.millrace.testing.OwnRedis;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.slf4j.LoggerFactory;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;
import reactor.util.retry.Retry;

/** Demand, cancel, concurrency, stopping, and what Lettuce and Reactor do behind one's back: T2, R5, L1 to L4, L6 to L8, L10 to L12, L14. */
class StreamContractIT {

    /** How many connections are killed; -Dcuts=300 for more. */
    private static final int CUTS = Integer.getInteger("cuts", 150);

    private OwnRedis redis;
    private StreamRig rig;

    @BeforeEach
    void start() {
        redis = OwnRedis.start("--enable-debug-command", "yes");
        rig = StreamRig.on(redis.uri(), "c");
    }

    @AfterEach
    void stop() {
        rig.close();
        redis.close();
    }

    @Test
    @Tag("L14")
    @DisplayName("L14 request(1) reads one batch and no other, however much waits; nothing is read without demand")
    void demand() {
        rig.queue(100);
        Queue<StreamDelivery> got = new ConcurrentLinkedQueue<>();
        StepVerifier.create(rig.consumer("c").batchSize(10).batches().doOnNext(got::add), 0)
                .then(() -> Eventually.await("an active one", SOON, () -> rig.number("EXISTS", rig.key("lock:c")) == 1))
                .expectNoEvent(Duration.ofMillis(100))
                .then(() -> assertThat(rig.calls("xread")).isZero())
                .thenRequest(1)
                .expectNextCount(1)
                .expectNoEvent(Duration.ofMillis(200))
                .then(() -> assertThat(rig.calls("xread")).isLessThanOrEqualTo(2)) // one may have met a signal
                .thenRequest(2)
                .expectNextCount(2)
                .expectNoEvent(Duration.ofMillis(100))
                .thenCancel()
                .verify(SOON);
        assertThat(got).hasSize(3);
        assertThat(rig.offset("c")).isEqualTo(EntryId.ZERO);
    }

    @Test
    @Tag("L14")
    @DisplayName("L14 a slow handler keeps at most one batch: the next is read when it is done")
    void slowHandler() {
        rig.queue(50);
        AtomicInteger running = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        Sinks.Empty<Void> goOn = Sinks.empty();
        Seen seen = new Seen();
        rig.run(rig.consumer("c")
                .batchSize(10)
                .consume(batch -> goOn.asMono()
                        .then(Mono.delay(Duration.ofMillis(50)))
                        .doOnSubscribe(begun -> most.accumulateAndGet(running.incrementAndGet(), Math::max))
                        .doOnTerminate(running::decrementAndGet)
                        .then(seen.add(batch))));
        Eventually.await("a handler that hangs", SOON, () -> running.get() == 1);
        Mono.delay(Duration.ofMillis(300)).block();
        assertThat(rig.calls("xread"))
                .as("one batch; one read may have met a signal")
                .isBetween(1L, 2L);
        goOn.tryEmitEmpty();
        Eventually.await("all", SOON, () -> rig.state("c").lag() == 0);
        assertThat(most).hasValue(1);
        assertThat(seen.batches).hasSize(5);
    }

    @Test
    @Tag("T2")
    @DisplayName("T2 eight handlers: the order of each key is kept, the offset is behind everything that is not done")
    void concurrency() {
        List<EntryId> ids = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            ids.addAll(rig.producer
                    .queueAll(IntStream.range(0, 100)
                            .mapToObj(n -> Map.of("id", n % 17, "n", n))
                            .toList())
                    .block(SOON));
        }
        Map<Object, List<EntryId>> byKey = new HashMap<>();
        AtomicInteger running = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        List<EntryId> tooEarly = Collections.synchronizedList(new ArrayList<>());
        rig.run(rig.consumer("c")
                .batchSize(200)
                .concurrency(8)
                .keyedBy(entry -> entry.get("id"))
                .consume(batch -> {
                    most.accumulateAndGet(running.incrementAndGet(), Math::max);
                    return Mono.delay(Duration.ofMillis(5))
                            .then(rig.stream.maxCommittedId("c"))
                            .doOnNext(offset -> {
                                synchronized (byKey) {
                                    batch.entries()
                                            .forEach(entry -> byKey.computeIfAbsent(
                                                            entry.get("id"), key -> new ArrayList<>())
                                                    .add(entry.id()));
                                }
                                if (!batch.entries().get(0).id().isAfter(offset)) {
                                    tooEarly.add(offset);
                                }
                            })
                            .doFinally(end -> running.decrementAndGet());
                }));
        Eventually.await("all", SOON, () -> rig.offset("c").equals(ids.get(ids.size() - 1)));
        assertThat(most.get()).isGreaterThan(3);
        assertThat(tooEarly).isEmpty();
        assertThat(byKey.values().stream().mapToInt(List::size).sum()).isEqualTo(2_000);
        byKey.values().forEach(order -> assertThat(order).isSorted());
    }

    private static List<Named<Function<StreamEntry, Object>>> keysOfTheStuck() {
        return List.of(
                Named.of("a key an entry, so that others wait behind it", StreamEntry::id),
                Named.of(
                        "a handler of its own, which others never need",
                        entry -> entry.get("id").equals(7)));
    }

    @ParameterizedTest
    @MethodSource("keysOfTheStuck")
    @Tag("T2")
    @DisplayName(
            "T2 one entry is stuck: what is behind it is not committed, and no more is read than the batch behind its own")
    void stuck(Function<StreamEntry, Object> key) {
        List<EntryId> ids = rig.queue(100);
        Sinks.Empty<Void> goOn = Sinks.empty();
        Seen seen = new Seen();
        rig.run(rig.consumer("c")
                .batchSize(20)
                .concurrency(20)
                .keyedBy(key)
                .consume(batch -> batch.entries().stream()
                                .anyMatch(entry -> entry.get("id").equals(7))
                        ? goOn.asMono().then(seen.add(batch))
                        : seen.add(batch)));
        Eventually.await("the others", SOON, () -> seen.records().size() >= 24);
        Mono.delay(Duration.ofMillis(300)).block();
        assertThat(rig.offset("c").compareTo(ids.get(7))).isNegative();
        assertThat(seen.records()).allMatch(id -> (Integer) id < 40);
        goOn.tryEmitEmpty();
        Eventually.await("all", SOON, () -> rig.offset("c").equals(ids.get(99)));
        assertThat(seen.records()).hasSize(100).doesNotHaveDuplicates();
    }

    @Test
    @Tag("T2")
    @DisplayName("T2 cut off while an entry is stuck: nothing behind it is committed, though the next batch is done")
    void stuckAndCutOff() {
        List<EntryId> ids = rig.queue(40);
        Sinks.Empty<Void> stop = Sinks.empty();
        Seen seen = new Seen();
        Mono<Void> consuming = rig.consumer(
                        "c",
                        ConsumerOptions.builder()
                                .batchSize(20)
                                .concurrency(20)
                                .keyedBy(StreamEntry::id)
                                .until(stop.asMono())
                                .drain(Duration.ofMillis(200)))
                .consume(batch -> batch.entries().stream()
                                .anyMatch(entry -> entry.get("id").equals(7))
                        ? Mono.never()
                        : seen.add(batch));
        rig.run(consuming);
        Eventually.await("the others", SOON, () -> seen.records().size() >= 24);
        stop.tryEmitEmpty();
        Eventually.await("nobody", SOON, () -> rig.number("EXISTS", rig.key("lock:c")) == 0);
        assertThat(rig.offset("c").compareTo(ids.get(7))).isNegative();
        Seen again = rig.collect(rig.consumer("c"));
        Eventually.await("all the rest", SOON, () -> rig.offset("c").equals(ids.get(39)));
        assertThat(again.records()).contains(7).endsWith(39);
    }

    @Test
    @Tag("T2")
    @DisplayName("T2 handlers take very different times: the order of each key holds, over the ends of batches too")
    void unequalHandlers() {
        int n = 1_200;
        List<EntryId> ids = rig.producer
                .queueAll(IntStream.range(0, n)
                        .mapToObj(i -> Map.of("id", i % 23, "n", i))
                        .toList())
                .block(SOON);
        Map<Object, List<Object>> byKey = new ConcurrentHashMap<>();
        AtomicInteger atOnce = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        Random random = new Random();
        rig.run(rig.consumer("c")
                .batchSize(60)
                .concurrency(6)
                .consume(batch -> Mono.delay(Duration.ofMillis(random.nextInt(30)))
                        .doOnSubscribe(begun -> most.accumulateAndGet(atOnce.incrementAndGet(), Math::max))
                        .doOnNext(done -> {
                            batch.entries()
                                    .forEach(entry -> byKey.computeIfAbsent(
                                                    entry.get("id"),
                                                    key -> Collections.synchronizedList(new ArrayList<>()))
                                            .add(entry.get("n")));
                            atOnce.decrementAndGet();
                        })));
        Eventually.await("all", SOON, () -> rig.offset("c").equals(ids.get(n - 1)));
        assertThat(most.get()).isBetween(2, 6);
        List<Object> all = new ArrayList<>();
        byKey.forEach((key, order) -> {
            assertThat(order.stream().map(one -> (Integer) one).toList()).isSorted();
            all.addAll(order);
        });
        assertThat(all).hasSize(n).doesNotHaveDuplicates();
    }

    @Test
    @DisplayName("stopping: what runs is finished and committed, nothing more is read, the lock is free at once")
    void stopping() {
        List<EntryId> ids = rig.queue(100);
        Sinks.Empty<Void> stop = Sinks.empty();
        Seen seen = new Seen();
        Mono<Void> consuming = rig.consumer("c")
                .batchSize(10)
                .until(stop.asMono())
                .consume(batch -> Mono.delay(Duration.ofMillis(200))
                        .doOnSubscribe(begun -> stop.tryEmitEmpty())
                        .then(seen.add(batch)));
        consuming.block(SOON);
        assertThat(seen.batches).hasSize(1);
        assertThat(rig.offset("c")).isEqualTo(ids.get(9));
        assertThat(rig.number("EXISTS", rig.key("lock:c"))).isZero();
    }

    @Test
    @DisplayName("stopping: a handler that does not end is cut off at the deadline, what others did is committed")
    void drainDeadline() {
        List<EntryId> ids = rig.queue(10);
        Sinks.Empty<Void> stop = Sinks.empty();
        AtomicInteger cut = new AtomicInteger();
        Mono<Void> consuming = rig.consumer(
                        "c",
                        ConsumerOptions.builder()
                                .concurrency(10)
                                .keyedBy(StreamEntry::id)
                                .until(stop.asMono())
                                .drain(Duration.ofMillis(300)))
                .consume(batch -> batch.entries().stream()
                                .anyMatch(entry -> entry.get("id").equals(9))
                        ? Mono.never()
                                .doOnSubscribe(begun -> stop.tryEmitEmpty())
                                .doOnCancel(cut::incrementAndGet)
                        : Mono.empty());
        long begin = System.nanoTime();
        consuming.block(SOON);
        assertThat(Duration.ofNanos(System.nanoTime() - begin))
                .isBetween(Duration.ofMillis(290), Duration.ofSeconds(3));
        assertThat(cut).hasValue(1);
        assertThat(rig.offset("c").compareTo(ids.get(9))).isNegative();
    }

    @Test
    @DisplayName(
            "stopping batches(): nothing more is read, what was handed out may be committed until the deadline, then it ends")
    void stoppingBatches() {
        List<EntryId> ids = rig.queue(100);
        Sinks.Empty<Void> stop = Sinks.empty();
        List<StreamDelivery> got = rig.consumer("c")
                .batchSize(10)
                .until(stop.asMono())
                .batches()
                .concatMap(
                        one -> Mono.fromRunnable(stop::tryEmitEmpty)
                                .then(Mono.delay(Duration.ofMillis(200)))
                                .then(Mono.defer(one::commit))
                                .thenReturn(one),
                        1)
                .collectList()
                .block(SOON);
        assertThat(got.size())
                .as("the first, and one that was read before it was handed out")
                .isBetween(1, 2);
        assertThat(rig.offset("c")).isEqualTo(ids.get(10 * got.size() - 1));
        assertThat(rig.number("EXISTS", rig.key("lock:c"))).isZero();
        long begin = System.nanoTime();
        StreamConsumer careless = rig.consumer(
                "c",
                ConsumerOptions.builder()
                        .batchSize(10)
                        .until(Mono.delay(Duration.ofMillis(200)))
                        .drain(Duration.ofMillis(300)));
        assertThat(careless.batches().count().block(SOON)).isPositive();
        assertThat(Duration.ofNanos(System.nanoTime() - begin))
                .isBetween(Duration.ofMillis(490), Duration.ofSeconds(3));
        assertThat(rig.offset("c")).isEqualTo(ids.get(10 * got.size() - 1));
    }

    @Test
    @DisplayName(
            "a consumer that is unregistered while it runs ends with an error, active or standing by, and is not there again")
    void unregistered() {
        rig.queue(10);
        Sinks.Empty<Void> goOn = Sinks.empty();
        Sinks.One<Throwable> active = Sinks.one();
        Sinks.One<Throwable> standby = Sinks.one();
        AtomicInteger handled = new AtomicInteger();
        rig.run(rig.consumer("c")
                .consume(batch -> Mono.fromRunnable(handled::incrementAndGet).then(goOn.asMono()))
                .doOnError(active::tryEmitValue)
                .onErrorComplete());
        Eventually.await("a batch", SOON, () -> handled.get() == 1);
        rig.run(rig.consumer("c")
                .batches()
                .then()
                .doOnError(standby::tryEmitValue)
                .onErrorComplete());
        Eventually.await(
                "who stands by",
                SOON,
                () -> rig.raw("PUBSUB", "NUMSUB", rig.key("lock:c")).number(1) >= 1);
        assertThat(rig.stream.unregister("c").block(SOON)).isTrue();
        goOn.tryEmitEmpty(); // what is handled at that time is not committed
        for (Sinks.One<Throwable> end : List.of(active, standby)) {
            assertThat(end.asMono().block(SOON))
                    .isInstanceOf(UnregisteredConsumerException.class)
                    .hasMessageContaining("\"c\"")
                    .hasMessageContaining("unregistered");
        }
        assertThat(rig.state().consumers()).isEmpty();
        assertThat(rig.number("EXISTS", rig.key("offset:c"), rig.key("lock:c"))).isZero();
        Seen anew = rig.collect(rig.consumer("c"));
        Eventually.await("begun anew", SOON, () -> anew.records().size() == 10);
        assertThat(rig.state().consumers()).hasSize(1);
    }

    @Test
    @DisplayName("who is not registered cannot be moved: a name that is mistyped holds nothing back")
    void seekOfNobody() {
        rig.queue(3);
        assertThatThrownBy(() -> rig.consumer("typo").seekToEnd().block(SOON))
                .isInstanceOf(UnregisteredConsumerException.class)
                .hasMessageContaining("\"typo\"")
                .hasMessageContaining("registered first");
        assertThat(rig.state().consumers()).isEmpty();
        assertThat(rig.number("EXISTS", rig.key("offset:typo"), rig.key("fence:typo")))
                .isZero();
    }

    @Test
    @DisplayName("stopping while standing by ends at once")
    void stoppingWhileWaiting() {
        rig.collect(rig.consumer("c"));
        Eventually.await("an active one", SOON, () -> rig.number("EXISTS", rig.key("lock:c")) == 1);
        rig.consumer("c")
                .until(Mono.delay(Duration.ofMillis(50)))
                .consume(batch -> Mono.empty())
                .block(Duration.ofSeconds(2));
    }

    @Test
    @DisplayName("who is moved to a time to come, or begins there, is at the end: ids stay those of the present")
    void beyondTheEnd() {
        List<EntryId> ids = rig.queue(3);
        EntryId future = EntryId.parse("18446744073709551615-18446744073709551615");
        rig.stream.register("new", future).block(SOON);
        rig.stream.register("c").block(SOON);
        rig.consumer("c").seek(future).block(SOON);
        assertThat(List.of(rig.offset("c"), rig.offset("new"))).containsOnly(ids.get(2));
        Seen moved = rig.collect(rig.consumer("c"));
        Seen begun = rig.collect(rig.consumer("new"));
        EntryId next = rig.queue("next").get(0);
        assertThat(next.ms() - ids.get(2).ms()).isBetween(0L, 60_000L);
        Eventually.await("read", SOON, () -> moved.records().equals(List.of("next")));
        Eventually.await("read", SOON, () -> begun.records().equals(List.of("next")));
    }

    @Test
    @DisplayName("a batch is not committed beyond its end")
    void committedBeyond() {
        List<EntryId> ids = rig.queue(4);
        StreamDelivery held = rig.consumer("c").batchSize(2).batches().blockFirst(SOON);
        assertThatThrownBy(() -> held.commit(ids.get(2)).block(SOON))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(ids.get(1).toString());
        held.commit(ids.get(0)).block(SOON);
        assertThat(rig.offset("c")).isEqualTo(ids.get(0));
    }

    @Test
    @DisplayName("seek moves an active consumer at once, back and forth; pause and resume hold for every instance")
    void seekAndPause() {
        List<EntryId> ids = rig.queue(10);
        Seen seen = rig.collect(rig.consumer("c"));
        Eventually.await("all", SOON, () -> rig.offset("c").equals(ids.get(9)));
        rig.consumer("c").seek(ids.get(6)).block(SOON);
        Eventually.await("three again", SOON, () -> seen.records().size() == 13);
        assertThat(seen.records().subList(10, 13)).containsExactly(7, 8, 9);
        rig.consumer("c").seek(ids.get(0).time()).block(SOON);
        Eventually.await("all again", SOON, () -> seen.records().size() == 23);
        assertThat(rig.consumer("c").pause().block(SOON)).isTrue();
        assertThat(rig.consumer("c").pause().block(SOON)).isFalse();
        EntryId late = rig.producer.queue("late").block(SOON);
        Mono.delay(Duration.ofMillis(300)).block();
        assertThat(seen.records()).hasSize(23);
        assertThat(rig.state("c").paused()).isTrue();
        assertThat(rig.state("c").lag()).isEqualTo(1);
        assertThat(rig.consumer("c").resume().block(SOON)).isTrue();
        Eventually.await("the late one", SOON, () -> rig.offset("c").equals(late));
        assertThat(seen.records()).hasSize(24);
    }

    @Test
    @Tag("L1")
    @DisplayName("L1 an idle consumer blocks on a connection of its own: PING elsewhere answers meanwhile")
    void blockingReads() {
        rig.collect(rig.consumer("c"));
        Eventually.await(
                "a blocked reader",
                SOON,
                () -> rig.raw("CLIENT", "LIST").text(0).contains("cmd=xread"));
        List<Long> millis = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            long start = System.nanoTime();
            rig.raw("PING");
            millis.add(TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start));
        }
        Collections.sort(millis);
        assertThat(millis.get(190)).isLessThan(50);
    }

    @Test
    @Tag("L2")
    @DisplayName(
            "L2 commands may take 1 s, reads block for 2 s: none is given up meanwhile, what comes late in the block is read")
    void blockLongerThanTheTimeout() {
        Logger logger = (Logger) LoggerFactory.getLogger(Session.class);
        ListAppender<ILoggingEvent> log = new ListAppender<>();
        log.start();
        logger.addAppender(log);
        try (StreamRig hasty = StreamRig.on(RedisSettings.builder(redis.uri())
                .namespace("c")
                .commandTimeout(Duration.ofSeconds(1))
                .build())) {
            Seen seen = hasty.collect(hasty.consumer("c"));
            Eventually.await(
                    "a blocked reader",
                    SOON,
                    () -> rig.raw("CLIENT", "LIST").text(0).contains("cmd=xread"));
            Mono.delay(Duration.ofMillis(1_500)).block();
            rig.queue("late");
            Eventually.await("it", SOON, () -> seen.records().equals(List.of("late")));
            assertThat(log.list)
                    .extracting(ILoggingEvent::getFormattedMessage)
                    .as("no read was given up")
                    .isEmpty();
        } finally {
            logger.detachAppender(log);
        }
    }

    @Test
    @Tag("L3")
    @DisplayName(
            "L3 connections are killed again and again while producing: every id given is there once, nothing else")
    void killedConnections() {
        AtomicInteger kills = new AtomicInteger();
        Mono<Void> kill = Flux.interval(Duration.ofMillis(20), Schedulers.boundedElastic())
                .onBackpressureDrop()
                .concatMap(tick -> rig.mill.redis().call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))
                .takeWhile(killed -> kills.addAndGet(((Long) killed).intValue()) < CUTS)
                .then();
        Map<Integer, EntryId> given = Collections.synchronizedMap(new HashMap<>());
        try (StreamRig other = StreamRig.on(redis.uri(), "c")) {
            AtomicInteger next = new AtomicInteger();
            Flux.<Integer>generate(sink -> sink.next(next.getAndIncrement()))
                    .takeUntilOther(kill)
                    .flatMap(
                            n -> Mono.defer(() ->
                                            other.producer.queue(Change.of(n).withProducerId("p" + n)))
                                    .retryWhen(Retry.fixedDelay(2_000, Duration.ofMillis(20)))
                                    .doOnNext(id -> given.put(n, id)),
                            64)
                    .blockLast(Duration.ofSeconds(60));
        }
        Map<Integer, EntryId> there = new HashMap<>();
        List<StreamEntry> entries =
                rig.stream.entries(EntryId.ZERO).collectList().block(SOON);
        entries.forEach(entry -> there.put((Integer) entry.get("id"), entry.id()));
        assertThat(entries).hasSameSizeAs(given.entrySet());
        assertThat(there).isEqualTo(given);
        assertThat(kills).hasValueGreaterThanOrEqualTo(CUTS);
    }

    @Test
    @Tag("R5")
    @DisplayName("R5 connections are killed while due notes are moved, so that moves are repeated: one entry a note")
    void killedWhileNotesAreMoved() {
        Flux.range(0, 120)
                .concatMap(i -> rig.producer.delayAll(
                        IntStream.range(i * 500, i * 500 + 500).boxed().toList()))
                .blockLast(SOON);
        try (StreamRig other = StreamRig.on(redis.uri(), "c")) {
            AtomicInteger kills = new AtomicInteger();
            Disposable kill = rig.killing(kills).subscribe();
            Delayer delayer = other.mill.streams().delayer("s", Duration.ZERO);
            Flux.range(0, 8)
                    .flatMap(i -> delayer.runOnce().retryWhen(Retry.fixedDelay(1_000, Duration.ofMillis(10))))
                    .blockLast(Duration.ofSeconds(60));
            kill.dispose();
            assertThat(kills).hasValueGreaterThan(3);
        }
        assertThat(rig.stream
                        .entries(EntryId.ZERO)
                        .map(entry -> (Integer) entry.get("id"))
                        .collectSortedList()
                        .block(SOON))
                .isEqualTo(numbers(60_000));
    }

    @Test
    @Tag("L4")
    @DisplayName("L4 calls that timed out while Redis slept run later; repeated with their ids they are one entry each")
    void timedOutCallsRunLater() {
        try (StreamRig hasty = StreamRig.on(RedisSettings.builder(redis.uri())
                .namespace("c")
                .commandTimeout(Duration.ofMillis(300))
                .build())) {
            hasty.queue("warm");
            Mono<Object> sleep = rig.mill.redis().call("DEBUG", "SLEEP", "1.5");
            AtomicInteger errors = new AtomicInteger();
            Mono<List<EntryId>> produce = Flux.range(0, 20)
                    .concatMap(n -> Mono.defer(
                                    () -> hasty.producer.queue(Change.of(n).withProducerId("p" + n)))
                            .doOnError(error -> errors.incrementAndGet())
                            .retryWhen(Retry.fixedDelay(100, Duration.ofMillis(20))))
                    .collectList();
            List<EntryId> ids = Mono.zip(sleep, produce).block(SOON).getT2();
            assertThat(ids).doesNotHaveDuplicates().hasSize(20);
            assertThat(errors).as("calls that timed out").hasPositiveValue();
        }
        assertThat(rig.stream.size().block(SOON)).isEqualTo(21);
    }

    @Test
    @Tag("L6")
    @Tag("L11")
    @DisplayName("L6 L11 a batch of 10,000 with request(1) arrives whole, and the connection is free for others")
    void largeBatches() {
        Flux.range(0, 10).concatMap(i -> rig.producer.queueAll(numbers(1_000))).blockLast(SOON);
        StepVerifier.create(rig.consumer("c").batchSize(10_000).batches(), 1)
                .assertNext(delivery -> assertThat(delivery.batch().size()).isEqualTo(10_000))
                .then(() -> assertThat(rig.raw("PING").text(0)).isEqualTo("PONG"))
                .thenCancel()
                .verify(SOON);
    }

    @Test
    @Tag("L6")
    @DisplayName("L6 entries that are looked at one by one do not stop the connection they share with others")
    void entriesOneByOne() {
        rig.queue(5_000);
        StepVerifier.create(rig.stream.entries(EntryId.ZERO), 1)
                .expectNextCount(1)
                .then(() -> assertThat(rig.raw("PING").text(0)).isEqualTo("PONG"))
                .thenRequest(1_500)
                .expectNextCount(1_500)
                .then(() -> assertThat(rig.raw("PING").text(0)).isEqualTo("PONG"))
                .then(() -> assertThat(rig.calls("xrange"))
                        .as("pages that were asked for")
                        .isLessThanOrEqualTo(3))
                .thenCancel()
                .verify(SOON);
    }

    @Test
    @Tag("L7")
    @DisplayName("L7 5,000 batches asked for one by one: reading never gets stuck")
    void smallRequests() {
        rig.queue(5_000);
        List<StreamDelivery> all = rig.consumer("c")
                .batchSize(1)
                .batches()
                .limitRate(1)
                .concatMap(
                        one -> one.batch().lastId().seq() % 100 == 0
                                ? one.commit().thenReturn(one)
                                : Mono.just(one),
                        1)
                .take(5_000)
                .collectList()
                .block(Duration.ofSeconds(60));
        assertThat(all.stream()
                        .map(one -> one.batch().entries().get(0).get("id"))
                        .toList())
                .isEqualTo(numbers(5_000));
    }

    @Test
    @Tag("L8")
    @DisplayName("L8 a handler blocks for three leases: it stays the active one, and is called once")
    void blockingHandler() {
        rig.queue("a");
        AtomicInteger calls = new AtomicInteger();
        rig.run(rig.consumer("c", ConsumerOptions.builder().lease(Duration.ofSeconds(1)))
                .consume(batch -> Mono.fromRunnable(() -> {
                    calls.incrementAndGet();
                    long until = System.nanoTime() + Duration.ofSeconds(3).toNanos();
                    Eventually.await(SOON, () -> System.nanoTime() > until);
                })));
        Eventually.await("committed", SOON, () -> rig.offset("c").isAfter(EntryId.ZERO));
        assertThat(calls).hasValue(1);
    }

    @Test
    @Tag("L10")
    @DisplayName("L10 scripts are flushed every 10 ms under load: no error, nothing twice, nothing missing")
    void scriptFlush() {
        Seen seen = rig.collect(rig.consumer("c").batchSize(50));
        Mono<Void> produce =
                Flux.range(0, 3_000).concatMap(n -> rig.producer.queue(n)).then();
        Flux<Object> flush = Flux.interval(Duration.ofMillis(10))
                .onBackpressureDrop()
                .concatMap(tick -> rig.mill.redis().call("SCRIPT", "FLUSH"));
        Mono.firstWithSignal(produce, flush.then()).block(Duration.ofSeconds(60));
        Eventually.await("all", SOON, () -> seen.records().size() >= 3_000);
        assertThat(seen.records()).isEqualTo(numbers(3_000));
    }

    @Test
    @Tag("L12")
    @DisplayName("L12 garbage among the entries: it becomes a dead letter, the next ones arrive")
    void garbage() {
        rig.queue("a");
        rig.raw("XADD", rig.key("log"), "*", "payload", "{not json");
        rig.raw("XADD", rig.key("log"), "*", "something", "else");
        rig.queue("b");
        List<Object> handled = Collections.synchronizedList(new ArrayList<>());
        rig.run(rig.consumer("c", ConsumerOptions.builder().concurrency(3))
                .consume(batch -> Mono.fromRunnable(() -> handled.addAll(
                        batch.entries().stream().map(entry -> entry.get("id")).toList()))));
        Eventually.await("two dead letters", SOON, () -> rig.deadLetters("c").size() == 2);
        Eventually.await("the others", SOON, () -> handled.containsAll(List.of("a", "b")));
        assertThat(rig.deadLetters("c").get(0).cause()).contains("not JSON");
        assertThat(rig.deadLetters("c").get(1).cause()).contains("no field \"payload\"");
    }

    @Test
    @DisplayName(
            "the store is away for 20,000 attempts: none of them makes a dead letter, what comes then is handled once")
    void transientErrors() {
        List<EntryId> ids = rig.queue(10);
        AtomicInteger attempts = new AtomicInteger();
        Seen seen = new Seen();
        rig.run(rig.consumer(
                        "c",
                        ConsumerOptions.builder()
                                .retryDelay(Duration.ZERO, Duration.ZERO)
                                .transientErrors(IllegalStateException.class::isInstance))
                .consume(batch -> attempts.incrementAndGet() <= 20_000
                        ? Mono.error(new IllegalStateException("away"))
                        : seen.add(batch)));
        Eventually.await("all", Duration.ofSeconds(30), () -> rig.offset("c").equals(ids.get(9)));
        assertThat(attempts).hasValue(20_001);
        assertThat(seen.records()).containsExactly(0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
        assertThat(rig.deadLetters("c")).isEmpty();
    }

    @Test
    @DisplayName("what is out of range is refused by name and value")
    void ranges() {
        assertThatThrownBy(() -> rig.consumer("c").batchSize(0)).hasMessage("batchSize must be 1 to 10000, was 0");
        assertThatThrownBy(() -> rig.mill.streams().consumer("s", "")).hasMessageContaining("consumer needs a name");
        assertThatThrownBy(() -> rig.mill.streams().producer("")).hasMessageContaining("stream needs a name");
        assertThatThrownBy(() -> EntryId.parse("12-x")).hasMessageContaining("\"12-x\" is no entry id");
    }

    private static List<Integer> numbers(int n) {
        return IntStream.range(0, n).boxed().toList();
    }
}
