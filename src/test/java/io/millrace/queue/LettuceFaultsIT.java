package io.millrace.queue;

import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Event;
import io.millrace.RedisUnavailableException;
import io.millrace.redis.BlockingReader;
import io.millrace.redis.RedisSettings;
import io.millrace.redis.Reply;
import io.millrace.testing.Eventually;
import io.millrace.testing.OwnRedis;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;
import reactor.util.retry.Retry;

/** Connections, replies and timeouts: L1 to L6, L9, L10. Each test has a server of its own to be harmed. */
class LettuceFaultsIT {

    private OwnRedis redis;
    private QueueRig admin;
    private QueueRig rig;

    @BeforeEach
    void start() {
        redis = OwnRedis.start("--enable-debug-command", "yes");
        admin = QueueRig.on(redis.uri(), "l");
        rig = admin;
    }

    @AfterEach
    void stop() {
        if (rig != admin) {
            rig.close();
        }
        admin.close();
        redis.close();
    }

    private void commandTimeout(Duration timeout) {
        rig = QueueRig.on(
                RedisSettings.builder(redis.uri())
                        .namespace("l")
                        .commandTimeout(timeout)
                        .build(),
                QueueSettings.defaults());
    }

    @Test
    @Tag("L1")
    @DisplayName("L1 a read that blocks for 4 s keeps nobody waiting: PING and pull answer meanwhile")
    void blockingReadsHaveTheirOwnConnection() {
        BlockingReader reader = reader(Duration.ofSeconds(4));
        AtomicBoolean blocked = new AtomicBoolean(true);
        Mono<Object> read =
                reader.call("XREAD", "BLOCK", 4_000, "STREAMS", "l:x", "$").doFinally(end -> blocked.set(false));
        StepVerifier.create(read)
                .then(() -> {
                    List<Long> millis = new ArrayList<>();
                    for (int i = 0; i < 200; i++) {
                        long start = System.nanoTime();
                        rig.raw("PING");
                        rig.pullIds(1);
                        millis.add(Duration.ofNanos(System.nanoTime() - start).toMillis());
                    }
                    assertThat(blocked).isTrue();
                    Collections.sort(millis);
                    assertThat(millis.get(190)).isLessThan(50);
                })
                .expectComplete()
                .verify(SOON);
        reader.close().block(SOON);
    }

    @Test
    @Tag("L2")
    @DisplayName("L2 a read may block longer than commands may take: what comes late in the block is not lost")
    void blockLongerThanTheCommandTimeout() {
        commandTimeout(Duration.ofSeconds(1));
        BlockingReader reader = reader(Duration.ofSeconds(5));
        Mono<Object> read = reader.call("XREAD", "BLOCK", 5_000, "STREAMS", "l:x", "$");
        Mono<Object> add =
                Mono.delay(Duration.ofSeconds(2)).then(rig.mill.redis().call("XADD", "l:x", "*", "f", "late"));
        Object got = Mono.zip(read, add).block(SOON).getT1();
        assertThat(Reply.of(got).list(1).list(0).list(1).text(1)).isEqualTo("late");
        reader.close().block(SOON);
    }

    @Test
    @Tag("L3")
    @DisplayName(
            "L3 the connection is killed 1,000 times between send and reply: nothing is lost, nothing is there twice")
    void killedConnections() {
        Checker checker = new Checker().unordered();
        AtomicInteger kills = new AtomicInteger();
        AtomicInteger errors = new AtomicInteger();
        List<QueueRig> clients = Flux.range(0, 16)
                .map(i -> QueueRig.on(redis.uri(), "l"))
                .collectList()
                .block(SOON);
        // A connection needs 100 ms to come back: 16 of them, or 1,000 kills would take minutes.
        Mono<Void> kill = Flux.interval(Duration.ofMillis(50), Schedulers.boundedElastic())
                .onBackpressureDrop()
                .map(tick -> admin.number("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))
                .takeWhile(killed -> kills.addAndGet(killed.intValue()) < 1_000)
                .then();
        AtomicInteger next = new AtomicInteger();
        Flux.<Event>generate(sink -> {
                    int n = next.getAndIncrement();
                    sink.next(event("f" + n % 7, "m" + n));
                })
                .takeUntilOther(kill)
                .flatMap(one -> deliverAtLast(clients.get(one.hashCode() & 15), one, checker, errors), 64)
                .blockLast(Duration.ofSeconds(90));
        clients.forEach(QueueRig::close);
        assertThat(kills).hasValueGreaterThanOrEqualTo(1_000);
        assertThat(errors).as("deliveries that were cut").hasPositiveValue();
        rig.queue
                .pull(Integer.MAX_VALUE)
                .doOnNext(message -> checker.handedOut(message, null))
                .blockLast(Duration.ofSeconds(30));
        assertThat(checker.check().duplicates()).isZero();
    }

    @Test
    @Tag("L4")
    @DisplayName("L4 a command that timed out may still run: the same event delivered again is one message")
    void timedOutCommandsRunLater() {
        commandTimeout(Duration.ofMillis(200));
        Checker checker = new Checker();
        AtomicInteger errors = new AtomicInteger();
        rig.deliver("warm", "up");
        Mono<Object> sleep = admin.mill.redis().call("DEBUG", "SLEEP", "1.5");
        Mono<Void> deliver = Flux.range(0, 20)
                .flatMap(i -> deliverAtLast(rig, event("a", "m" + i), checker, errors))
                .then();
        Mono.when(sleep, Mono.delay(Duration.ofMillis(100)).then(deliver)).block(SOON);
        assertThat(errors).as("deliveries that timed out").hasPositiveValue();
        List<String> ids = rig.pullIds(256);
        assertThat(ids).hasSize(21).doesNotHaveDuplicates();
        ids.stream().skip(1).forEach(id -> checker.handedOut(id, "a", 1, null));
        checker.check();
    }

    @Test
    @Tag("L6")
    @DisplayName("L6 a large reply that is taken one by one does not stop the connection: PING completes")
    void slowTakersOfLargeReplies() {
        List<Object> words = new ArrayList<>(List.of("l:list"));
        for (int i = 0; i < 10_000; i++) {
            words.add("element " + i);
        }
        rig.raw("RPUSH", words.toArray());
        rig.fill("a", 256);
        Flux<Object> slow = rig.mill.redis().call("LRANGE", "l:list", 0, -1).flatMapIterable(all -> (List<?>) all);
        StepVerifier.create(slow, 1)
                .expectNextCount(1)
                .then(() -> rig.raw("PING"))
                .thenCancel()
                .verify(SOON);
        StepVerifier.create(rig.queue.pull(256), 1)
                .expectNextCount(1)
                .then(() -> rig.raw("PING"))
                .thenCancel()
                .verify(SOON);
    }

    @Test
    @Tag("L9")
    @DisplayName("L9 after 1,000 timeouts all commands, scripts and queues work")
    void manyTimeouts() {
        commandTimeout(Duration.ofMillis(100));
        rig.deliver("a", "1");
        redis.pause();
        AtomicInteger timeouts = new AtomicInteger();
        Flux.range(0, 1_000)
                .flatMap(
                        i -> rig.mill.redis().call("PING").onErrorResume(RedisUnavailableException.class, late -> {
                            timeouts.incrementAndGet();
                            return Mono.empty();
                        }),
                        1_000)
                .blockLast(SOON);
        redis.resume();
        assertThat(timeouts).hasValue(1_000);
        Mono.defer(() -> rig.mill.deliver(event("a", "2")))
                .retryWhen(Retry.fixedDelay(100, Duration.ofMillis(50)))
                .block(SOON);
        assertThat(rig.next(QueueRig.LONG).ack().block(SOON)).isTrue();
        assertThat(rig.pullIds(10)).containsExactly("2");
    }

    @Test
    @Tag("L10")
    @Tag("F8")
    @DisplayName("L10 F8 scripts are flushed 200 times, every 10 ms, under load: no error, nothing lost, nothing twice")
    void flushedScripts() {
        Checker checker = new Checker();
        AtomicInteger flushed = new AtomicInteger();
        Mono<Void> flush = Flux.interval(Duration.ofMillis(10))
                .onBackpressureDrop()
                .concatMap(tick -> admin.mill.redis().call("SCRIPT", "FLUSH"))
                .takeUntil(done -> flushed.incrementAndGet() == 200)
                .then();
        AtomicInteger ids = new AtomicInteger();
        Flux<Delivered> deliver = rig.mill
                .deliver(Flux.interval(Duration.ofMillis(2))
                        .onBackpressureDrop()
                        .concatMapIterable(tick -> IntStream.range(0, 8)
                                .mapToObj(i -> event("f" + i, "m" + ids.getAndIncrement()))
                                .toList())
                        .takeUntilOther(flush)
                        .doOnNext(checker::attempted))
                .doOnNext(done -> checker.acknowledged(done.id()));
        Disposable consuming = rig.queue
                .receive(QueueRig.LONG)
                .doOnNext(one -> checker.handedOut(one.message(), one.receipt()))
                .flatMap(one -> one.ack().doOnNext(accepted -> checker.ackAnswered(one.receipt(), accepted)))
                .subscribe();
        deliver.blockLast(Duration.ofSeconds(60));
        Eventually.await("all of them", Duration.ofSeconds(30), checker::allFinished);
        consuming.dispose();
        assertThat(flushed).hasValue(200);
        Checker.Summary summary = checker.check();
        assertThat(summary.duplicates()).isZero();
        assertThat(summary.acknowledged()).isGreaterThan(1_000);
        assertThat(rig.facets()).isEmpty();
    }

    private BlockingReader reader(Duration longestBlock) {
        return Objects.requireNonNull(rig.mill.redis().dedicated(longestBlock).block(SOON));
    }

    /** As a careful producer does: again and again, under the same id. */
    private Mono<Delivered> deliverAtLast(QueueRig from, Event one, Checker checker, AtomicInteger errors) {
        return Mono.defer(() -> {
                    checker.attempted(one);
                    return from.mill.deliver(one);
                })
                .doOnNext(done -> checker.acknowledged(done.id()))
                .doOnError(RedisUnavailableException.class, error -> {
                    errors.incrementAndGet();
                    if (error.indeterminate()) {
                        checker.indeterminate(one.id());
                    } else {
                        checker.refused(one.id());
                    }
                })
                .retryWhen(Retry.fixedDelay(1_000, Duration.ofMillis(10)));
    }
}
