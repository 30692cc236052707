package io.millrace.stream;

import static io.millrace.stream.StreamRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.redis.RedisSettings;
import io.millrace.stream.StreamRig.Seen;
import io.millrace.testing.Eventually;
import io.millrace.testing.OwnRedis;
import io.millrace.testing.RedisSentinelFixture;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/** Redis away, slow, or another one, while streams are written and read: L5, L9, L13, L15, P15. */
@Timeout(120)
class StreamOutagesIT {

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
    @DisplayName("L5 Redis is away while 5,000 changes a second are produced: callers fail fast, the heap stays flat")
    void producingWhileAway() {
        Duration timeout = Duration.ofMillis(500);
        try (OwnRedis redis = OwnRedis.startDurable();
                StreamRig rig = hasty(redis, timeout)) {
            rig.queue("warm");
            redis.kill9();
            AtomicInteger begun = new AtomicInteger();
            AtomicInteger failed = new AtomicInteger();
            AtomicLong slowest = new AtomicLong();
            Disposable load = Flux.interval(Duration.ofMillis(10), Schedulers.boundedElastic())
                    .onBackpressureDrop()
                    .flatMap(
                            tick -> Flux.range(0, 50).flatMap(i -> {
                                long start = System.nanoTime();
                                begun.incrementAndGet();
                                return rig.producer
                                        .queue(tick * 50 + i)
                                        .doOnError(error -> failed.incrementAndGet())
                                        .doFinally(
                                                end -> slowest.accumulateAndGet(System.nanoTime() - start, Math::max))
                                        .onErrorComplete();
                            }),
                            Integer.MAX_VALUE)
                    .subscribe();
            Eventually.await("some failed", SOON, () -> failed.get() > 5_000);
            long before = heap();
            int at = begun.get();
            Eventually.await("more", Duration.ofSeconds(20), () -> begun.get() > at + 20_000);
            assertThat(heap() - before).isLessThan(24L << 20);
            load.dispose();
            assertThat(failed.get()).isGreaterThan(begun.get() / 2);
            assertThat(Duration.ofNanos(slowest.get())).isLessThan(timeout.multipliedBy(6));
            redis.restart();
            Eventually.await("back", SOON, () -> {
                try {
                    return rig.producer.queue("again").block(SOON) != null;
                } catch (RuntimeException e) {
                    return false;
                }
            });
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
    @DisplayName("L15 reads are not put together: each batch is one read of its own, no more and no fewer")
    void readsAreNotBatched() {
        try (OwnRedis redis = OwnRedis.start();
                StreamRig rig = StreamRig.on(redis.uri(), "o")) {
            rig.queue(300);
            Disposable[] consumers = new Disposable[3];
            List<Seen> all = new ArrayList<>();
            for (int i = 0; i < consumers.length; i++) {
                all.add(rig.collect(rig.consumer("c" + i).batchSize(10)));
            }
            Eventually.await(
                    "all read",
                    SOON,
                    () -> all.stream().allMatch(seen -> seen.records().size() == 300));
            assertThat(all).allSatisfy(seen -> assertThat(seen.batches).hasSize(30));
            // One that waits for each, and each may have met a signal once or twice.
            assertThat(rig.calls("xread")).isBetween(90L, 90L + 3 * 4);
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
    @DisplayName(
            "P15 the master dies under load: what was acknowledged and is not handled is told as a gap, nothing else comes")
    void failover() {
        try (RedisSentinelFixture sentinel = RedisSentinelFixture.start();
                StreamRig rig = StreamRig.on(RedisSettings.builder(sentinel.uri())
                        .namespace("o")
                        .commandTimeout(Duration.ofSeconds(1))
                        .build())) {
            Queue<Object> handled = new ConcurrentLinkedQueue<>();
            Queue<Gap> gaps = new ConcurrentLinkedQueue<>();
            Queue<Object> acknowledged = new ConcurrentLinkedQueue<>();
            AtomicInteger attempted = new AtomicInteger();
            rig.run(rig.consumer("c", ConsumerOptions.builder().onGap(gap -> Mono.fromRunnable(() -> gaps.add(gap))))
                    .consume(batch ->
                            Mono.fromRunnable(() -> batch.entries().forEach(entry -> handled.add(entry.get("id"))))));
            Disposable load = Flux.<Integer>generate(sink -> sink.next(attempted.getAndIncrement()))
                    .flatMap(
                            n -> rig.producer
                                    .queue(Change.of(n).withProducerId("p" + n))
                                    .doOnNext(id -> acknowledged.add(n))
                                    .onErrorResume(error ->
                                            Mono.delay(Duration.ofMillis(20)).then(Mono.empty())),
                            64)
                    .subscribe();
            Eventually.await("load", SOON, () -> handled.size() > 2_000);
            sentinel.firstMaster().kill9();
            Eventually.await("promoted", Duration.ofSeconds(30), sentinel::isPromoted);
            int then = acknowledged.size();
            Eventually.await("going on", Duration.ofSeconds(30), () -> acknowledged.size() > then + 2_000);
            load.dispose();
            EntryId end = rig.producer.queue("end").block(SOON);
            Eventually.await("all read", SOON, () -> handled.contains("end"));
            Eventually.await("committed", SOON, () -> rig.offset("c").equals(end));
            Set<Object> missing = new HashSet<>(acknowledged);
            missing.removeAll(new HashSet<>(handled));
            if (!missing.isEmpty()) {
                assertThat(gaps)
                        .as("%s of %s lost", missing.size(), acknowledged.size())
                        .isNotEmpty();
            }
            Set<Object> sent =
                    new HashSet<>(IntStream.range(0, attempted.get()).boxed().toList());
            sent.add("end");
            assertThat(sent).containsAll(handled);
        }
    }
}
