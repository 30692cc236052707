package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;

import io.lettuce.core.cluster.SlotHash;
import io.millrace.RedisUnavailableException;
import io.millrace.redis.RedisSettings;
import io.millrace.testing.Eventually;
import io.millrace.testing.RedisClusterFixture;
import io.millrace.testing.SlotMove;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.util.retry.Retry;

/** F7: the slot of a queue moves to another master, key by key, while the queue is used. */
@Tag("F7")
@Timeout(120)
class SlotMoveIT {

    private static final Logger log = LoggerFactory.getLogger(SlotMoveIT.class);

    private static RedisClusterFixture cluster;

    @BeforeAll
    static void start() {
        cluster = RedisClusterFixture.start();
    }

    @AfterAll
    static void stop() {
        cluster.close();
    }

    private static RedisSettings.Builder settings(String namespace) {
        String address = cluster.uri().replaceFirst("^redis:", "redis-cluster:");
        return RedisSettings.builder(address).namespace(namespace);
    }

    private static int slot(QueueRig rig) {
        return SlotHash.getSlot(rig.key("ring"));
    }

    @Test
    @DisplayName(
            "F7 to and fro under load: nothing is lost or out of order, nothing comes twice without reason, calls only wait")
    void underLoad() {
        Checker checker = new Checker();
        AtomicInteger refused = new AtomicInteger();
        AtomicLong slowest = new AtomicLong();
        RedisSettings settings = settings("load").build();
        try (QueueRig producing = QueueRig.on(settings, QueueSettings.defaults());
                QueueRig consuming = QueueRig.joining(settings, QueueSettings.defaults())) {
            backlog(producing);
            Disposable consumer = consume(consuming.queue, checker);
            AtomicInteger ids = new AtomicInteger();
            AtomicBoolean enough = new AtomicBoolean();
            Disposable producer = Flux.interval(Duration.ofMillis(5))
                    .onBackpressureDrop()
                    .takeWhile(tick -> !enough.get())
                    .concatMap(tick -> {
                        int n = ids.getAndIncrement();
                        return deliver(producing, "f" + n % 5, "m" + n, checker, refused, slowest);
                    })
                    .subscribe();
            Eventually.await("load", SOON, () -> checker.delivered() > 100);

            int home = cluster.masterOf(slot(producing));
            long moved = 0;
            long moving = System.nanoTime();
            for (int leg = 0; leg < 3; leg++) {
                SlotMove move = cluster.move(slot(producing), (home + leg) % 3, (home + leg + 1) % 3);
                move.begin();
                while (move.some(5)) {
                    assertThat(move.atSource()).isGreaterThanOrEqualTo(0); // a moment in which calls arrive
                }
                move.finish();
                moved += move.atTarget();
                int so = checker.delivered();
                Eventually.await("messages again", SOON, () -> checker.delivered() > so + 50);
            }
            Duration legs = Duration.ofNanos(System.nanoTime() - moving);
            enough.set(true); // not cancelled: that may withdraw the last one
            Eventually.await("the last delivery", SOON, producer::isDisposed);
            Eventually.await(
                    "all of them",
                    SOON,
                    () -> checker.allFinished()
                            && producing.queue.peek(1).collectList().block(SOON).isEmpty());
            consumer.dispose();

            Checker.Summary summary = checker.check();
            log.info(
                    "{} keys moved in three legs of {} ms together, {} calls refused, slowest {} ms, {}",
                    moved,
                    legs.toMillis(),
                    refused.get(),
                    Duration.ofNanos(slowest.get()).toMillis(),
                    summary);
            assertThat(producing.doctor().findings()).isEmpty();
            unharmed(producing, ids.get());
        }
    }

    /** What lies there while the slot moves: many facets that are paused, a lease, a delayed delivery. */
    private static void backlog(QueueRig rig) {
        rig.mill.deliver(event("leased", "leased")).block(SOON);
        rig.lease(1, LONG);
        rig.mill
                .queues()
                .deliverAfter(event("later", "later"), Duration.ofHours(1))
                .block(SOON);
        Flux.range(0, 120)
                .concatMap(i -> rig.queue.policies().pause("p" + i))
                .then(rig.mill
                        .queues()
                        .deliverAll(IntStream.range(0, 240)
                                .mapToObj(i -> event("p" + i % 120, "p" + i))
                                .toList()))
                .block(SOON);
    }

    private static void unharmed(QueueRig rig, int delivered) {
        List<Delivered> again = rig.mill
                .queues()
                .deliverAll(IntStream.range(0, delivered)
                        .mapToObj(n -> event("f" + n % 5, "m" + n))
                        .toList())
                .block(SOON);
        assertThat(again).as("still known").allMatch(one -> !one.duplicateIn().isEmpty());
        assertThat(rig.inFlight()).isEqualTo(1);
        assertThat(rig.queue.cancel("later").block(SOON)).isTrue();
        Flux.range(0, 120).concatMap(i -> rig.queue.policies().resume("p" + i)).blockLast(SOON);
        Map<String, Integer> last = new LinkedHashMap<>();
        List<Message> paused = rig.queue.pull(256).collectList().block(SOON);
        paused.addAll(rig.queue.pull(256).collectList().block(SOON));
        paused.addAll(rig.queue.pull(256).collectList().block(SOON));
        paused.addAll(rig.queue.pull(256).collectList().block(SOON));
        assertThat(paused).hasSize(240);
        paused.forEach(message -> {
            int n = Integer.parseInt(message.id().substring(1));
            Integer before = last.put(message.facet(), n);
            assertThat(before == null || before < n).isTrue();
        });
    }

    private static Mono<Delivered> deliver(
            QueueRig rig, String facet, String id, Checker checker, AtomicInteger refused, AtomicLong slowest) {
        long began = System.nanoTime();
        checker.attempted(event(facet, id));
        return rig.mill
                .deliver(event(facet, id))
                .doOnError(error -> {
                    refused.incrementAndGet();
                    assertThat(error).isInstanceOf(RedisUnavailableException.class);
                    assertThat(((RedisUnavailableException) error).indeterminate())
                            .isFalse();
                })
                .retryWhen(Retry.indefinitely().filter(error -> error instanceof RedisUnavailableException))
                .doOnNext(done -> {
                    checker.acknowledged(id);
                    slowest.accumulateAndGet(System.nanoTime() - began, Math::max);
                });
    }

    private static Disposable consume(FacetQueue queue, Checker checker) {
        return queue.receive(LONG.mutate().lease(Duration.ofSeconds(2)).build())
                .flatMap(
                        one -> {
                            Receipt receipt = one.receipt();
                            checker.handedOut(one.message(), receipt);
                            return one.ack()
                                    .doOnNext(done -> checker.ackAnswered(receipt, done))
                                    .onErrorResume(
                                            away -> { // comes again when its lease ends
                                                checker.ackUnanswered(receipt);
                                                return Mono.empty();
                                            });
                        },
                        32,
                        1)
                .subscribe();
    }

    @Test
    @DisplayName(
            "F7 while half of the keys have moved every call is refused, and nothing runs at either master; then all goes on")
    void halfMoved() {
        RedisSettings settings =
                settings("half").commandTimeout(Duration.ofMillis(300)).build();
        try (QueueRig rig = QueueRig.on(settings, QueueSettings.defaults())) {
            rig.mill
                    .queues()
                    .register("limited", ".*:limited", Admission.of(1, Admission.Overflow.REJECT))
                    .block(SOON);
            rig.deliver("a", "1", "2", "3", "4", "5");
            rig.deliver("b", "6");
            List<Delivery> held = rig.lease(3, LONG);
            held.get(0).bury("bad").block(SOON);
            rig.queue.policies().weight("a", 2).block(SOON);
            rig.mill
                    .queues()
                    .deliverAfter(event("c", "later"), Duration.ofHours(1))
                    .block(SOON);
            Disposable consumer = rig.queue.consume(message -> Mono.empty()).subscribe();
            Eventually.await("an empty queue", SOON, () -> rig.waiting() == 0);

            Map<String, Mono<?>> calls = new LinkedHashMap<>();
            calls.put("deliver", rig.mill.deliver(event("new", "new")));
            calls.put("deliver again", rig.mill.deliver(event("a", "1")));
            calls.put("deliverAfter", rig.mill.queues().deliverAfter(event("d", "d"), Duration.ofHours(1)));
            calls.put("pull", rig.queue.pull());
            calls.put("lease", rig.queue.lease(3, LONG).collectList());
            calls.put("ack", held.get(1).ack());
            calls.put("nack", held.get(2).nack());
            calls.put("extend", held.get(2).extend());
            calls.put("peek", rig.queue.peek(3).collectList());
            calls.put("facets", rig.queue.facets().collectList());
            calls.put("length", rig.queue.length());
            calls.put("load", rig.queue.load(3));
            calls.put("weight", rig.queue.policies().weight("a", 1));
            calls.put("policies", rig.queue.policies().show());
            calls.put("cancel", rig.queue.cancel("later"));
            calls.put("dead letters", rig.queue.deadLetters().collectList());
            calls.put("redrive", rig.queue.redriveAll());
            calls.put("doctor", rig.queue.doctor());

            int home = cluster.masterOf(slot(rig));
            SlotMove move = cluster.move(slot(rig), home, (home + 1) % 3);
            long keys = move.atSource();
            for (int stage = 0; stage < 3; stage++) { // nothing has moved, some, all
                if (stage == 0) {
                    move.begin();
                } else {
                    move.some(stage == 1 ? 3 : 100);
                }
                long there = move.atTarget();
                Flux.fromIterable(calls.entrySet())
                        .flatMap(call -> refused(call.getKey(), call.getValue()), calls.size())
                        .blockLast(SOON);
                assertThat(move.atTarget()).as("stage %s", stage).isEqualTo(there);
                assertThat(move.atSource()).as("stage %s", stage).isEqualTo(keys - there);
            }
            refused("destroy", rig.queue.destroy()).block(SOON);
            move.finish();

            rig.mill.queues().register("q", ".*").block(SOON); // that much of destroying was done
            assertThat(rig.mill.deliver(event("a", "1")).block(SOON).duplicateIn())
                    .containsExactly("q");
            assertThat(held.get(1).ack().block(SOON)).isTrue();
            assertThat(held.get(2).extend().block(SOON)).isTrue();
            assertThat(rig.queue.redriveAll().block(SOON)).isEqualTo(1);
            rig.deliver("new", "new");
            Eventually.await("the consumer", SOON, () -> rig.waiting() == 0);
            assertThat(rig.inFlight()).isEqualTo(1);
            consumer.dispose();
            assertThat(rig.doctor().findings()).isEmpty();
        }
    }

    private static Mono<Void> refused(String name, Mono<?> call) {
        return call.materialize()
                .doOnNext(signal -> {
                    assertThat(signal.getThrowable()).as(name).isInstanceOf(RedisUnavailableException.class);
                    RedisUnavailableException error = (RedisUnavailableException) signal.getThrowable();
                    assertThat(error.indeterminate()).as(name).isFalse();
                    assertThat(error).as(name).hasMessageContaining("the slot is moving");
                })
                .then();
    }
}
