package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.redis.RedisSettings;
import io.millrace.testing.Eventually;
import io.millrace.testing.FaultProxy;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.reactivestreams.Subscription;
import reactor.core.Disposable;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;

/** Pulls that are sent before what the one before them brought is handed out. */
@RedisTest
class PullsAheadIT {

    private RedisServer server;

    @Namespace
    private String namespace;

    private QueueRig rig;
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

    @Test
    @DisplayName("the next pulls are sent before what came is handed out, when there is demand for them; two, not more")
    void overlapping() {
        rig.fill("a", 1_000);
        CountDownLatch go = new CountDownLatch(1);
        List<String> seen = new CopyOnWriteArrayList<>();
        RedisSettings mayWait = RedisSettings.builder(server.uri())
                .namespace(namespace)
                .answersOn(Schedulers.boundedElastic())
                .build();
        QueueRig reader = QueueRig.on(mayWait, QueueSettings.defaults());
        consumer = reader.queue
                .receive(LONG.mutate().batchSize(50).build())
                .publishOn(Schedulers.immediate(), 1_000)
                .doOnNext(one -> {
                    await(go);
                    seen.add(one.message().id());
                })
                .subscribe();
        Eventually.await("two more pulls", SOON, () -> rig.inFlight() == 150);
        assertThat(IntStream.range(0, 20).mapToLong(i -> rig.inFlight()).max()).hasValue(150);
        go.countDown();
        Eventually.await("all", SOON, () -> seen.size() == 1_000);
        assertThat(seen).containsExactly(ids("a", 1_000));
        reader.close();
    }

    @Test
    @DisplayName("when two pulls in a row gave all, the next two are at the server before one of them is answered")
    void twoAtTheServer() {
        rig.fill("a", 1_000);
        Queue<String> seen = new ConcurrentLinkedQueue<>();
        try (FaultProxy proxy = FaultProxy.to(server.uri());
                QueueRig reader = QueueRig.on(
                        RedisSettings.builder(proxy.uri())
                                .namespace(namespace)
                                .commandTimeout(Duration.ofSeconds(30))
                                .build(),
                        QueueSettings.defaults())) {
            BaseSubscriber<Delivery> subscriber = new BaseSubscriber<>() {
                @Override
                protected void hookOnSubscribe(Subscription subscription) {
                    request(100);
                }

                @Override
                protected void hookOnNext(Delivery one) {
                    seen.add(one.message().id());
                }
            };
            reader.queue.receive(LONG.mutate().batchSize(50).build()).subscribe(subscriber);
            Eventually.await("the first two", SOON, () -> seen.size() == 100);
            proxy.latency(FaultProxy.Direction.DOWN, Duration.ofSeconds(4), Duration.ZERO);
            subscriber.request(200);
            Eventually.await("two more", Duration.ofSeconds(3), () -> rig.inFlight() == 200);
            assertThat(seen).hasSize(100);
            proxy.latency(Duration.ZERO);
            Eventually.await("all asked for", SOON, () -> seen.size() == 300);
            assertThat(seen).containsExactly(ids("a", 300));
            subscriber.cancel();
            Eventually.await("no more than asked for", SOON, () -> rig.waiting() == 700);
        }
    }

    @Test
    @Tag("L10")
    @DisplayName(
            "L10 scripts that the server forgets every 2 ms, and others bring back: each message comes once, in the order of its facet")
    void forgottenScripts() {
        Queue<String> handled = new ConcurrentLinkedQueue<>();
        rig.fill("a", 6_000);
        try (QueueRig others = QueueRig.on(server, namespace)) {
            others.mill.queues().register("r", "nobody:.*").block(SOON);
            Disposable trouble = Flux.merge(
                            Flux.interval(Duration.ofMillis(2))
                                    .onBackpressureDrop()
                                    .concatMap(tick -> others.mill.redis().call("SCRIPT", "FLUSH")),
                            others.mill.queue("r").pull(1).repeat())
                    .subscribe();
            consumer = rig.queue
                    .consume(
                            message -> Mono.fromRunnable(() -> handled.add(message.id())),
                            ConsumeOptions.builder()
                                    .concurrency(1)
                                    .prefetch(200)
                                    .scheduler(Schedulers.immediate())
                                    .build())
                    .subscribe();
            Eventually.await("all", Duration.ofSeconds(60), () -> handled.size() >= 6_000);
            trouble.dispose();
        }
        assertThat(handled).containsExactly(ids("a", 6_000));
    }

    @Test
    @DisplayName("what was counted and could not be read is asked for once more: five of demand are five")
    void unreadable() {
        rig.deliver("a", "1");
        rig.raw("RPUSH", rig.key("f:a"), "no event", "{}");
        rig.deliver("a", "2", "3", "4", "5", "6", "7");
        StepVerifier.create(rig.queue.receive(LONG).map(one -> one.message().id()), 5)
                .expectNext("1", "2", "3", "4", "5")
                .thenCancel()
                .verify(SOON);
        Eventually.await("two buried", SOON, () -> rig.deadLetters().size() == 2);
        Eventually.await("five in flight", SOON, () -> rig.inFlight() == 5 && rig.waiting() == 2);
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
