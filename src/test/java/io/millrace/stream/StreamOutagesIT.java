package io.millrace.stream;

import static io.millrace.stream.StreamRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.redis.RedisSettings;
import io.millrace.stream.StreamRig.Seen;
import io.millrace.testing.Eventually;
import io.millrace.testing.OwnRedis;
import io.millrace.testing.RedisSentinelFixture;
import io.millrace.testing.Stopwatch;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.util.retry.Retry;

/** Redis away, slow, or another one, while streams are written and read: L5, L9, L13, L15, P6, P15. */
@Timeout(300)
class StreamOutagesIT {

    /** How long Redis is away under load; -Daway=60 for longer. */
    private static final Duration AWAY = Duration.ofSeconds(Integer.getInteger("away", 8));

    /** As much garbage as may be left over by chance, and no more however long it takes. */
    private static final long FLAT = 24L << 20;

    private static StreamRig hasty(OwnRedis redis, Duration timeout) {
        return StreamRig.on(RedisSettings.builder(redis.uri())
                .namespace("o")
                .commandTimeout(timeout)
                .build());
    }

    private static long heap() {
        System.gc();
        Runtime runtime = Runtime.getRuntime();
        return runtime.totalMemory() - runtime.freeMemory();
    }

    @Test
    @Tag("L5")
    @DisplayName(
            "L5 Redis is away while 5,000 changes and notes a second are produced: callers fail fast, the heap stays flat")
    void producingWhileAway() {
        Duration timeout = Duration.ofMillis(500);
        try (OwnRedis redis = OwnRedis.startDurable();
                StreamRig rig = hasty(redis, timeout)) {
            Seen seen = rig.collect(rig.consumer("c"));
            rig.queue("warm");
            Eventually.await("a reader that waits", SOON, () -> rig.state("c").lag() == 0);
            redis.kill9();
            AtomicInteger failed = new AtomicInteger();
            AtomicInteger begun = new AtomicInteger();
            AtomicLong slowest = new AtomicLong();
            LongAdder nanos = new LongAdder();
            Disposable load = Flux.interval(Duration.ofMillis(10), Schedulers.boundedElastic())
                    .onBackpressureDrop()
                    .flatMap(
                            tick -> Flux.range(0, 50).flatMap(i -> {
                                long start = System.nanoTime();
                                begun.incrementAndGet();
                                Mono<?> call = i % 2 == 0 ? rig.producer.queue(tick + "-" + i) : rig.producer.delay(i);
                                return call.doOnError(error -> failed.incrementAndGet())
                                        .doFinally(end -> {
                                            long took = System.nanoTime() - start;
                                            nanos.add(took);
                                            slowest.accumulateAndGet(took, Math::max);
                                        })
                                        .onErrorComplete();
                            }),
                            Integer.MAX_VALUE)
                    .subscribe();
            Eventually.await("some failed", SOON, () -> failed.get() > 5_000);
            long before = heap();
            Mono.delay(AWAY).block();
            assertThat(heap() - before).isLessThan(FLAT);
            load.dispose();
            assertThat(begun.get()).as("a load that was one").isGreaterThan((int) AWAY.toSeconds() * 2_000);
            assertThat(failed.get()).isGreaterThan(begun.get() * 9 / 10);
            assertThat(Duration.ofNanos(nanos.sum() / failed.get())).isLessThan(timeout.multipliedBy(2));
            assertThat(Duration.ofNanos(slowest.get())).isLessThan(timeout.multipliedBy(6));
            redis.restart();
            Mono.defer(() -> rig.producer.queue(Change.of("again").withProducerId("again")))
                    .retryWhen(Retry.fixedDelay(100, Duration.ofMillis(20)))
                    .block(SOON);
            Eventually.await("read again", SOON, () -> seen.records().contains("again"));
        }
    }

    @Test
    @Tag("P6")
    @DisplayName("P6 a delayer and a trimmer that run go on by themselves within 2 s after Redis is back")
    void delayerAndTrimmer() {
        try (OwnRedis redis = OwnRedis.startDurable();
                StreamRig rig = hasty(redis, Duration.ofMillis(500))) {
            Queue<Trimmer.Report> reports = new ConcurrentLinkedQueue<>();
            rig.run(rig.mill.streams().delayer("s", Duration.ofMillis(100)).run());
            rig.run(rig.mill
                    .streams()
                    .trimmer("s")
                    .every(Duration.ofMillis(200))
                    .reports()
                    .doOnNext(reports::add)
                    .then());
            Seen seen = rig.collect(rig.consumer("c"));
            for (int round = 0; round < 3; round++) {
                if (round > 0) {
                    redis.kill9();
                    Mono.delay(Duration.ofMillis(700)).block();
                    redis.restart();
                }
                long back = System.nanoTime();
                String record = "note" + round;
                Mono.defer(() -> rig.producer.delay(record))
                        .retryWhen(Retry.fixedDelay(200, Duration.ofMillis(20)))
                        .block(SOON);
                Eventually.await("moved and read", SOON, () -> seen.records().contains(record));
                assertThat(Duration.ofNanos(System.nanoTime() - back))
                        .as("round %s", round)
                        .isLessThan(Duration.ofSeconds(3)); // 2 s, and what a busy machine adds
                Eventually.await("trimmed", SOON, () -> rig.stream.size().block(SOON) == 0);
            }
            assertThat(reports.stream().mapToLong(Trimmer.Report::removed).sum())
                    .isGreaterThanOrEqualTo(3);
            int before = reports.size();
            Mono.delay(Duration.ofSeconds(1)).block();
            assertThat(reports.size() - before).as("one each 200 ms").isBetween(1, 6);
        }
    }

    @Test
    @Tag("L9")
    @DisplayName("L9 1,000 calls time out; after that every kind of call on a stream works")
    void manyTimeouts() {
        try (OwnRedis redis = OwnRedis.start("--enable-debug-command", "yes");
                StreamRig rig = hasty(redis, Duration.ofMillis(200));
                StreamRig other = StreamRig.on(redis.uri(), "o")) {
            rig.queue("warm");
            AtomicInteger timeouts = new AtomicInteger();
            for (int round = 0; timeouts.get() < 1_000 && round < 10; round++) {
                Disposable sleep =
                        other.run(other.mill.redis().call("DEBUG", "SLEEP", "1").then());
                Flux.range(0, 400)
                        .flatMap(
                                i -> rig.mill
                                        .redis()
                                        .call("XLEN", rig.key("log"))
                                        .doOnError(error -> timeouts.incrementAndGet())
                                        .onErrorComplete(),
                                400)
                        .blockLast(SOON);
                Eventually.await("awake", SOON, sleep::isDisposed);
            }
            assertThat(timeouts).hasValueGreaterThanOrEqualTo(1_000);
            Seen seen = rig.collect(rig.consumer("c"));
            rig.queue("after");
            rig.producer.delay("note").block(SOON);
            assertThat(rig.mill.streams().delayer("s", Duration.ZERO).runOnce().block(SOON))
                    .isEqualTo(1);
            Eventually.await("all read", SOON, () -> seen.records().equals(List.of("warm", "after", "note")));
            Eventually.await("all committed", SOON, () -> rig.state("c").lag() == 0);
            assertThat(rig.mill.streams().trimmer("s").runOnce().block(SOON).removed())
                    .isEqualTo(3);
        }
    }

    @Test
    @Tag("L15")
    @DisplayName("L15 each batch is one read and one commit, however many entries it has; reads are not put together")
    void callsOfABatch() {
        try (OwnRedis redis = OwnRedis.start();
                StreamRig rig = StreamRig.on(redis.uri(), "o")) {
            EntryId last = rig.queue(300).get(299);
            long before = rig.calls("evalsha");
            List<Seen> all = new ArrayList<>();
            for (int i = 0; i < 3; i++) {
                all.add(rig.collect(rig.consumer("c" + i).batchSize(10)));
            }
            Eventually.await(
                    "all committed",
                    SOON,
                    () -> IntStream.range(0, 3)
                            .allMatch(i -> rig.offset("c" + i).equals(last)));
            assertThat(all).allSatisfy(seen -> assertThat(seen.batches).hasSize(30));
            // One that waits for each, and each may have met a signal once or twice.
            assertThat(rig.calls("xread")).isBetween(90L, 90L + 3 * 4);
            // Beside them each took a lock, looked around after each signal, and may have renewed the lock.
            assertThat(rig.calls("evalsha") - before).isBetween(90L, 90L + 3 * 15);
        }
    }

    @Test
    @Tag("L15")
    @DisplayName("L15 eight handlers of a batch share its commits: at most one for each handler, however many entries")
    void commitsOfHandlers() {
        try (OwnRedis redis = OwnRedis.start();
                StreamRig rig = StreamRig.on(redis.uri(), "o")) {
            EntryId last = rig.queue(2_000).get(1_999);
            long before = rig.calls("evalsha");
            rig.collect(rig.consumer("c").batchSize(200).concurrency(8));
            Eventually.await("all committed", SOON, () -> rig.offset("c").equals(last));
            assertThat(rig.calls("xread")).isBetween(10L, 10L + 4);
            assertThat(rig.calls("evalsha") - before).isBetween(10L, 10L * 8 + 15);
        }
    }

    @Test
    @Tag("L13")
    @DisplayName(
            "L13 connections of publish and subscribe are killed: who stands by takes over all the same, within a poll")
    void killedSubscriptions() {
        try (OwnRedis redis = OwnRedis.start();
                StreamRig rig = StreamRig.on(redis.uri(), "o");
                StreamRig other = StreamRig.on(redis.uri(), "o")) {
            for (int round = 0; round < 5; round++) {
                Seen leader = rig.collect(rig.consumer("c"));
                rig.queue("a" + round);
                String first = "a" + round;
                Eventually.await("a leader", SOON, () -> leader.records().contains(first));
                Eventually.await("committed", SOON, () -> rig.state("c").lag() == 0);
                Seen standby = other.collect(other.consumer("c"));
                Eventually.await(
                        "who stands by",
                        SOON,
                        () -> rig.raw("PUBSUB", "NUMSUB", rig.key("lock:c")).number(1) >= 2);
                rig.raw("CLIENT", "KILL", "TYPE", "pubsub");
                leader.stop.dispose();
                long left = System.nanoTime();
                rig.queue("b" + round);
                String next = "b" + round;
                Eventually.await("taken over", SOON, () -> standby.records().contains(next));
                assertThat(Duration.ofNanos(System.nanoTime() - left))
                        .as("round %s", round)
                        .isLessThan(Duration.ofSeconds(3));
                standby.stop.dispose();
                Eventually.await("nobody", SOON, () -> rig.number("EXISTS", rig.key("lock:c")) == 0);
            }
        }
    }

    @Test
    @Tag("P15")
    @Tag("P6")
    @DisplayName(
            "P15 P6 the master dies under load: reading goes on in 2 s; only what had not reached the replica is lost, and is told")
    void failover() {
        try (RedisSentinelFixture sentinel = RedisSentinelFixture.start();
                StreamRig rig = StreamRig.on(RedisSettings.builder(sentinel.uri())
                        .namespace("o")
                        .commandTimeout(Duration.ofSeconds(1))
                        .build())) {
            Queue<Gap> gaps = new ConcurrentLinkedQueue<>();
            Map<Object, EntryId> handled = new ConcurrentHashMap<>();
            AtomicLong lastHandled = new AtomicLong();
            rig.run(rig.consumer("c", ConsumerOptions.builder().onGap(gap -> Mono.fromRunnable(() -> gaps.add(gap))))
                    .consume(batch -> Mono.fromRunnable(() -> {
                        batch.entries().forEach(entry -> handled.put(entry.get("id"), entry.id()));
                        lastHandled.set(System.nanoTime());
                    })));
            Map<Object, EntryId> acknowledged = new ConcurrentHashMap<>();
            Map<Object, Long> when = new ConcurrentHashMap<>();
            AtomicInteger attempted = new AtomicInteger();
            Disposable load = Flux.<Integer>generate(sink -> sink.next(attempted.getAndIncrement()))
                    .flatMap(
                            n -> rig.producer
                                    .queue(Change.of(n).withProducerId("p" + n))
                                    .doOnNext(id -> {
                                        acknowledged.put(n, id);
                                        when.put(n, System.nanoTime());
                                    })
                                    .onErrorResume(error ->
                                            Mono.delay(Duration.ofMillis(20)).then(Mono.empty())),
                            64)
                    .subscribe();
            Eventually.await("load", SOON, () -> handled.size() > 2_000);
            long killed = System.nanoTime();
            sentinel.firstMaster().kill9();
            Eventually.await("promoted", Duration.ofSeconds(30), sentinel::isPromoted);
            long promoted = System.nanoTime();
            Stopwatch sincePromotion = Stopwatch.started();
            Eventually.await("reading on", SOON, () -> lastHandled.get() - promoted > 0);
            assertThat(sincePromotion.elapsed()).isLessThan(Duration.ofSeconds(2));
            List<EntryId> offsets = new ArrayList<>();
            int then = acknowledged.size();
            Eventually.await("going on", Duration.ofSeconds(30), () -> {
                offsets.add(rig.offset("c"));
                return acknowledged.size() > then + 2_000;
            });
            load.dispose();
            EntryId end = rig.producer.queue("end").block(SOON);
            Eventually.await("committed", SOON, () -> rig.offset("c").equals(end));
            assertThat(offsets).isSorted();

            Map<Object, EntryId> there = new HashMap<>();
            rig.stream
                    .entries(EntryId.ZERO)
                    .doOnNext(entry -> there.put(entry.get("id"), entry.id()))
                    .blockLast(SOON);
            assertThat(handled.keySet())
                    .as("nothing that is there passed unseen")
                    .containsAll(there.keySet());
            Set<Object> lost = new HashSet<>(acknowledged.keySet());
            lost.removeAll(there.keySet());
            assertThat(lost)
                    .as("lost is only what was acknowledged in the last second before the end")
                    .allMatch(
                            n -> when.get(n) - killed > -Duration.ofSeconds(1).toNanos() && when.get(n) - promoted < 0);
            lost.removeAll(handled.keySet());
            assertThat(lost.isEmpty() || !gaps.isEmpty())
                    .as("%s of %s lost unread, told: %s", lost.size(), acknowledged.size(), gaps)
                    .isTrue();
            assertThat(gaps).allMatch(gap -> gap.reason() == Gap.Reason.RESET);
        }
    }
}
