package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.millrace.Event;
import io.millrace.MillraceException;
import io.millrace.RedisUnavailableException;
import io.millrace.redis.RedisSettings;
import io.millrace.testing.Eventually;
import io.millrace.testing.FaultProxy;
import io.millrace.testing.FaultProxy.Direction;
import io.millrace.testing.OwnRedis;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;
import reactor.util.retry.Retry;

/** Redis, or the way to it, is away for a while: S12, L5, F3, F9 to F11. */
class OutageIT {

    private OwnRedis redis;
    private FaultProxy proxy;
    private QueueRig admin;
    private QueueRig rig; // through the proxy
    private Disposable running = () -> {};
    private final Checker checker = new Checker().unordered().lossy();

    @BeforeEach
    void start() {
        // With everysec, what is confirmed while an fsync runs is written only after it: kill -9 may lose that.
        redis = OwnRedis.startDurable("--appendfsync", "always");
        proxy = FaultProxy.to(redis.uri());
        admin = QueueRig.on(redis.uri(), "o");
        rig = QueueRig.on(proxy.uri(), "o");
    }

    @AfterEach
    void stop() {
        running.dispose();
        rig.close();
        admin.close();
        proxy.close();
        redis.close();
    }

    @Test
    @Tag("F21")
    @DisplayName(
            "F21 consuming is stopped while Redis hangs: what failed before is given back all the same, however many they were")
    void stoppedWhileRedisHangs() {
        admin.fill("a", 60);
        Sinks.Empty<Void> fail = Sinks.empty();
        AtomicInteger begun = new AtomicInteger();
        running = rig.queue
                .consume(
                        message -> fail.asMono()
                                .doOnSubscribe(begin -> begun.incrementAndGet())
                                .then(Mono.error(new IllegalStateException("failed"))),
                        ConsumeOptions.builder().concurrency(60).build())
                .subscribe();
        Eventually.await("all being handled", QueueRig.SOON, () -> begun.get() == 60);
        redis.pause();
        fail.tryEmitEmpty(); // more calls than may be out at a time
        running.dispose();
        redis.resume();
        Eventually.await("nothing leased", Duration.ofSeconds(5), () -> admin.inFlight() == 0);
    }

    @Test
    @Tag("F21")
    @DisplayName(
            "F21 consuming is stopped when a message is done whose lease is just being extended: it is done all the same")
    void stoppedWhileExtending() {
        admin.fill("a", 1);
        Sinks.Empty<Void> done = Sinks.empty();
        proxy.latency(FaultProxy.Direction.DOWN, Duration.ofMillis(300), Duration.ZERO);
        running = rig.queue
                .consume(
                        message -> done.asMono(),
                        ConsumeOptions.builder()
                                .lease(QueueRig.LONG
                                        .mutate()
                                        .lease(Duration.ofMillis(1_500))
                                        .build())
                                .build())
                .subscribe();
        Eventually.await("an extension", QueueRig.SOON, () -> admin.number("HLEN", admin.key("extended")) == 1);
        done.tryEmitEmpty(); // 300 ms before word of it is here
        running.dispose();
        Eventually.await(
                "the acknowledgement",
                Duration.ofSeconds(1),
                () -> admin.facets().isEmpty());
    }

    @Test
    @Tag("S12")
    @DisplayName("S12 the reply of a pull is lost: the caller sees an error, and what was leased comes again")
    void lostReplyOfAPull() {
        rig.deliver("a", "1", "2");
        LeaseOptions lease = LONG.mutate().lease(Duration.ofMillis(500)).build();
        assertThat(rig.pullIds(1)).containsExactly("1"); // the connection is warm
        proxy.swallowThenReset(Direction.DOWN, Duration.ofMillis(50));
        RedisUnavailableException error =
                catchThrowableOfType(RedisUnavailableException.class, () -> rig.lease(1, lease));
        assertThat(error).isNotNull();
        assertThat(error.indeterminate()).isTrue();
        assertThat(admin.inFlight()).isEqualTo(1);
        Delivery again = rig.next(lease);
        assertThat(again.message().id()).isEqualTo("2");
        assertThat(again.message().attempt()).isEqualTo(2);
    }

    @Test
    @Tag("S12")
    @DisplayName("S12 the reply of a pull at most once is lost: an error, not an empty answer, and nothing comes twice")
    void lostReplyOfAPullAtMostOnce() {
        rig.fill("a", 20);
        assertThat(rig.pullIds(1)).containsExactly("a-0"); // the connection is warm
        for (int i = 1; i <= 6; i++) { // the connection may be back before a repetition, or not
            rig.mill.queues().register("q", ".*").block(SOON); // what a pull has to know of the queue is known
            proxy.swallowThenReset(Direction.DOWN, Duration.ofMillis(20));
            lost(i < 6 ? rig.queue.pull() : rig.queue.pull(4).collectList());
            Eventually.await("the connection", SOON, () -> !rig.raw("PING").isNull(0));
        }
        assertThat(rig.pullIds(20)).hasSize(10).startsWith("a-10").endsWith("a-19");
    }

    private static void lost(Mono<?> pull) {
        RedisUnavailableException error = catchThrowableOfType(RedisUnavailableException.class, () -> pull.block(SOON));
        assertThat(error).isNotNull();
        assertThat(error.indeterminate()).isTrue();
    }

    @Test
    @DisplayName("Redis hangs while a publisher is delivered: it is asked for no more than may be under way")
    void backpressure() {
        commandsMayTake(Duration.ofSeconds(5));
        rig.deliver("a", "0"); // the connection is warm
        AtomicLong askedFor = new AtomicLong();
        AtomicInteger made = new AtomicInteger();
        redis.pause();
        running = rig.mill
                .deliver(Flux.range(0, 2_000)
                        .map(i -> event("a", "m" + made.getAndIncrement()))
                        .doOnRequest(askedFor::addAndGet))
                .subscribe();
        Eventually.await("a full pipe", SOON, () -> made.get() == Queues.DELIVER_CONCURRENCY);
        Mono.delay(Duration.ofMillis(500)).block();
        assertThat(made).hasValue(Queues.DELIVER_CONCURRENCY);
        assertThat(askedFor).hasValue(Queues.DELIVER_CONCURRENCY);
        redis.resume();
        Eventually.await("all of them", SOON, () -> admin.waiting() == 2_001);
    }

    private void commandsMayTake(Duration timeout) {
        rig.close();
        rig = QueueRig.on(
                RedisSettings.builder(proxy.uri())
                        .namespace("o")
                        .commandTimeout(timeout)
                        .build(),
                QueueSettings.defaults());
    }

    @Test
    @Tag("S12")
    @DisplayName("S12 the same happens to a receiver: it goes on by itself")
    void lostReplyOfAReceiver() {
        LeaseOptions lease = LONG.mutate().lease(Duration.ofMillis(500)).build();
        running = rig.queue
                .receive(lease)
                .flatMap(one -> {
                    checker.handedOut(one.message(), one.receipt());
                    return checker.acknowledging(one.receipt(), one.ack());
                })
                .subscribe();
        checker.delivering(event("a", "0"), rig.mill.deliver(event("a", "0"))).block(SOON);
        Eventually.await("the first", SOON, checker::allFinished);
        proxy.swallowThenReset(Direction.DOWN, Duration.ofMillis(100));
        checker.delivering(event("a", "1"), admin.mill.deliver(event("a", "1"))).block(SOON);
        Eventually.await(
                "the other", SOON, () -> checker.allFinished() && admin.facets().isEmpty());
        assertThat(checker.check().acknowledged()).isEqualTo(2);
    }

    @Test
    @Tag("F11")
    @DisplayName("F11 replies of deliveries are lost: told as indeterminate, also when Redis stays away; stored once")
    void lostReplyOfADelivery() {
        rig.deliver("a", "0");
        proxy.swallow(Direction.DOWN);
        Mono<Delivered> delivery = rig.mill.deliver(event("a", "1"));
        Mono<Long> cut =
                Mono.delay(Duration.ofMillis(300), Schedulers.boundedElastic()).doOnNext(tick -> proxy.refuse());
        Throwable error =
                Mono.zip(delivery.materialize(), cut).block(SOON).getT1().getThrowable();
        assertThat(error)
                .isInstanceOfSatisfying(
                        RedisUnavailableException.class,
                        e -> assertThat(e.indeterminate()).isTrue());
        proxy.pass();
        proxy.accept();
        Delivered done = Mono.defer(() -> rig.mill.deliver(event("a", "1")))
                .retryWhen(Retry.fixedDelay(50, Duration.ofMillis(50)))
                .block(SOON);
        assertThat(done.duplicateIn()).containsExactly("q");
        assertThat(rig.pullIds(10)).containsExactly("0", "1");
    }

    @Test
    @Tag("F11")
    @DisplayName("F11 the line is dead without a word: noticed within 12 s, although it looks open")
    void halfOpen() {
        Queue<String> got = new ConcurrentLinkedQueue<>();
        // Short: a pull that was on the line runs when it moves again, for a receiver that is gone.
        running = rig.queue
                .receive(LONG.mutate().lease(Duration.ofSeconds(1)).build())
                .flatMap(one -> one.ack().doOnNext(done -> got.add(one.message().id())))
                .subscribe();
        rig.deliver("a", "0");
        Eventually.await("the first", SOON, () -> got.contains("0"));
        proxy.stall();
        admin.deliver("a", "1");
        Eventually.await("no connection", Duration.ofSeconds(12), () -> proxy.connections() == 0 || dropped());
        proxy.pass();
        Eventually.await("the other", Duration.ofSeconds(12), () -> got.contains("1"));
    }

    /** Whether our side gave its connections up; the proxy, stalled, does not read that. */
    private boolean dropped() {
        return catchThrowableOfType(
                                MillraceException.class,
                                () -> rig.mill.redis().call("PING").block(SOON))
                        instanceof RedisUnavailableException unavailable
                && !unavailable.indeterminate();
    }

    @Test
    @Tag("L5")
    @DisplayName("L5 Redis is away for 6 s under 5,000 deliveries a second: callers fail at once, the heap stays flat")
    void callersFailFast() {
        rig.deliver("a", "0");
        redis.kill9();
        List<Long> millis = Collections.synchronizedList(new ArrayList<>());
        AtomicInteger unexpected = new AtomicInteger();
        long before = usedHeap();
        Flux.interval(Duration.ofMillis(10))
                .onBackpressureDrop()
                .take(Duration.ofSeconds(6))
                .concatMap(tick -> Flux.range(0, 50).flatMap(i -> {
                    long start = System.nanoTime();
                    Event one = event("a", "x" + tick + "-" + i).withData("x".repeat(1_000));
                    return checker.delivering(one, rig.mill.deliver(one))
                            .doOnNext(done -> unexpected.incrementAndGet())
                            .onErrorResume(MillraceException.class, error -> Mono.empty())
                            .doFinally(end -> millis.add(
                                    Duration.ofNanos(System.nanoTime() - start).toMillis()));
                }))
                .blockLast(Duration.ofSeconds(20));
        assertThat(unexpected).hasValue(0);
        assertThat(millis).hasSizeGreaterThan(10_000);
        Collections.sort(millis);
        assertThat(millis.get(millis.size() / 2)).isLessThan(50);
        assertThat(millis.get(millis.size() - 1)).isLessThan(5_000);
        assertThat(usedHeap() - before).isLessThan(40L << 20);
        redis.restart();
        Mono.defer(() -> rig.mill.deliver(event("a", "1")))
                .retryWhen(Retry.fixedDelay(100, Duration.ofMillis(20)))
                .block(Duration.ofSeconds(2));
        assertThat(rig.pullIds(100)).containsExactly("0", "1"); // nothing of what failed was sent later
    }

    @Test
    @Tag("F3")
    @DisplayName(
            "F3 kill -9 of Redis under load, twice, with appendfsync always: nothing confirmed is lost, nothing is there twice")
    void killedRedis() {
        for (int round = 0; round < 2; round++) {
            int from = round * 100_000;
            AtomicInteger next = new AtomicInteger(from);
            Mono<Void> kill = Mono.delay(Duration.ofSeconds(1), Schedulers.boundedElastic())
                    .doOnNext(tick -> redis.kill9())
                    .then();
            Flux.<Event>generate(sink -> sink.next(event("f" + next.get() % 5, "m" + next.getAndIncrement())))
                    .takeUntilOther(kill)
                    .flatMap(one -> checker.delivering(one, rig.mill.deliver(one)), 256)
                    .blockLast(SOON);
            redis.restart();
        }
        Eventually.await("the connection", SOON, () -> !rig.raw("PING").isNull(0));
        rig.queue
                .pull(Integer.MAX_VALUE)
                .doOnNext(message -> checker.handedOut(message, null))
                .blockLast(Duration.ofSeconds(30));
        Checker.Summary summary = checker.check();
        assertThat(summary.acknowledged()).isGreaterThan(1_000);
        assertThat(summary.duplicates()).isZero();
    }

    @Test
    @Tag("F9")
    @DisplayName("F9 every byte takes 50 ms each way: no lease of 1 s is lost, each message is handled once")
    void latency() {
        proxy.latency(Duration.ofMillis(50));
        checker.filling(admin, "a", 200);
        running = rig.queue
                .consume(
                        checker.handling(message ->
                                Mono.delay(Duration.ofMillis(message.id().endsWith("7") ? 1_500 : 20))),
                        ConsumeOptions.builder()
                                .lease(LONG.mutate()
                                        .lease(Duration.ofSeconds(1))
                                        .build())
                                .concurrency(32)
                                .build())
                .subscribe();
        Eventually.await(
                "all", SOON, () -> checker.allFinished() && admin.facets().isEmpty());
        assertThat(checker.check().duplicates()).isZero();
    }

    private static long usedHeap() {
        System.gc();
        Runtime runtime = Runtime.getRuntime();
        return runtime.totalMemory() - runtime.freeMemory();
    }
}
