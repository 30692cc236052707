package io.millrace.stream;

import static io.millrace.stream.StreamRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import io.millrace.RedisUnavailableException;
import io.millrace.redis.Reply;
import io.millrace.testing.Eventually;
import io.millrace.testing.OwnRedis;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/** Producers that wait for replicas: T12, R8. */
class ReplicaWaitIT {

    private static final Logger LOG = (Logger) LoggerFactory.getLogger(ReplicatedRunner.class);

    private OwnRedis redis;
    private StreamRig rig;
    private final ListAppender<ILoggingEvent> log = new ListAppender<>();

    @BeforeEach
    void start() {
        redis = OwnRedis.start();
        rig = StreamRig.on(redis.uri(), "r");
        log.start();
        LOG.addAppender(log);
    }

    @AfterEach
    void stop() {
        LOG.detachAppender(log);
        rig.close();
        redis.close();
    }

    private StreamProducer producer(Duration atMost, boolean failing) {
        return rig.mill.streams().producer("s", new ReplicaWait(1, atMost, failing));
    }

    private OwnRedis replica() {
        OwnRedis replica = OwnRedis.start("--replicaof", "127.0.0.1", String.valueOf(redis.port()));
        Eventually.await(
                "a replica",
                Duration.ofSeconds(30),
                () -> rig.raw("INFO", "replication").text(0).contains("state=online"));
        return replica;
    }

    @Test
    @Tag("R8")
    @Tag("T12")
    @DisplayName(
            "R8 T12 waiting for a replica that is not there ends in time: an error or a warning; the entry is stored once")
    void noReplica() {
        Duration atMost = Duration.ofMillis(200);
        StreamProducer strict = producer(atMost, true);
        long begin = System.nanoTime();
        assertThatThrownBy(() -> strict.queue(1).block(SOON))
                .isInstanceOf(NotReplicatedException.class)
                .hasMessageContaining("0 of 1 replicas");
        assertThat(log.list).isEmpty();
        assertThat(producer(atMost, false).queue(2).block(SOON)).isNotNull();
        assertThat(log.list)
                .extracting(ILoggingEvent::getFormattedMessage)
                .containsExactly("stored, but confirmed by 0 of 1 replicas within PT0.2S");
        assertThatThrownBy(() -> strict.delay(3).block(SOON)).isInstanceOf(NotReplicatedException.class);
        assertThat(Duration.ofNanos(System.nanoTime() - begin))
                .isBetween(Duration.ofMillis(600), Duration.ofSeconds(5));
        assertThat(rig.stream.size().block(SOON)).isEqualTo(2);
    }

    @Test
    @Tag("R8")
    @Tag("T12")
    @DisplayName(
            "R8 T12 5,000 changes on 8 shards and no replica: what waits does not hold up the others until they time out")
    void manyCallsNoReplica() {
        rig.mill.streams().create("s", 8).block(SOON);
        List<Integer> records = IntStream.range(0, 5_000).boxed().toList();
        Duration atMost = Duration.ofSeconds(2);
        long begin = System.nanoTime();
        Mono<Throwable> refused = producer(atMost, true)
                .queueAll(records)
                .then(Mono.<Throwable>empty())
                .onErrorResume(Mono::just);
        Mono<List<EntryId>> warned = producer(atMost, false).queueAll(records);
        Mono.zip(refused, warned)
                .doOnNext(both -> {
                    assertThat(both.getT1()).isInstanceOf(NotReplicatedException.class);
                    assertThat(both.getT2()).hasSize(5_000).doesNotContainNull();
                })
                .block(Duration.ofSeconds(20));
        assertThat(Duration.ofNanos(System.nanoTime() - begin)).isLessThan(Duration.ofSeconds(9));
        assertThat(log.list).isNotEmpty();
        Map<Object, Long> stored = rig.stream
                .entries(EntryId.ZERO)
                .collect(Collectors.groupingBy(entry -> entry.get("id"), Collectors.counting()))
                .block(SOON);
        assertThat(stored).as("once for each producer at the most").hasSize(5_000);
        assertThat(stored.values()).allMatch(times -> times <= 2);
    }

    @Test
    @Tag("T12")
    @DisplayName("T12 with a replica that follows, waiting succeeds, also for 5,000 changes on 8 shards")
    void replicaFollows() {
        rig.mill.streams().create("s", 8).block(SOON);
        try (OwnRedis replica = replica()) {
            List<Integer> records = IntStream.range(0, 5_000).boxed().toList();
            assertThat(producer(Duration.ofSeconds(2), true).queueAll(records).block(SOON))
                    .hasSize(5_000);
            assertThat(replica.isAlive()).isTrue();
        }
    }

    @Test
    @Tag("T12")
    @DisplayName(
            "T12 the connection is lost between a write and WAIT: it is not confirmed by what a new connection knows nothing of")
    void lineLostBeforeWaiting() {
        try (OwnRedis replica = replica();
                StreamRig other = StreamRig.on(redis.uri(), "other")) { // a thread of this one is kept busy
            ReplicatedRunner runner =
                    new ReplicatedRunner(rig.mill.redis(), new ReplicaWait(1, Duration.ofMillis(1_500), true));
            StreamKeys keys = StreamKeys.of(rig.mill.redis().keys(), "s", 0);
            List<byte[]> unit = List.of(keys.unitKey());
            List<byte[]> note = List.of(StreamKeys.bytes("1"), StreamKeys.bytes("{\"id\":1}"));
            runner.run(StreamScripts.NOTE, unit, note, noted -> true).block(SOON);
            replica.pause();
            AtomicBoolean written = new AtomicBoolean();
            AtomicBoolean again = new AtomicBoolean();
            Predicate<Reply> betweenBoth = reply -> {
                if (!written.getAndSet(true)) {
                    while (!again.get()) {
                        // The connection is lost, and made anew.
                    }
                }
                return true;
            };
            CompletableFuture<Reply> answer =
                    runner.run(StreamScripts.NOTE, unit, note, betweenBoth).toFuture();
            Eventually.await("written", SOON, written::get);
            long there = clients(other);
            other.raw("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
            Eventually.await("connected again", SOON, () -> clients(other) >= there);
            again.set(true);
            assertThatThrownBy(answer::join)
                    .hasCauseInstanceOf(NotReplicatedException.class)
                    .hasMessageContaining("0 of 1");
            replica.resume();
        }
    }

    private static long clients(StreamRig rig) {
        return rig.raw("CLIENT", "LIST", "TYPE", "normal").text(0).lines().count();
    }

    @Test
    @Tag("T12")
    @DisplayName(
            "T12 the master becomes a replica: its connection is given up, and what is written next goes to a master")
    void readOnly() {
        StreamProducer strict = producer(Duration.ofMillis(100), false);
        strict.queue(1).block(SOON);
        long before = rig.number("CLIENT", "ID");
        rig.raw("REPLICAOF", "127.0.0.1", "1");
        assertThatThrownBy(() -> strict.queue(2).block(SOON)).isInstanceOf(RedisUnavailableException.class);
        Eventually.await("another connection", SOON, () -> rig.number("CLIENT", "ID") != before);
        rig.raw("REPLICAOF", "NO", "ONE");
        assertThat(strict.queue(3).block(SOON)).isNotNull();
    }

    @Test
    @Tag("T12")
    @DisplayName("T12 a capture does not begin its work when no replica has the notes; lenient, it does, and warns")
    void capture() {
        AtomicBoolean begun = new AtomicBoolean();
        Mono<Void> work = Mono.fromRunnable(() -> begun.set(true));
        Duration atMost = Duration.ofMillis(100);
        assertThatThrownBy(() -> rig.mill
                        .streams()
                        .capture("s", id -> id, new ReplicaWait(1, atMost, true))
                        .around(List.of("a"), work)
                        .block(SOON))
                .isInstanceOf(NotReplicatedException.class)
                .hasMessageContaining("0 of 1 replicas");
        assertThat(begun).isFalse();
        rig.mill
                .streams()
                .capture("s", id -> id, new ReplicaWait(1, atMost, false))
                .around(List.of("a"), work)
                .block(SOON);
        assertThat(begun).isTrue();
        assertThat(rig.mill.streams().stream("s").entries(EntryId.ZERO).count().block(SOON))
                .isEqualTo(1);
        assertThat(List.copyOf(log.list))
                .hasSize(2) // its note, and its entry
                .allSatisfy(line -> assertThat(line.getFormattedMessage()).contains("0 of 1 replicas"));
    }

    @Test
    @Tag("T12")
    @DisplayName(
            "T12 an entry that is stored and not confirmed is not called lost: the capture ends well, its word is true")
    void unconfirmedEntry() {
        Logger producers = (Logger) LoggerFactory.getLogger(StreamProducer.class);
        producers.addAppender(log);
        try (OwnRedis replica = replica()) {
            rig.mill
                    .streams()
                    .capture("s", id -> id, new ReplicaWait(1, Duration.ofSeconds(1), true))
                    .around(
                            List.of("a"),
                            Mono.fromRunnable(replica::pause)
                                    .subscribeOn(Schedulers.boundedElastic())) // after its note
                    .block(SOON);
            replica.resume();
            assertThat(rig.mill.streams().stream("s")
                            .entries(EntryId.ZERO)
                            .count()
                            .block(SOON))
                    .isEqualTo(1);
            assertThat(List.copyOf(log.list))
                    .extracting(ILoggingEvent::getFormattedMessage)
                    .singleElement()
                    .asString()
                    .startsWith("1 changes of stream \"s\" are queued, but replicas do not have all of them")
                    .contains("0 of 1 replicas");
        } finally {
            producers.detachAppender(log);
        }
    }
}
