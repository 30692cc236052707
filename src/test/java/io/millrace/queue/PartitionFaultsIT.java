package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.MillraceException;
import io.millrace.json.EventCodec;
import io.millrace.redis.PubSub;
import io.millrace.redis.RedisSettings;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.reactivestreams.Subscription;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Queues of several partitions when something is not as it should be. */
@RedisTest
class PartitionFaultsIT {

    private static final int PARTITIONS = 4;

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

    private static QueueOptions partitions(int count) {
        return QueueOptions.builder().partitions(count).build();
    }

    private String registry(String part) {
        return new String(rig.mill.redis().keys().single("registry", part), StandardCharsets.UTF_8);
    }

    private void registerAnew(int count) {
        rig.queue.destroy().block(SOON);
        rig.mill.queues().register("q", ".*", partitions(count)).block(SOON);
    }

    @Test
    @DisplayName("reading ends when Millrace is closed in the moment in which the number of partitions changes")
    void closedWhileItChanges() {
        QueueRig other = QueueRig.joining(settings, QueueSettings.defaults());
        AtomicBoolean begun = new AtomicBoolean();
        Mono<Void> reading = Partitions.whileSo(List.of(other.queue.layout()), (now, changed) -> {
                    begun.set(true);
                    return changed.then(other.mill.shutdown()).thenMany(Flux.<String>empty());
                })
                .then();
        Queue<String> ended = new ConcurrentLinkedQueue<>();
        running.add(reading.subscribe(none -> {}, error -> ended.add("error"), () -> ended.add("end")));
        Eventually.await("it reads", SOON, begun::get);
        registerAnew(2);
        Eventually.await("its end", SOON, () -> ended.contains("end"));
    }

    @Test
    @DisplayName(
            "a reader that cannot be a member of the group reads all the same, and hears of another number of partitions")
    void noMember() {
        rig.raw("SET", rig.key("members"), "no set");
        Queue<String> got = new ConcurrentLinkedQueue<>();
        running.add(rig.queue
                .consume(message -> Mono.fromRunnable(() -> got.add(message.id())))
                .subscribe());
        for (int i = 0; i < PARTITIONS; i++) {
            rig.deliver(rig.facetsIn(i, 1).get(0), "four " + i);
        }
        Eventually.await("all of four partitions", SOON, () -> got.size() == 4);
        registerAnew(7);
        for (int i = 0; i < 20; i++) {
            rig.deliver("f" + i, "seven " + i);
        }
        Eventually.await("all of seven partitions", SOON, () -> got.size() == 24);
    }

    @Test
    @DisplayName("what was read of the registry before a change that is known by now is not kept")
    void outdated() {
        Registry registry = new Registry(rig.mill.redis());
        registry.announced(new PubSub.Signal.Listening());
        rig.raw("CLIENT", "PAUSE", "200", "WRITE"); // scripts count as writes
        Queue<Routes> loaded = new ConcurrentLinkedQueue<>();
        running.add(registry.reload().subscribe(loaded::add));
        registry.announced(new PubSub.Signal.Message(new byte[0], new byte[0]));
        Eventually.await("what was asked for before", SOON, () -> !loaded.isEmpty());
        rig.raw("HSET", registry("partitions"), "q", "9");
        assertThat(registry.partitions("q").block(SOON)).isEqualTo(9);
        rig.raw("HSET", registry("partitions"), "q", "4");
        assertThat(registry.partitions("q").block(SOON))
                .as("kept: nothing changed")
                .isEqualTo(9);
    }

    @Test
    @DisplayName("a number of partitions that is none harms its own queue only")
    void unreadableNumber() {
        for (String number : List.of("many", "65", "-1", "0")) {
            rig.mill.queues().register("other", "x.*").block(SOON);
            rig.raw("HSET", registry("partitions"), "other", number);
            try (QueueRig fresh = QueueRig.joining(settings, QueueSettings.defaults())) {
                assertThat(fresh.mill.deliver(event("f", number)).block(SOON).queues())
                        .containsExactly("q");
                assertThat(fresh.queue.partitions().block(SOON)).isEqualTo(PARTITIONS);
                assertThat(fresh.mill.queues().registrations().collectList().block(SOON))
                        .extracting(Registration::queue)
                        .containsExactly("q");
            }
        }
    }

    @Test
    @Tag("P6")
    @DisplayName("P6 what nobody was told of is found in any partition, also when its reader asks for nothing")
    void net() {
        LeaseOptions often = LONG.mutate().pollInterval(Duration.ofMillis(200)).build();
        try (QueueRig other = QueueRig.joining(settings, QueueSettings.defaults())) {
            BaseSubscriber<Delivery> sated = new BaseSubscriber<>() {
                @Override
                protected void hookOnSubscribe(Subscription subscription) {
                    // asks for nothing
                }
            };
            other.queue.receive(often).subscribe(sated);
            Queue<String> got = new ConcurrentLinkedQueue<>();
            running.add(rig.queue
                    .receive(often)
                    .subscribe(one -> got.add(one.message().facet())));
            Eventually.await(
                    "two members",
                    SOON,
                    () -> rig.number("ZCARD", rig.key("members")) == 2
                            && IntStream.range(0, PARTITIONS)
                                    .allMatch(i -> rig.number("EXISTS", rig.key(i, "owner")) == 1));
            List<String> facets = IntStream.range(0, PARTITIONS)
                    .mapToObj(i -> rig.facetsIn(i, 1).get(0))
                    .toList();
            for (int i = 0; i < PARTITIONS; i++) {
                String facet = facets.get(i);
                byte[] element = EventCodec.writeStored(event(facet, "m" + i), Instant.now(), 1_000);
                rig.raw("RPUSH", rig.key(i, "f:" + facet), element);
                rig.raw("RPUSH", rig.key(i, "ring"), facet); // and no word on the channel
            }
            Eventually.await("all", SOON, () -> got.containsAll(facets));
            sated.dispose();
        }
    }

    @Test
    @DisplayName("entries of dead letters that are none are not there; the others are redriven")
    void noEntries() {
        String facet = rig.facetsIn(2, 1).get(0);
        rig.deliver(facet, "1", "2");
        rig.lease(2, LONG).forEach(one -> one.bury("bad").block(SOON));
        List<String> entries = rig.deadLetters().stream().map(DeadLetter::entry).toList();
        List<String> wrong = List.of(
                "x", "", "+", "-", "1", "(1-1", entries.get(0) + "4", "99999999999999999999-0", "1-0.64", "1-0.999");
        for (String entry : wrong) {
            assertThat(rig.queue.redrive(List.of(entry, entries.get(0), entry)).block(SOON))
                    .as(entry)
                    .isEqualTo(1);
            rig.lease(1, LONG).get(0).bury("bad").block(SOON);
            entries = rig.deadLetters().stream().map(DeadLetter::entry).toList();
        }
        assertThat(rig.queue.dropDeadLetters(wrong).block(SOON)).isZero();
        assertThat(rig.deadLetters()).hasSize(2);
    }

    @Test
    @DisplayName("a queue that was resumed in some of its partitions only shows as paused")
    void halfPaused() {
        rig.queue.policies().pause().block(SOON);
        rig.raw("HDEL", rig.key(0, "policy"), "pause");
        assertThat(rig.queue.policies().show().block(SOON).paused()).isTrue();
        rig.queue.policies().resume().block(SOON);
        assertThat(rig.queue.policies().show().block(SOON).paused()).isFalse();
    }

    @Test
    @DisplayName("one queue of a group that cannot be read is tried again soon, not when the poll interval is over")
    void groupWithTrouble() {
        rig.mill.queues().register("plain", "b:.*").block(SOON);
        String ring = rig.mill.redis().keys().unitText("queue", "plain", 0) + "ring";
        String facet = rig.facetsIn(1, 1).get(0);
        Queue<String> got = new ConcurrentLinkedQueue<>();
        Queue<Throwable> failures = new ConcurrentLinkedQueue<>();
        running.add(rig.mill
                .queues()
                .group(Map.of("q", 1, "plain", 1))
                .receive(LONG.mutate().pollInterval(Duration.ofMinutes(5)).build())
                .subscribe(one -> got.add(one.message().id()), failures::add));
        Eventually.await(
                "listeners",
                SOON,
                () -> IntStream.range(0, PARTITIONS)
                        .allMatch(i ->
                                rig.raw("PUBSUB", "NUMSUB", rig.key(i, "wake")).number(1) == 1));
        rig.deliver(facet, "1");
        Eventually.await("the first one", SOON, () -> got.contains("1"));
        rig.raw("SET", ring, "no list");
        rig.deliver(facet, "2");
        Eventually.await("word of the trouble", SOON, () -> !failures.isEmpty());
        assertThat(failures.peek()).isInstanceOf(MillraceException.class).hasMessageContaining("WRONGTYPE");
        assertThat(got).containsExactly("1", "2");
    }
}
