package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;

import io.lettuce.core.cluster.SlotHash;
import io.millrace.Event;
import io.millrace.RedisRefusedException;
import io.millrace.RedisUnavailableException;
import io.millrace.redis.RedisSettings;
import io.millrace.testing.Eventually;
import io.millrace.testing.RedisClusterFixture;
import io.millrace.testing.RedisSentinelFixture;
import io.millrace.testing.Stopwatch;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * F5, F6, P6, P15: a master dies while one process delivers and another consumes. Replication is asynchronous, so what was confirmed in
 * its last moments may be gone; the tests tell that tail from loss, and report it.
 */
@Timeout(120)
class FailoverIT {

    private static final Logger log = LoggerFactory.getLogger(FailoverIT.class);

    /** Longer than any answer is under way between master and replica here. */
    private static final Duration TAIL = Duration.ofSeconds(1);

    private static final Duration FAILOVER = Duration.ofSeconds(30);
    private static final Duration RESUMED = Duration.ofSeconds(2);

    /** Messages of a broken connection come again after this. */
    private static final LeaseOptions LEASE =
            LONG.mutate().lease(Duration.ofSeconds(2)).build();

    private final Checker checker = new Checker().unordered().lossy();
    private final AtomicLong lastStored = new AtomicLong();
    private final AtomicLong lastHanded = new AtomicLong();
    private final AtomicInteger errors = new AtomicInteger();

    @Test
    @Tag("F5")
    @Tag("P6")
    @Tag("P15")
    @DisplayName(
            "F5 P6 P15 Sentinel: the master is killed; both go on within 2 s of the promotion; nothing but a tail is lost")
    void sentinelKill() {
        try (RedisSentinelFixture sentinel = RedisSentinelFixture.start()) {
            Runnable harm = () -> sentinel.firstMaster().kill9();
            run(sentinel.uri(), "q", "f", harm, sentinel::isPromoted, () -> {});
        }
    }

    @Test
    @Tag("F5")
    @Tag("P15")
    @DisplayName(
            "F5 P15 Sentinel: the master hangs and comes back as a replica; with min-replicas only what was out can be lost")
    void sentinelPause() {
        try (RedisSentinelFixture sentinel =
                RedisSentinelFixture.start("--min-replicas-to-write", "1", "--min-replicas-max-lag", "1")) {
            Runnable after = () -> {
                Mono.delay(Duration.ofSeconds(3)).block();
                sentinel.firstMaster().resume();
            };
            // The promoted one has no replica until the old master is back: that is what min-replicas asks for.
            Runnable harm = () -> sentinel.firstMaster().pause();
            BooleanSupplier back = () -> sentinel.isPromoted() && sentinel.replicasOfThePromoted() == 1;
            run(sentinel.uri(), "q", "f", harm, back, after);
            // Woken up, it still answers what lay in its sockets before it looks for its replicas: one call was out.
            assertThat(checker.lostTail()).hasSizeLessThanOrEqualTo(1);
        }
    }

    @Test
    @Tag("F6")
    @Tag("P6")
    @Tag("P15")
    @DisplayName(
            "F6 P6 P15 Cluster: a master is killed; both go on within 2 s of the promotion; nothing but a tail is lost")
    void clusterKill() {
        // An election, and answers of CLUSTERDOWN before it; the shortest timeout that a machine which stands still
        // does not exceed.
        try (RedisClusterFixture cluster = RedisClusterFixture.start(1, "--cluster-node-timeout", "5000")) {
            String address = cluster.uri().replaceFirst("^redis:", "redis-cluster:");
            String queue = IntStream.range(0, 100)
                    .mapToObj(i -> "q" + i)
                    .filter(name -> SlotHash.getSlot("millrace:queue:{" + name + "/0}:ring") < 5_461)
                    .findFirst()
                    .orElseThrow();
            Runnable harm = () -> cluster.node(0).kill9();
            run(address, queue, "f", harm, () -> cluster.isMaster(3), () -> {});
        }
    }

    private void run(
            String address, String queue, String facet, Runnable harm, BooleanSupplier back, Runnable betweenTimes) {
        try (QueueRig producing = QueueRig.joining(RedisSettings.of(address), QueueSettings.defaults());
                QueueRig consuming = QueueRig.joining(RedisSettings.of(address), QueueSettings.defaults())) {
            producing.mill.queues().register(queue, ".*").block(SOON);
            Disposable consumer = consume(consuming.mill.queue(queue));
            AtomicInteger ids = new AtomicInteger();
            Disposable producer = Flux.interval(Duration.ofMillis(5))
                    .onBackpressureDrop()
                    .concatMap(tick -> deliver(producing, event(facet + tick % 5, "m" + ids.getAndIncrement())))
                    .subscribe();
            Eventually.await("load", SOON, () -> checker.delivered() > 200);
            long harmed = System.nanoTime();
            harm.run();
            betweenTimes.run();
            Eventually.await("the new master", FAILOVER, back::getAsBoolean);
            long promoted = System.nanoTime();
            Stopwatch sincePromotion = Stopwatch.started();
            checker.failedOver(Duration.ofNanos(promoted - harmed).plus(TAIL));
            Eventually.await(
                    "deliveries and messages again",
                    SOON,
                    () -> lastStored.get() - promoted > 0 && lastHanded.get() - promoted > 0);
            Duration resumed = sincePromotion.elapsed();
            int before = checker.delivered();
            Eventually.await("load on the new master", SOON, () -> checker.delivered() > before + 100);
            producer.dispose();
            Eventually.await(
                    "an empty queue",
                    FAILOVER,
                    () -> consuming
                            .mill
                            .queue(queue)
                            .facets()
                            .collectList()
                            .block(SOON)
                            .isEmpty());
            consumer.dispose();
            Checker.Summary summary = checker.check();
            log.info(
                    "away {} ms, resumed {} ms after the promotion, {} failed calls, lost of the tail {}, {}",
                    Duration.ofNanos(promoted - harmed).toMillis(),
                    resumed.toMillis(),
                    errors.get(),
                    checker.lostTail().size(),
                    summary);
            assertThat(resumed).isLessThan(RESUMED);
        }
    }

    private Mono<Delivered> deliver(QueueRig rig, Event event) {
        checker.attempted(event);
        return rig.mill
                .deliver(event)
                .doOnNext(done -> {
                    checker.acknowledged(event.id());
                    lastStored.set(System.nanoTime());
                })
                .onErrorResume(RedisUnavailableException.class, error -> {
                    errors.incrementAndGet();
                    if (error.indeterminate()) {
                        checker.indeterminate(event.id());
                    } else {
                        checker.refused(event.id());
                    }
                    return Mono.empty();
                })
                .onErrorResume(
                        RedisRefusedException.class,
                        error -> { // NOREPLICAS
                            assertThat(error.retryable()).isTrue();
                            errors.incrementAndGet();
                            checker.refused(event.id());
                            return Mono.empty();
                        });
    }

    private Disposable consume(FacetQueue queue) {
        return queue.receive(LEASE)
                .flatMap(
                        one -> {
                            checker.handedOut(one.message(), one.receipt());
                            lastHanded.set(System.nanoTime());
                            Receipt receipt = one.receipt();
                            return checker.acknowledging(receipt, one.ack());
                        },
                        32,
                        1)
                .subscribe();
    }
}
