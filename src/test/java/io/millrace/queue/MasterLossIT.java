package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;

import io.lettuce.core.cluster.SlotHash;
import io.millrace.RedisUnavailableException;
import io.millrace.redis.RedisSettings;
import io.millrace.testing.Eventually;
import io.millrace.testing.OwnRedis;
import io.millrace.testing.RedisClusterFixture;
import io.millrace.testing.Stopwatch;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * F6: a cluster loses the master that has one queue and the registrations. Another queue's producers, in the same process, and its
 * consumers notice next to nothing; the queue that was there goes on by itself once a replica was promoted.
 */
@Tag("F6")
@Timeout(120)
class MasterLossIT {

    private static final Logger log = LoggerFactory.getLogger(MasterLossIT.class);

    /** Longer than any answer is under way between master and replica here. */
    private static final Duration TAIL = Duration.ofSeconds(1);

    /** From the loss to the promotion. */
    private static final Duration AWAY = Duration.ofSeconds(2);

    /** How long nothing may be stored or handed out in the queue elsewhere, besides what the machine stood still. */
    private static final Duration PAUSE = Duration.ofSeconds(1);

    /** One queue, who fills it and who empties it. */
    private static final class Lane {

        final String queue;
        final String environment;
        final Checker checker;
        final AtomicInteger ids = new AtomicInteger();
        final AtomicInteger errors = new AtomicInteger();
        final Pace stored = new Pace();
        final Pace handed = new Pace();

        Lane(String queue, String environment, Checker checker) {
            this.queue = queue;
            this.environment = environment;
            this.checker = checker;
        }

        void register(QueueRig rig) {
            rig.mill.queues().register(queue, environment + "\\d:.*").block(SOON);
        }

        Disposable produce(QueueRig rig) {
            return Flux.interval(Duration.ofMillis(5))
                    .onBackpressureDrop()
                    .concatMap(tick -> {
                        int n = ids.getAndIncrement();
                        return deliver(rig, environment + n % 5, queue + "-" + n);
                    })
                    .subscribe();
        }

        private Mono<Delivered> deliver(QueueRig rig, String facet, String id) {
            checker.attempted(event(facet, id));
            return rig.mill
                    .deliver(event(facet, id))
                    .doOnNext(done -> {
                        checker.acknowledged(id);
                        stored.step();
                    })
                    .onErrorResume(RedisUnavailableException.class, error -> {
                        errors.incrementAndGet();
                        log.info("{}: {}", id, error.getMessage());
                        if (error.indeterminate()) {
                            checker.indeterminate(id);
                        } else {
                            checker.refused(id);
                        }
                        return Mono.empty();
                    });
        }

        Disposable consume(QueueRig rig) {
            return rig.mill
                    .queue(queue)
                    .receive(LONG.mutate().lease(Duration.ofSeconds(2)).build())
                    .flatMap(
                            one -> {
                                Receipt receipt = one.receipt();
                                checker.handedOut(one.message(), receipt);
                                handed.step();
                                return checker.acknowledging(receipt, one.ack());
                            },
                            32,
                            1)
                    .subscribe();
        }
    }

    /** The longest time between two steps. */
    private static final class Pace {

        private final AtomicLong last = new AtomicLong(System.nanoTime());
        private final AtomicLong longest = new AtomicLong();

        void step() {
            long now = System.nanoTime();
            longest.accumulateAndGet(now - last.getAndSet(now), Math::max);
        }

        void begin() {
            longest.set(0);
        }

        boolean since(long nanos) {
            return last.get() - nanos > 0;
        }

        Duration longest() {
            return Duration.ofNanos(Math.max(longest.get(), System.nanoTime() - last.get()));
        }
    }

    @ParameterizedTest(name = "F6 P15 {0}: others are not held up, and it goes on by itself soon after the promotion")
    @CsvSource({"killed, 2000", "hung, 8000"})
    @DisplayName("F6 P15 the master of the registrations and of a queue is lost")
    void masterLost(String how, long resumedMs) {
        try (RedisClusterFixture cluster = RedisClusterFixture.start(1, "--cluster-require-full-coverage", "no")) {
            String address = cluster.uri().replaceFirst("^redis:", "redis-cluster:");
            RedisSettings settings = RedisSettings.of(address);
            try (QueueRig producing = QueueRig.joining(settings, QueueSettings.defaults());
                    QueueRig consuming = QueueRig.joining(settings, QueueSettings.defaults())) {
                int registry = cluster.masterOf(SlotHash.getSlot(new String(
                        producing.mill.redis().keys().single("registry", "version"), StandardCharsets.UTF_8)));
                Lane there = new Lane(
                        queue(cluster, i -> i == registry),
                        "a",
                        new Checker().unordered().lossy());
                Lane elsewhere = new Lane(queue(cluster, i -> i != registry), "b", new Checker());
                there.register(producing);
                elsewhere.register(producing);
                Disposable.Composite work = Disposables.composite();
                Disposable.Composite source = Disposables.composite();
                for (Lane lane : new Lane[] {there, elsewhere}) {
                    work.add(lane.consume(consuming));
                    source.add(lane.produce(producing));
                    Eventually.await("load", SOON, () -> lane.checker.delivered() > 100);
                }

                OwnRedis victim = cluster.node(registry);
                elsewhere.stored.begin();
                elsewhere.handed.begin();
                long harmed = System.nanoTime();
                Stopwatch sinceHarm = Stopwatch.started();
                if (how.equals("killed")) {
                    victim.kill9();
                } else {
                    victim.pause();
                }
                Mono.delay(AWAY).block();
                cluster.promote(3 + registry);
                long promoted = System.nanoTime();
                Stopwatch sincePromotion = Stopwatch.started();
                there.checker.failedOver(Duration.ofNanos(promoted - harmed).plus(TAIL));
                Eventually.await(
                        "deliveries and messages again",
                        SOON,
                        () -> there.stored.since(promoted) && there.handed.since(promoted));
                Duration resumed = sincePromotion.elapsed();
                Duration pause = PAUSE.plus(sinceHarm.stalled());
                Duration stored = elsewhere.stored.longest();
                Duration handed = elsewhere.handed.longest();
                source.dispose();
                Eventually.await(
                        "all of them",
                        Duration.ofSeconds(20),
                        () -> elsewhere.checker.allFinished()
                                && consuming.mill.queue(there.queue).length().block(SOON) == 0
                                && consuming
                                        .mill
                                        .queue(there.queue)
                                        .facets()
                                        .collectList()
                                        .block(SOON)
                                        .isEmpty());
                work.dispose();
                log.info(
                        "{}: away {} ms, resumed {} ms later, {} failed calls there, lost of the tail {}, {}; elsewhere {} failed, longest"
                                + " pause of producers {} ms, of consumers {} ms, {}",
                        how,
                        Duration.ofNanos(promoted - harmed).toMillis(),
                        resumed.toMillis(),
                        there.errors.get(),
                        there.checker.lostTail().size(),
                        there.checker.check(),
                        elsewhere.errors.get(),
                        stored.toMillis(),
                        handed.toMillis(),
                        elsewhere.checker.check());
                assertThat(resumed).isLessThan(Duration.ofMillis(resumedMs)); // who is hung is found out by timeouts
                assertThat(elsewhere.errors).hasValue(0);
                assertThat(stored).isLessThan(pause);
                assertThat(handed).isLessThan(pause);
            }
        }
    }

    private static String queue(RedisClusterFixture cluster, IntPredicate master) {
        return IntStream.range(0, 100)
                .mapToObj(i -> "q" + i)
                .filter(name -> master.test(cluster.masterOf(SlotHash.getSlot("millrace:queue:{" + name + "/0}:"))))
                .findFirst()
                .orElseThrow();
    }
}
