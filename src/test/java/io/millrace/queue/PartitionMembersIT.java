package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.redis.RedisSettings;
import io.millrace.testing.Eventually;
import io.millrace.testing.JvmChild;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Consumers that share the partitions of a queue: how they come, go, die, hang, and help each other. */
@RedisTest
class PartitionMembersIT {

    private static final int PARTITIONS = 4;
    private static final Duration TTL = io.millrace.lock.Membership.DEFAULT_TTL;

    private QueueRig rig;
    private RedisSettings settings;
    private final Disposable.Composite running = Disposables.composite();

    @BeforeEach
    void open(RedisServer server, @Namespace String namespace) {
        settings = server.settings(namespace);
        rig = QueueRig.on(settings, PARTITIONS);
    }

    @AfterEach
    void close() {
        running.dispose();
        rig.close();
    }

    private List<String> owners() {
        return IntStream.range(0, PARTITIONS)
                .mapToObj(i -> rig.raw("GET", rig.key(i, "owner")))
                .map(reply -> reply.size() == 0 ? "" : reply.text(0))
                .toList();
    }

    private void awaitMembers(int members) {
        Eventually.await(
                members + " members",
                TTL.plusSeconds(3),
                () -> rig.number("ZCARD", rig.key("members")) == members
                        && owners().stream().noneMatch(String::isEmpty));
    }

    private int moved(List<String> before) {
        List<String> now = owners();
        return (int) IntStream.range(0, PARTITIONS)
                .filter(i -> !now.get(i).equals(before.get(i)))
                .count();
    }

    private Disposable consume(QueueRig from, Queue<String> done) {
        Disposable consumer = from.queue
                .consume(message -> Mono.fromRunnable(() -> done.add(message.id())))
                .subscribe();
        running.add(consumer);
        return consumer;
    }

    @Test
    @DisplayName(
            "one consumer has all partitions, a second half of them; who leaves hands over at once; all is read all the time")
    void comeAndGo() {
        Queue<String> done = new ConcurrentLinkedQueue<>();
        AtomicInteger delivered = new AtomicInteger();
        Disposable producing = Flux.interval(Duration.ofMillis(5))
                .onBackpressureDrop()
                .concatMap(tick -> {
                    int i = delivered.getAndIncrement();
                    return rig.mill.deliver(event("f" + i % 17, "m" + i));
                })
                .subscribe();
        running.add(producing);
        consume(rig, done);
        awaitMembers(1);
        List<String> alone = owners();
        try (QueueRig other = QueueRig.joining(settings, QueueSettings.defaults())) {
            Disposable second = consume(other, done);
            awaitMembers(2);
            Eventually.await("half of them moved", TTL, () -> moved(alone) == 2);
            List<String> halves = owners();
            second.dispose();
            Eventually.await(
                    "handed over without waiting for the time to live",
                    TTL.dividedBy(3),
                    () -> moved(halves) == 2 && owners().stream().noneMatch(String::isEmpty));
        }
        producing.dispose();
        Eventually.await("all", SOON, () -> rig.facets().isEmpty());
        assertThat(done).doesNotHaveDuplicates();
        assertThat(new HashSet<>(done).size()).isBetween(delivered.get() - 1, delivered.get());
    }

    @Test
    @DisplayName("six consumers of four partitions: all of them work; the two without a partition help")
    void moreConsumersThanPartitions() {
        Set<Integer> working = java.util.concurrent.ConcurrentHashMap.newKeySet();
        AtomicInteger most = new AtomicInteger();
        AtomicInteger now = new AtomicInteger();
        List<QueueRig> rigs = new ArrayList<>();
        try {
            for (int i = 0; i < 6; i++) {
                int number = i;
                QueueRig one = QueueRig.joining(settings, QueueSettings.defaults());
                rigs.add(one);
                running.add(one.queue
                        .consume(
                                message -> Mono.defer(() -> {
                                    working.add(number);
                                    most.accumulateAndGet(now.incrementAndGet(), Math::max);
                                    return Mono.delay(Duration.ofMillis(100))
                                            .doOnTerminate(now::decrementAndGet); // before the next one may begin
                                }),
                                ConsumeOptions.builder().concurrency(1).build())
                        .subscribe());
            }
            awaitMembers(6);
            rig.mill
                    .queues()
                    .deliverAll(IntStream.range(0, 80)
                            .mapToObj(i -> event("f" + i % 20, "m" + i))
                            .toList())
                    .block(SOON);
            Eventually.await("all", SOON, () -> rig.facets().isEmpty());
            assertThat(working).hasSize(6);
            assertThat(most).hasValue(6);
        } finally {
            rigs.forEach(QueueRig::close);
        }
    }

    @Test
    @DisplayName(
            "a consumer that is busy for ever holds its partitions: what comes there is taken by one that has time, soon")
    void helping() {
        Queue<String> stuck = new ConcurrentLinkedQueue<>();
        running.add(rig.queue
                .consume(
                        message -> Mono.never().doOnSubscribe(begun -> stuck.add(message.id())),
                        ConsumeOptions.builder().concurrency(2).build())
                .subscribe());
        awaitMembers(1);
        Queue<String> done = new ConcurrentLinkedQueue<>();
        try (QueueRig other = QueueRig.joining(settings, QueueSettings.defaults())) {
            rig.fill("a", 2);
            Eventually.await("busy", SOON, () -> stuck.size() == 2);
            Disposable second = consume(other, done);
            awaitMembers(2);
            for (int i = 0; i < 20; i++) {
                rig.deliver("f" + i, "m" + i);
            }
            Eventually.await("all of them", Duration.ofSeconds(2), () -> done.size() == 20);
            second.dispose();
        }
    }

    @Test
    @DisplayName("an idle consumer polls its partitions and renews its leases, and does nothing else")
    void idle() {
        consume(rig, new ConcurrentLinkedQueue<>());
        awaitMembers(1);
        long scripts = scripts();
        Eventually.await("two polls", Duration.ofSeconds(20), new Passed(11_000)::hasPassed);
        long perMinute = (scripts() - scripts) * 60 / 11;
        assertThat(perMinute).as("scripts a minute").isLessThan(12 * PARTITIONS + (PARTITIONS + 1) * 36 + 100);
    }

    private long scripts() {
        String stats = rig.raw("INFO", "commandstats").text(0);
        return stats.lines()
                .filter(line -> line.startsWith("cmdstat_evalsha:"))
                .mapToLong(line -> Long.parseLong(line.replaceAll("cmdstat_evalsha:calls=(\\d+),.*", "$1")))
                .sum();
    }

    @Test
    @Tag("P8")
    @Timeout(90)
    @DisplayName(
            "P8 killed and paused consumers: others take what comes to their partitions soon, and these within the time to live")
    void killedAndPaused(RedisServer server, @Namespace String namespace) {
        try (JvmChild killed = child(server, namespace);
                JvmChild paused = child(server, namespace)) {
            killed.awaitLine(line -> line.endsWith("ready"), Duration.ofSeconds(30));
            paused.awaitLine(line -> line.endsWith("ready"), Duration.ofSeconds(30));
            Queue<String> done = new ConcurrentLinkedQueue<>();
            consume(rig, done);
            awaitMembers(3);
            List<String> before = owners();
            killed.kill9();
            paused.pause();
            long stopped = System.nanoTime();
            for (int i = 0; i < 40; i++) {
                rig.deliver("f" + i, "m" + i);
            }
            Eventually.await("all, by the one that is left", Duration.ofSeconds(3), () -> done.size() == 40);
            Eventually.await(
                    "their partitions",
                    TTL.plusSeconds(2),
                    () -> rig.number("ZCARD", rig.key("members")) == 1
                            && moved(before) >= 2
                            && owners().stream().noneMatch(String::isEmpty));
            assertThat(Duration.ofNanos(System.nanoTime() - stopped)).isLessThan(TTL.plusSeconds(2));
            paused.resume();
            awaitMembers(2);
            rig.deliver("f1", "after");
            Eventually.await(
                    "what comes now",
                    SOON,
                    () -> done.contains("after")
                            || paused.lines().stream().anyMatch(line -> line.contains(" got after ")));
            assertThat(rig.doctor().findings()).isEmpty();
        }
    }

    private static JvmChild child(RedisServer server, String namespace) {
        return JvmChild.of(KilledConsumer.class)
                .option("-XX:TieredStopAtLevel=1")
                .option("-Xshare:auto")
                .option("-XX:+UseSerialGC")
                .option("-Xmx128m")
                .args(
                        server.uri(),
                        namespace,
                        String.valueOf(LONG.lease().toMillis()),
                        "8",
                        KilledConsumer.Mode.RECEIVE.name())
                .start();
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
