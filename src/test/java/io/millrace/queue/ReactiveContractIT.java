package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.List;
import java.util.Queue;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.reactivestreams.Subscription;
import reactor.core.Disposable;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;

/** Demand, cancel and completion of receiving and consuming. */
@RedisTest
class ReactiveContractIT {

    private RedisServer server;

    @Namespace
    private String namespace;

    private QueueRig rig;

    @BeforeEach
    void open() {
        rig = QueueRig.on(server, namespace);
    }

    @AfterEach
    void close() {
        rig.close();
    }

    @Test
    void demandIsWhatIsLeased() {
        rig.fill("a", 20);
        StepVerifier.create(rig.queue.receive(LONG), 0)
                .expectSubscription()
                .expectNoEvent(Duration.ofMillis(200))
                .then(() -> assertThat(rig.inFlight()).isZero())
                .thenRequest(1)
                .expectNextCount(1)
                .then(() -> assertThat(rig.inFlight()).isEqualTo(1))
                .thenRequest(3)
                .expectNextCount(3)
                .then(() -> assertThat(rig.inFlight()).isEqualTo(4))
                .expectNoEvent(Duration.ofMillis(200))
                .then(() -> assertThat(rig.inFlight()).isEqualTo(4))
                .thenCancel()
                .verify(SOON);
        assertThat(rig.inFlight()).isEqualTo(4);
        assertThat(rig.waiting()).isEqualTo(16);
    }

    @Test
    void demandForBatchesIsCountedInBatches() {
        rig.fill("a", 25);
        StepVerifier.create(rig.queue.receiveBatches(LONG.mutate().batchSize(10).build()), 1)
                .expectNextMatches(batch -> batch.messages().size() == 10)
                .then(() -> assertThat(rig.inFlight()).isEqualTo(10))
                .thenRequest(2)
                .expectNextCount(1)
                .expectNextMatches(batch -> batch.messages().size() == 5)
                .then(() -> assertThat(rig.inFlight()).isEqualTo(25))
                .thenCancel()
                .verify(SOON);
    }

    @Test
    void openDemandIsMetWhenSomethingComes() {
        StepVerifier.create(rig.queue.receive(LONG).map(one -> one.message().id()), 2)
                .expectSubscription()
                .expectNoEvent(Duration.ofMillis(100))
                .then(() -> rig.deliver("a", "1"))
                .expectNext("1")
                .then(() -> rig.deliver("b", "2", "3"))
                .expectNext("2")
                .expectNoEvent(Duration.ofMillis(100))
                .then(() -> assertThat(rig.waiting()).isEqualTo(1))
                .thenCancel()
                .verify(SOON);
    }

    @Test
    void aCancelGivesBackWhatWasNotHandedOut() {
        rig.fill("a", 50);
        // take() asks for all it wants and cancels behind the third: 47 of a pull of 50 were leased and nobody saw
        // them.
        List<Delivery> seen = rig.queue
                .receive(LONG.mutate().batchSize(50).build())
                .takeUntil(one -> one.message().id().equals("a-2"))
                .collectList()
                .block(SOON);
        assertThat(seen).hasSize(3);
        Eventually.await("the rest to be back", SOON, () -> rig.inFlight() == 3 && rig.waiting() == 47);
        List<Message> rest = rig.queue.pull(50).collectList().block(SOON);
        assertThat(rest).hasSize(47).allMatch(message -> message.attempt() == 1);
        assertThat(rest.get(0).id()).isEqualTo("a-3");
        assertThat(rest.get(46).id()).isEqualTo("a-49");
    }

    @Test
    @DisplayName("200 cancels at random moments lose nothing and leave nothing leased")
    void cancelsAtRandom() throws InterruptedException {
        Random random = new Random(42);
        rig.fill("a", 1_000);
        rig.fill("b", 1_000);
        Set<String> seen = ConcurrentHashMap.newKeySet();
        Queue<Delivery> held = new ConcurrentLinkedQueue<>();
        for (int i = 0; i < 200; i++) {
            int demand = 1 + random.nextInt(20);
            int after = random.nextInt(12);
            AtomicInteger left = new AtomicInteger(after);
            CountDownLatch cancelled = new CountDownLatch(1);
            BaseSubscriber<Delivery> taker = new BaseSubscriber<>() {
                @Override
                protected void hookOnSubscribe(Subscription subscription) {
                    request(demand);
                }

                @Override
                protected void hookOnNext(Delivery one) {
                    seen.add(one.message().id());
                    held.add(one);
                    if (left.decrementAndGet() == 0) {
                        cancel();
                    }
                }

                @Override
                protected void hookOnCancel() {
                    cancelled.countDown();
                }
            };
            rig.queue.receive(LONG).subscribe(taker);
            if (after == 0 || after > demand) { // from outside, sometimes before the first pull was answered
                cancelled.await(random.nextInt(3_000), TimeUnit.MICROSECONDS);
                taker.cancel();
            }
            assertThat(cancelled.await(10, TimeUnit.SECONDS)).isTrue();
            for (Delivery one = held.poll(); one != null; one = held.poll()) {
                assertThat(one.message().attempt()).isEqualTo(1);
                assertThat(one.ack().block(SOON)).isTrue();
            }
        }
        Eventually.await("nothing leased", SOON, () -> {
            // What was handed to a subscriber in the very moment of its cancel is in seen and held too, if late.
            for (Delivery one = held.poll(); one != null; one = held.poll()) {
                one.ack().block(SOON);
            }
            return rig.inFlight() == 0;
        });
        rig.queue.pull(2_000).map(Message::id).doOnNext(seen::add).blockLast(SOON);
        assertThat(seen).hasSize(2_000);
        assertThat(rig.doctor().findings()).isEmpty();
    }

    @RepeatedTest(20)
    @Tag("F21")
    @DisplayName("F21 until: what runs is finished and acknowledged when consuming ends, nothing is left leased")
    void untilEndsGracefully() throws InterruptedException {
        rig.fill("a", 200);
        Sinks.Empty<Void> stop = Sinks.empty();
        Set<String> done = ConcurrentHashMap.newKeySet();
        CountDownLatch running = new CountDownLatch(20);
        Mono<Void> consuming = rig.queue.consume(
                message -> Mono.delay(Duration.ofMillis(5)).doOnNext(tick -> {
                    done.add(message.id());
                    running.countDown();
                }),
                ConsumeOptions.builder().concurrency(8).until(stop.asMono()).build());
        StepVerifier.create(consuming)
                .then(() -> {
                    await(running);
                    stop.tryEmitEmpty();
                })
                .expectComplete()
                .verify(SOON);
        // Now, not later: whoever waited for the end may close the connection.
        assertThat(rig.inFlight()).isZero();
        assertThat(rig.waiting()).isEqualTo(200 - done.size());
    }

    @Test
    void untilThatIsOverAlreadyTakesNothing() {
        rig.fill("a", 3);
        StepVerifier.create(rig.queue.consume(
                        message -> Mono.empty(),
                        ConsumeOptions.builder().until(Mono.empty()).build()))
                .expectComplete()
                .verify(SOON);
        assertThat(rig.waiting()).isEqualTo(3);
    }

    @Test
    void untilThatFailsIsTold() {
        StepVerifier.create(rig.queue.consume(
                        message -> Mono.empty(),
                        ConsumeOptions.builder()
                                .until(Mono.error(new IllegalStateException("no signal")))
                                .build()))
                .expectErrorMessage("no signal")
                .verify(SOON);
    }

    @Test
    @Tag("F21")
    @DisplayName("F21 cancel: what was being handled is given back at once, long before its lease ends")
    void cancelGivesBack() throws InterruptedException {
        rig.fill("a", 20);
        CountDownLatch running = new CountDownLatch(8);
        BaseSubscriber<Void> consumer = new BaseSubscriber<>() {};
        rig.queue
                .consume(
                        message -> {
                            running.countDown();
                            return Mono.never();
                        },
                        ConsumeOptions.builder().concurrency(8).build())
                .subscribe(consumer);
        await(running);
        consumer.cancel();
        Eventually.await("all to be back", Duration.ofSeconds(2), () -> rig.inFlight() == 0 && rig.waiting() == 20);
        List<Message> all = rig.queue.pull(20).collectList().block(SOON);
        assertThat(all).extracting(Message::id).startsWith("a-0", "a-1").hasSize(20);
        assertThat(all.subList(0, 8)).allMatch(message -> message.attempt() == 2);
        assertThat(all.subList(8, 20)).allMatch(message -> message.attempt() == 1);
    }

    @Test
    @Tag("F21")
    @DisplayName(
            "F21 cancel: what no thread was free to handle is given back as if it had never been taken, and not handled")
    void cancelBeforeItsHandlerIsCalled() {
        rig.fill("a", 5);
        AtomicInteger calls = new AtomicInteger();
        Queue<Runnable> tasks = new ConcurrentLinkedQueue<>();
        Disposable consumer = rig.queue
                .consume(
                        message -> Mono.fromRunnable(calls::incrementAndGet),
                        ConsumeOptions.builder()
                                .concurrency(3)
                                .scheduler(Schedulers.fromExecutor(tasks::add))
                                .build())
                .subscribe();
        Eventually.await("three to be taken", SOON, () -> rig.inFlight() == 3 && tasks.size() == 3);
        consumer.dispose();
        Eventually.await("all to be back", Duration.ofSeconds(2), () -> rig.inFlight() == 0 && rig.waiting() == 5);
        tasks.forEach(Runnable::run);
        assertThat(calls).hasValue(0);
        assertThat(rig.queue.pull(5).collectList().block(SOON))
                .allMatch(message -> message.attempt() == 1)
                .extracting(Message::id)
                .containsExactly("a-0", "a-1", "a-2", "a-3", "a-4");
    }

    @Test
    @Tag("F21")
    @Tag("L10")
    @DisplayName(
            "F21 L10 a shutdown right after a cancel waits until all is given back, also by a server that lost its scripts")
    void givenBackBeforeTheEnd() {
        rig.fill("a", 20);
        for (int round = 0; round < 10; round++) {
            QueueRig other = QueueRig.on(server, namespace);
            Disposable consumer = other.queue
                    .consume(
                            message -> Mono.never(),
                            ConsumeOptions.builder().concurrency(3).prefetch(2).build())
                    .subscribe();
            Eventually.await("three handled, two ahead", SOON, () -> rig.inFlight() == 5);
            rig.raw("SCRIPT", "FLUSH");
            consumer.dispose();
            other.close();
            assertThat(rig.inFlight()).as("round %s", round).isZero();
        }
    }

    @Test
    void acknowledgementsOfAnIdleConsumerAreNotKept() {
        rig.deliver("a", "1");
        BaseSubscriber<Void> consumer = new BaseSubscriber<>() {};
        rig.queue.consume(message -> Mono.empty()).subscribe(consumer);
        Eventually.await(
                "the acknowledgement", Duration.ofSeconds(2), () -> rig.facets().isEmpty());
        consumer.cancel();
    }

    private static void await(CountDownLatch latch) {
        try {
            assertThat(latch.await(10, TimeUnit.SECONDS)).isTrue();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError(e);
        }
    }
}
