package io.millrace.lock;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.redis.RedisSettings;
import io.millrace.redis.Reply;
import io.millrace.testing.Eventually;
import io.millrace.testing.FaultProxy;
import io.millrace.testing.OwnRedis;
import io.millrace.testing.Stopwatch;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;

/** Who holds a lock, for how long, and who is next: R3, R4, P23, L8, F25. */
class LockIT {

    private static final Duration SOON = Duration.ofSeconds(20);

    private OwnRedis redis;
    private Millrace mill;
    private Millrace other;
    private final Disposable.Composite running = Disposables.composite();

    @BeforeEach
    void start() {
        redis = OwnRedis.start();
        mill = open(redis.uri());
        other = open(redis.uri());
    }

    @AfterEach
    void stop() {
        running.dispose();
        mill.shutdown().block(SOON);
        other.shutdown().block(SOON);
        redis.close();
    }

    private static Millrace open(String uri) {
        return Millrace.connect(
                MillraceSettings.of(RedisSettings.builder(uri).namespace("lk").build()));
    }

    private static Lock of(Millrace mill, int leaseMs) {
        return mill.lock("l").lease(Duration.ofMillis(leaseMs));
    }

    private Reply raw(String command, Object... words) {
        return Reply.of(Objects.requireNonNull(
                mill.redis().call(command, words).defaultIfEmpty(List.of()).block(SOON)));
    }

    private static String key(String part) {
        return "lk:lock:{l/0}:" + part;
    }

    @Test
    @DisplayName("one holder at a time; each gets a higher number, and only when the lock is free")
    void fence() {
        Lease first = of(mill, 5_000).tryAcquire().block(SOON);
        assertThat(of(other, 5_000).tryAcquire().blockOptional(SOON)).isEmpty();
        assertThat(raw("GET", key("fence")).number(0)).isEqualTo(first.fence());
        assertThat(first.release().block(SOON)).isTrue();
        assertThat(first.release().block(SOON)).isFalse();
        Lease second = of(other, 5_000).tryAcquire().block(SOON);
        assertThat(second.fence()).isGreaterThan(first.fence());
        assertThat(first.renew().block(SOON)).isFalse();
        assertThat(first.release().block(SOON)).isFalse();
        assertThat(of(mill, 5_000).tryAcquire().blockOptional(SOON)).isEmpty();
    }

    @Test
    @Tag("F25")
    @DisplayName("F25 numbers rise also when Redis lost all it knew")
    void fenceAfterDataLoss() {
        Lease before = of(mill, 5_000).tryAcquire().block(SOON);
        redis.restart();
        Lease after = of(mill, 5_000).acquire().block(SOON);
        assertThat(after.fence()).isGreaterThan(before.fence());
    }

    @Test
    @Tag("R3")
    @DisplayName("R3 renewing a lock that was stolen does not extend the thief's lease, and the loser is told")
    void renewalChecksTheOwner() {
        AtomicReference<Lease> held = new AtomicReference<>();
        StepVerifier.create(of(mill, 600).whileHeld(lease -> {
                    held.set(lease);
                    return Mono.never();
                }))
                .then(() -> {
                    Eventually.await("the lock", SOON, () -> held.get() != null);
                    raw("SET", key("owner"), "thief", "PX", "3000");
                })
                .expectError(LeaseLostException.class)
                .verify(Duration.ofSeconds(2));
        assertThat(raw("PTTL", key("owner")).number(0)).isBetween(1L, 3_000L);
        assertThat(raw("GET", key("owner")).text(0)).isEqualTo("thief");
    }

    @Test
    @Tag("R4")
    @Tag("L10")
    @DisplayName("R4 L10 a shutdown right after a cancel waits for the release, also by a server that lost its scripts")
    void releasedBeforeTheEnd() {
        for (int round = 0; round < 10; round++) {
            Millrace leaving = open(redis.uri());
            AtomicInteger began = new AtomicInteger();
            Disposable holder = of(leaving, 60_000)
                    .whileHeld(lease -> Mono.never().doOnSubscribe(begun -> began.incrementAndGet()))
                    .subscribe();
            Eventually.await("the holder", SOON, () -> began.get() == 1);
            raw("SCRIPT", "FLUSH");
            holder.dispose();
            leaving.shutdown().block(SOON);
            assertThat(raw("EXISTS", key("owner")).number(0))
                    .as("round %s", round)
                    .isZero();
        }
    }

    @Test
    @Tag("R4")
    @DisplayName("R4 whoever waits has the lock within 200 ms of its release, however it was released")
    void releaseWakesTheNext() {
        for (int round = 0; round < 20; round++) {
            AtomicLong got = new AtomicLong();
            AtomicInteger began = new AtomicInteger();
            Disposable holder = of(mill, 5_000)
                    .whileHeld(lease -> Mono.never().doOnSubscribe(begun -> began.incrementAndGet()))
                    .subscribe();
            Eventually.await("the holder", SOON, () -> began.get() == 1);
            Disposable next = of(other, 5_000)
                    .whileHeld(lease -> Mono.never().doOnSubscribe(begun -> got.set(System.nanoTime())))
                    .subscribe();
            Eventually.await(
                    "a waiting one",
                    SOON,
                    () -> raw("PUBSUB", "NUMSUB", key("owner")).number(1) == 2);
            long released = System.nanoTime();
            Stopwatch sinceRelease = Stopwatch.started();
            holder.dispose();
            Eventually.await("the next", SOON, () -> got.get() != 0);
            assertThat(Duration.ofNanos(got.get() - released).minus(sinceRelease.stalled()))
                    .as("round %s", round)
                    .isLessThan(Duration.ofMillis(200));
            next.dispose();
            Eventually.await(
                    "a free lock", SOON, () -> raw("EXISTS", key("owner")).number(0) == 0);
        }
    }

    @Test
    @Tag("R4")
    @DisplayName("R4 the word of a release is lost: the poll finds the lock free within about a second")
    void pollAsANet() {
        Lease first = of(mill, 60_000).tryAcquire().block(SOON);
        Mono<Lease> waiting = of(other, 5_000).acquire();
        StepVerifier.create(waiting)
                .then(() -> {
                    Eventually.await(
                            "a waiting one",
                            SOON,
                            () -> raw("PUBSUB", "NUMSUB", key("owner")).number(1) == 1);
                    raw("DEL", key("owner")); // nobody says so
                })
                .assertNext(lease -> assertThat(lease.fence()).isGreaterThan(first.fence()))
                .expectComplete()
                .verify(Duration.ofSeconds(3));
    }

    @Test
    @Tag("P23")
    @DisplayName(
            "P23 every member misses its renewals while Redis hangs: one leads again within the lease of its return")
    void oneLeadsAgain() {
        AtomicInteger leading = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        AtomicInteger terms = new AtomicInteger();
        List<Disposable> members = Flux.just(mill, other, mill)
                .map(one -> Mono.defer(() -> of(one, 800)
                                .whileHeld(lease -> Mono.never()
                                        .doOnSubscribe(begun -> {
                                            terms.incrementAndGet();
                                            most.accumulateAndGet(leading.incrementAndGet(), Math::max);
                                        })
                                        .doFinally(end -> leading.decrementAndGet()))
                                .then())
                        .onErrorComplete()
                        .repeat()
                        .subscribe())
                .collectList()
                .block(SOON);
        running.addAll(members);
        Eventually.await("a leader", SOON, () -> leading.get() == 1);
        int before = terms.get();
        redis.pause();
        Eventually.await("nobody leads", SOON, () -> leading.get() == 0);
        redis.resume();
        Eventually.await("a leader again", Duration.ofSeconds(3), () -> leading.get() == 1 && terms.get() > before);
        assertThat(most).hasValue(1);
    }

    @Test
    @Tag("L8")
    @DisplayName("L8 work that blocks for three leases keeps its lock: renewals do not wait for user code")
    void renewalsGoOnWhileWorkBlocks() {
        Long fence = of(mill, 500)
                .whileHeld(lease -> Mono.fromCallable(() -> {
                            Eventually.await("time", SOON, new Passed(1_500)::hasPassed);
                            return lease.renew().block(SOON) ? lease.fence() : -1L;
                        })
                        .subscribeOn(Schedulers.boundedElastic()))
                .blockLast(SOON);
        assertThat(fence).isPositive();
        assertThat(of(other, 500).tryAcquire().block(SOON).fence()).isGreaterThan(fence);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 600})
    @DisplayName(
            "a holder that is cut off from Redis knows that its lease is over no later than the others, however late it heard that it has it")
    void cutOff(int lateMs) {
        try (FaultProxy proxy = FaultProxy.to(redis.uri())) {
            Millrace far = open(proxy.uri());
            far.redis().call("PING").block(SOON);
            AtomicReference<Lease> held = new AtomicReference<>();
            AtomicLong lost = new AtomicLong();
            proxy.latency(FaultProxy.Direction.DOWN, Duration.ofMillis(lateMs), Duration.ZERO);
            Disposable holder = of(far, 1_000)
                    .whileHeld(lease -> {
                        held.set(lease);
                        return Mono.never().doFinally(end -> lost.set(System.nanoTime()));
                    })
                    .subscribe(never -> {}, error -> assertThat(error).isInstanceOf(LeaseLostException.class));
            Eventually.await("the lock", SOON, () -> held.get() != null);
            proxy.stall();
            Lease next = of(other, 5_000).acquire().block(SOON);
            long taken = System.nanoTime();
            Stopwatch sinceTaken = Stopwatch.started();
            assertThat(next.fence()).isGreaterThan(held.get().fence());
            Eventually.await("the end", SOON, () -> lost.get() != 0);
            assertThat(Duration.ofNanos(lost.get() - taken).minus(sinceTaken.stalled()))
                    .isLessThan(Duration.ofMillis(150));
            proxy.pass();
            holder.dispose();
            far.shutdown().block(SOON);
        }
    }

    @Test
    @DisplayName("a lock that is on its way to somebody who cancels is free again at once")
    void cancelledOnItsWay() {
        try (FaultProxy proxy = FaultProxy.to(redis.uri())) {
            Millrace far = open(proxy.uri());
            far.redis().call("PING").block(SOON);
            proxy.latency(FaultProxy.Direction.DOWN, Duration.ofMillis(200), Duration.ZERO);
            for (Mono<Lease> taking :
                    List.of(of(far, 60_000).tryAcquire(), of(far, 60_000).acquire())) {
                Disposable taker = taking.subscribe();
                Eventually.await(
                        "the lock to be taken",
                        SOON,
                        () -> raw("EXISTS", key("owner")).number(0) == 1);
                taker.dispose();
                Eventually.await(
                        "a free lock",
                        Duration.ofSeconds(3),
                        () -> raw("EXISTS", key("owner")).number(0) == 0);
            }
            far.shutdown().block(SOON);
        }
    }

    @Test
    @DisplayName("whoever does not wait for a lock any more does not wait on unseen until it is free")
    void waitsNoLonger() {
        Lease held = of(mill, 60_000).tryAcquire().block(SOON);
        Disposable waiting = of(other, 60_000).acquire().subscribe();
        Eventually.await(
                "a waiting one",
                SOON,
                () -> raw("PUBSUB", "NUMSUB", key("owner")).number(1) == 1);
        waiting.dispose();
        Eventually.await(
                "nobody waiting",
                Duration.ofSeconds(3),
                () -> raw("PUBSUB", "NUMSUB", key("owner")).number(1) == 0);
        assertThat(held.renew().block(SOON)).isTrue();
    }

    @Test
    @DisplayName("a cancel while waiting leaves nothing behind: the lock is free for the next")
    void cancelledWaiting() {
        for (int i = 0; i < 200; i++) {
            of(mill, 60_000)
                    .acquire()
                    .doOnNext(lease -> lease.release().subscribe())
                    .takeUntilOther(Mono.delay(Duration.ofNanos(i * 10_000L)))
                    .block(SOON);
        }
        assertThat(of(other, 1_000).acquire().blockOptional(Duration.ofSeconds(2)))
                .isPresent();
    }

    @Test
    @DisplayName("a lease out of range is refused by name and value")
    void range() {
        assertThatThrownBy(() -> of(mill, 99)).hasMessage("lease must be PT0.1S to PT1H, was PT0.099S");
        assertThatThrownBy(() -> mill.lock("")).hasMessageContaining("needs a name");
    }

    /** Whether so much time is over since it was made. */
    private record Passed(long from, long ms) {

        Passed(long ms) {
            this(System.nanoTime(), ms);
        }

        boolean hasPassed() {
            return System.nanoTime() - from > Duration.ofMillis(ms).toNanos();
        }
    }
}
