package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Event;
import io.millrace.redis.RedisSettings;
import io.millrace.testing.Eventually;
import io.millrace.testing.FaultProxy;
import io.millrace.testing.OwnRedis;
import io.millrace.testing.Stopwatch;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.util.retry.Retry;

/** Redis, or the way to it, is away again and again: every loop there is goes on by itself, every time. */
class ResumingIT {

    /** How long the first outage is: longer than what closes a connection that is silent. */
    private static final Duration LONG_OUTAGE = Duration.ofSeconds(Integer.getInteger("outage", 11));

    /** How long the second is: long enough for the longest pauses between attempts. */
    private static final Duration REFUSED = Duration.ofSeconds(10);

    private static final int ROUNDS = 20;
    private static final Duration RESUMED = Duration.ofSeconds(2);

    /** Whoever is not woken has nothing in time. */
    private static final LeaseOptions RARELY =
            LONG.mutate().pollInterval(Duration.ofMinutes(1)).build();

    private static final ConsumeOptions CONSUME =
            ConsumeOptions.builder().lease(RARELY).build();

    private static final List<String> LOOPS = List.of(
            "receive",
            "receiveBatches",
            "consume",
            "consumeBatches",
            "consumePartitions",
            "group1",
            "group2",
            "listen");

    /** By loop and round, when it had that round's event. */
    private final Map<String, Long> got = new ConcurrentHashMap<>();

    @Test
    @Tag("P6")
    @Tag("F10")
    @DisplayName(
            "P6 F10 Redis hangs 11 s, refuses 10 s, is killed, cut off, 20 times: whatever loop waits has the next message in 2 s")
    void everyLoop() {
        try (OwnRedis redis = OwnRedis.startDurable();
                FaultProxy proxy = FaultProxy.to(redis.uri());
                QueueRig admin = QueueRig.on(redis.uri(), "p");
                QueueRig rig = QueueRig.joining(
                        RedisSettings.builder(proxy.uri()).namespace("p").build(), QueueSettings.defaults())) {
            LOOPS.forEach(loop -> register(admin, loop));
            Disposable running = start(rig);
            awaitAll(admin, "warm");
            for (int round = 0; round < ROUNDS; round++) {
                harm(round, redis, proxy);
                long back = System.nanoTime();
                Stopwatch sinceBack = Stopwatch.started();
                String name = "round" + round;
                awaitAll(admin, name);
                Map<String, Long> millis = new TreeMap<>();
                LOOPS.forEach(loop -> millis.put(
                        loop, Duration.ofNanos(got.get(loop + name) - back).toMillis()));
                long most = RESUMED.plus(sinceBack.stalled()).toMillis();
                assertThat(millis.values())
                        .as("ms of %s, at most %s: %s", name, most, millis)
                        .allMatch(late -> late < most);
            }
            running.dispose();
        }
    }

    private static void register(QueueRig admin, String loop) {
        QueueOptions.Builder options = QueueOptions.builder();
        if (loop.equals("consumePartitions")) {
            options.partitions(4);
        }
        admin.mill.queues().register(loop, ".*:test:.*", options.build()).block(SOON);
    }

    private static void harm(int round, OwnRedis redis, FaultProxy proxy) {
        if (round == 0) {
            redis.pause();
            Mono.delay(LONG_OUTAGE).block();
            redis.resume();
        } else if (round % 2 == 0) {
            redis.kill9();
            Mono.delay(Duration.ofMillis(300)).block();
            redis.restart();
        } else {
            proxy.refuse();
            Mono.delay(round == 1 ? REFUSED : Duration.ofMillis(700)).block();
            proxy.accept();
        }
    }

    private Disposable start(QueueRig rig) {
        return Disposables.composite(
                rig.mill
                        .queue("receive")
                        .receive(RARELY)
                        .flatMap(one -> {
                            saw("receive", one.event());
                            return one.ack().onErrorReturn(false);
                        })
                        .subscribe(),
                rig.mill
                        .queue("receiveBatches")
                        .receiveBatches(RARELY)
                        .flatMap(batch -> {
                            batch.messages().forEach(one -> saw("receiveBatches", one.event()));
                            return batch.ack().onErrorReturn(false);
                        })
                        .subscribe(),
                rig.mill
                        .queue("consume")
                        .consume(one -> saw("consume", one.event()), CONSUME)
                        .subscribe(),
                rig.mill
                        .queue("consumeBatches")
                        .consumeBatches(
                                all -> Flux.fromIterable(all).flatMap(one -> saw("consumeBatches", one.event())),
                                CONSUME)
                        .subscribe(),
                rig.mill
                        .queue("consumePartitions")
                        .consume(one -> saw("consumePartitions", one.event()), CONSUME)
                        .subscribe(),
                rig.mill
                        .queues()
                        .group(Map.of("group1", 2, "group2", 1))
                        .consume(one -> saw(one.queue(), one.event()), CONSUME)
                        .subscribe(),
                rig.mill.listen("*:live:*").subscribe(heard -> saw("listen", heard)));
    }

    private Mono<Void> saw(String loop, Event event) {
        got.putIfAbsent(loop + event.name(), System.nanoTime());
        return Mono.empty();
    }

    /** One event for all queues; live ones until one is heard, since what nobody listens to is gone. */
    private void awaitAll(QueueRig admin, String round) {
        Mono.defer(() -> admin.mill.deliver(event("a", round)))
                .retryWhen(Retry.fixedDelay(100, Duration.ofMillis(20)))
                .block(SOON);
        Eventually.await(round, SOON, () -> {
            if (!got.containsKey("listen" + round)) {
                admin.mill.deliver(Event.of("live", "live", round)).block(SOON);
            }
            return LOOPS.stream().allMatch(loop -> got.containsKey(loop + round));
        });
    }
}
