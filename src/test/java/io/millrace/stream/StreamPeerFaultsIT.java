package io.millrace.stream;

import static io.millrace.stream.StreamRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.stream.StreamRig.Seen;
import io.millrace.testing.Eventually;
import io.millrace.testing.OwnRedis;
import io.millrace.testing.Stopwatch;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.reactivestreams.Subscription;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.util.retry.Retry;

/** What broke in other streams: P6, P16 to P24. Each test has a server of its own. */
class StreamPeerFaultsIT {

    /** How often Redis goes away; -Doutages=20 for more. With -Daway=30 as well it takes 10 min, and was run to its end. */
    private static final int OUTAGES = Integer.getInteger("outages", 5);

    /** For how many seconds each time; -Daway=30 for longer. */
    private static final Integer AWAY = Integer.getInteger("away");

    /** Thousands of entries that go through a stream; -Dentries=1000 for more. */
    private static final int THOUSANDS = Integer.getInteger("entries", 300);

    /** How soon a consumer has what comes after trouble; more than its own 2 s, for a busy machine. */
    private static final Duration ON_TIME = Duration.ofSeconds(3);

    private OwnRedis redis;
    private StreamRig rig;

    @BeforeEach
    void start() {
        redis = OwnRedis.startDurable("--enable-debug-command", "yes");
        rig = StreamRig.on(redis.uri(), "p");
    }

    @AfterEach
    void stop() {
        rig.close();
        redis.close();
    }

    @Test
    @Tag("P6")
    @Timeout(900)
    @DisplayName("P6 Redis hangs, or is killed and comes back, again and again: the next entry is handled within 2 s")
    void consumersResume() {
        Queue<Object> got = new ConcurrentLinkedQueue<>();
        rig.run(rig.consumer("c")
                .consume(batch -> Mono.fromRunnable(() -> batch.entries().forEach(entry -> got.add(entry.get("id"))))));
        rig.queue("warm");
        Eventually.await("the first", SOON, () -> got.contains("warm"));
        for (int round = 0; round < OUTAGES; round++) {
            if (round % 5 == 0) {
                redis.pause();
                away(Duration.ofSeconds(7));
                redis.resume();
            } else {
                redis.kill9();
                away(Duration.ofMillis(400L * (round % 5)));
                redis.restart();
            }
            Stopwatch sinceBack = Stopwatch.started();
            String id = "m" + round;
            Mono.defer(() -> rig.producer.queue(Change.of(id).withProducerId(id)))
                    .retryWhen(Retry.fixedDelay(200, Duration.ofMillis(20)))
                    .block(SOON);
            Eventually.await("entry of round " + round, SOON, () -> got.contains(id));
            assertThat(sinceBack.elapsed()).as("round %s", round).isLessThan(Duration.ofSeconds(2));
        }
    }

    private static void away(Duration usually) {
        Mono.delay(AWAY == null ? usually : Duration.ofSeconds(AWAY)).block();
    }

    @Test
    @Tag("P16")
    @DisplayName("P16 what a consumer holds is trimmed under it: it commits, goes on, and is told what others missed")
    void trimmedUnderAConsumer() {
        List<EntryId> ids = rig.queue(10);
        Sinks.Empty<Void> goOn = Sinks.empty();
        Queue<Gap> gaps = new ConcurrentLinkedQueue<>();
        Seen seen = new Seen();
        rig.run(rig.consumer("c")
                .batchSize(4)
                .onGap(gap -> Mono.fromRunnable(() -> gaps.add(gap)))
                .consume(batch -> seen.add(batch).then(goOn.asMono())));
        Eventually.await("a batch", SOON, () -> seen.batches.size() == 1);
        assertThat(rig.mill.streams().trimmer("s").before(ids.get(8)).block(SOON))
                .isEqualTo(8);
        goOn.tryEmitEmpty();
        Eventually.await("the rest", SOON, () -> rig.state("c").lag() == 0);
        assertThat(seen.records()).containsExactly(0, 1, 2, 3, 8, 9);
        Eventually.await("the gap", SOON, () -> !gaps.isEmpty());
        assertThat(gaps).singleElement().isEqualTo(new Gap("s", "c", ids.get(3), ids.get(7), Gap.Reason.TRIMMED));
    }

    @Test
    @Tag("P16")
    @DisplayName("P16 entries are removed before a reader that is already behind them when it hears of it: it is told")
    void trimmedBetweenTwoReads() {
        List<EntryId> ids = rig.queue(10);
        Queue<Gap> gaps = new ConcurrentLinkedQueue<>();
        List<StreamDelivery> got = new CopyOnWriteArrayList<>();
        BaseSubscriber<StreamDelivery> reader = new BaseSubscriber<>() {
            @Override
            protected void hookOnSubscribe(Subscription subscription) {
                request(1);
            }

            @Override
            protected void hookOnNext(StreamDelivery delivery) {
                got.add(delivery);
            }
        };
        rig.consumer("c")
                .batchSize(4)
                .onGap(gap -> Mono.fromRunnable(() -> gaps.add(gap)))
                .batches()
                .subscribe(reader);
        Eventually.await("a batch", SOON, () -> got.size() == 1);
        assertThat(rig.mill.streams().trimmer("s").before(ids.get(8)).block(SOON))
                .isEqualTo(8);
        reader.request(1);
        Eventually.await("what is left", SOON, () -> got.size() == 2);
        reader.request(1);
        got.get(0).commit().block(SOON);
        got.get(1).commit().block(SOON);
        Eventually.await("the gap", SOON, () -> !gaps.isEmpty());
        rig.queue("more");
        Eventually.await("more", SOON, () -> got.size() == 3);
        reader.cancel();
        assertThat(gaps).containsExactly(new Gap("s", "c", ids.get(3), ids.get(7), Gap.Reason.TRIMMED));
    }

    @Test
    @Tag("T4")
    @DisplayName("T4 a consumer that comes to a stream whose beginning is gone is told so")
    void lateConsumer() {
        rig.queue(10);
        Seen first = rig.collect(rig.consumer("first"));
        Eventually.await(
                "all read",
                SOON,
                () -> first.records().size() == 10 && rig.state("first").lag() == 0);
        assertThat(rig.mill.streams().trimmer("s").runOnce().block(SOON).removed())
                .isEqualTo(10);
        Queue<Gap> gaps = new ConcurrentLinkedQueue<>();
        Seen late = rig.collect(rig.consumer("late").onGap(gap -> Mono.fromRunnable(() -> gaps.add(gap))));
        Eventually.await("the gap", SOON, () -> gaps.size() == 1);
        assertThat(gaps.peek().reason()).isEqualTo(Gap.Reason.TRIMMED);
        assertThat(gaps.peek().after()).isEqualTo(EntryId.ZERO);
        rig.queue("new");
        Eventually.await("the new one", SOON, () -> late.records().equals(List.of("new")));
    }

    @Test
    @Tag("T4")
    @DisplayName("T4 a consumer that stands still is reported, and nothing behind it is removed")
    void staleConsumer() {
        rig.add("1000-1", "1000-2");
        rig.stream.register("gone").block(SOON);
        Trimmer.Report report = rig.mill
                .streams()
                .trimmer("s")
                .staleAfter(Duration.ofMinutes(1))
                .runOnce()
                .block(SOON);
        assertThat(report).isEqualTo(new Trimmer.Report(0, List.of("gone"), List.of("gone")));
    }

    @Test
    @Tag("P13")
    @DisplayName("P13 consumers that are cancelled while they connect leave no connection behind")
    void cancelledWhileConnecting() {
        rig.queue("one");
        rig.collect(rig.consumer("other")); // what they all share is there
        Eventually.await("read", SOON, () -> rig.state("other").lag() == 0);
        long before = clients();
        for (int round = 0; round < 40; round++) {
            String name = "c" + round;
            var running = rig.run(rig.consumer(name).consume(batch -> Mono.empty()));
            Eventually.await("its lock", SOON, () -> rig.number("EXISTS", rig.key("lock:" + name)) == 1);
            running.dispose();
        }
        Eventually.await("all closed", SOON, () -> clients() == before);
    }

    private long clients() {
        return rig.raw("CLIENT", "LIST").text(0).lines().count();
    }

    @Test
    @Tag("P17")
    @DisplayName("P17 an instance that vanishes with a batch takes nothing along: the next one has it again")
    void nothingBelongsToAnInstance() {
        rig.queue(10);
        StreamDelivery held = rig.consumer("c").batches().blockFirst(SOON);
        assertThat(held.batch().size()).isEqualTo(10);
        try (StreamRig other = StreamRig.on(redis.uri(), "p")) {
            Seen seen = other.collect(other.consumer("c"));
            Eventually.await("all ten", SOON, () -> seen.records().size() == 10);
        }
    }

    @Test
    @Tag("P18")
    @DisplayName("P18 the stream is deleted under a blocked reader: it is told, and reads what comes then within 2 s")
    void deletedStream() {
        Queue<Gap> gaps = new ConcurrentLinkedQueue<>();
        rig.queue(5);
        Seen seen = rig.collect(rig.consumer("c").onGap(gap -> Mono.fromRunnable(() -> gaps.add(gap))));
        Eventually.await(
                "all read",
                SOON,
                () -> rig.state("c").lag() == 0 && seen.records().size() == 5);
        rig.raw("DEL", rig.key("log"));
        Eventually.await("the gap", SOON, () -> gaps.size() == 1);
        assertThat(gaps.peek().reason()).isEqualTo(Gap.Reason.RESET);
        rig.queue("after");
        Eventually.await("what comes then", ON_TIME, () -> seen.records().contains("after"));
        rig.raw("DEL", rig.key("log"));
        rig.queue("at once"); // before anybody can look
        Eventually.await("what comes at once", ON_TIME, () -> seen.records().contains("at once"));
        Eventually.await("the other gap", SOON, () -> gaps.size() == 2);
    }

    @Test
    @Tag("P18")
    @DisplayName(
            "P18 everything is deleted, the offset too: within 2 s it is registered again, is told, and reads from the beginning")
    void flushed() {
        Queue<Gap> gaps = new ConcurrentLinkedQueue<>();
        rig.queue(5);
        Seen seen = rig.collect(rig.consumer("c").onGap(gap -> Mono.fromRunnable(() -> gaps.add(gap))));
        Eventually.await(
                "all read",
                SOON,
                () -> rig.state("c").lag() == 0 && seen.records().size() == 5);
        rig.raw("FLUSHALL");
        rig.queue("a", "b");
        Eventually.await("both", ON_TIME, () -> seen.records().containsAll(List.of("a", "b")));
        Eventually.await("committed", SOON, () -> rig.state("c").lag() == 0);
        Eventually.await("the gap", SOON, () -> !gaps.isEmpty());
        assertThat(gaps).allMatch(gap -> gap.reason() == Gap.Reason.RESET);
    }

    @Test
    @Tag("P15")
    @DisplayName(
            "P15 a new log with ids behind what was consumed, as with an older clock: all of it is read, none is trimmed unread")
    void idsWentBack() {
        rig.add("9000000000000-1");
        Seen seen = rig.collect(rig.consumer("c"));
        Seen other = rig.collect(rig.consumer("other"));
        Eventually.await(
                "read",
                SOON,
                () -> List.of(rig.offset("c").ms(), rig.offset("other").ms())
                        .equals(List.of(9_000_000_000_000L, 9_000_000_000_000L)));
        seen.stop.dispose();
        other.stop.dispose();
        Eventually.await("nobody", SOON, () -> rig.number("EXISTS", rig.key("lock:c"), rig.key("lock:other")) == 0);
        rig.raw("DEL", rig.key("log"));
        rig.queue("old clock"); // its id lies 200 years before the offset
        assertThat(rig.mill.streams().trimmer("s").runOnce().block(SOON).removed())
                .isZero();
        Queue<Gap> gaps = new ConcurrentLinkedQueue<>();
        Seen again = rig.collect(rig.consumer("c").onGap(gap -> Mono.fromRunnable(() -> gaps.add(gap))));
        Eventually.await("the old one", SOON, () -> again.records().equals(List.of("old clock")));
        assertThat(gaps).isNotEmpty().allMatch(gap -> gap.reason() == Gap.Reason.RESET);
        rig.add("9000000000000-2"); // the clock is right again, before the other one looks
        Seen otherAgain = rig.collect(rig.consumer("other"));
        for (Seen one : List.of(again, otherAgain)) {
            Eventually.await("both", SOON, () -> one.records().equals(List.of("old clock", "9000000000000-2")));
        }
        Eventually.await(
                "both committed",
                SOON,
                () -> rig.state("c").lag() == 0 && rig.state("other").lag() == 0);
        assertThat(rig.mill.streams().trimmer("s").runOnce().block(SOON).removed())
                .isEqualTo(2);
    }

    @Test
    @Tag("P15")
    @DisplayName(
            "P15 the same under a running consumer, and one that holds a batch: its commit does not skip what is new")
    void idsWentBackWhileReading() {
        rig.add("9000000000000-1");
        Seen seen = rig.collect(rig.consumer("c"));
        Seen held = new Seen();
        Sinks.Empty<Void> goOn = Sinks.empty();
        rig.run(rig.consumer("held").consume(batch -> held.add(batch).then(goOn.asMono())));
        Eventually.await("read", SOON, () -> rig.state("c").lag() == 0 && held.batches.size() == 1);
        rig.raw("DEL", rig.key("log"));
        rig.queue("old clock");
        Eventually.await("read by the one", SOON, () -> seen.records().contains("old clock"));
        goOn.tryEmitEmpty();
        Eventually.await("and by the other", SOON, () -> held.records().contains("old clock"));
        Eventually.await(
                "committed",
                SOON,
                () -> rig.state("c").lag() == 0 && rig.state("held").lag() == 0);
        assertThat(rig.offset("c"))
                .isEqualTo(rig.offset("held"))
                .isEqualTo(rig.state().last());
    }

    @Test
    @Tag("P19")
    @Tag("P20")
    @Timeout(300)
    @DisplayName(
            "P19 P20 300,000 entries go through and are trimmed: hardly any memory is left, and the data can be reloaded")
    void nothingIsLeft() {
        AtomicInteger handled = new AtomicInteger();
        rig.run(rig.consumer("c").consume(batch -> Mono.fromRunnable(() -> handled.addAndGet(batch.size()))));
        int all = THOUSANDS * 1_000;
        Flux.range(0, THOUSANDS)
                .concatMap(i -> rig.producer.queueAll(numbers(1_000)))
                .blockLast(Duration.ofSeconds(200));
        Eventually.await("all handled", Duration.ofSeconds(60), () -> handled.get() == all);
        Eventually.await("all committed", SOON, () -> rig.state("c").lag() == 0);
        assertThat(rig.mill.streams().trimmer("s").runOnce().block(SOON).removed())
                .isEqualTo(all);
        assertThat(rig.number("MEMORY", "USAGE", rig.key("log"))).isLessThan(3_000);
        assertThat(rig.calls("xdel")).as("never both on one stream").isZero();
        rig.queue(3);
        Eventually.await("three more", SOON, () -> rig.state("c").lag() == 0);
        rig.raw("DEBUG", "RELOAD");
        rig.queue(3);
        Eventually.await("and three", SOON, () -> handled.get() == all + 6);
    }

    private static List<Integer> numbers(int n) {
        return java.util.stream.IntStream.range(0, n).boxed().toList();
    }

    @Test
    @Tag("P21")
    @Tag("T9")
    @DisplayName(
            "P21 T9 after random deletes and trims our lag is what counting by hand gives; Redis' own is not asked")
    void lag() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        rig.stream.register("c").block(SOON);
        for (int round = 0; round < 12; round++) {
            rig.queue(1 + random.nextInt(1_500));
            List<String> ids = rig.ids();
            for (int i = 0; i < 20; i++) {
                rig.raw("XDEL", rig.key("log"), ids.get(random.nextInt(ids.size())));
            }
            if (round % 3 == 2) {
                rig.mill
                        .streams()
                        .trimmer("s")
                        .before(EntryId.parse(ids.get(random.nextInt(ids.size()))))
                        .block(SOON);
            }
            EntryId offset = EntryId.parse(ids.get(random.nextInt(ids.size())));
            rig.consumer("c").seek(offset).block(SOON);
            long byHand = rig.ids().stream()
                    .filter(id -> EntryId.parse(id).isAfter(offset))
                    .count();
            assertThat(rig.state("c").lag())
                    .as("round %s of seed %s", round, seed)
                    .isEqualTo(byHand);
            assertThat(rig.state("c").age().isZero()).isEqualTo(byHand == 0);
        }
    }

    @Test
    @Tag("P22")
    @DisplayName("P22 the offset moves after the handler: cancelled in the middle, the same batch comes again")
    void cancelledInTheMiddle() {
        rig.queue(10);
        Seen seen = new Seen();
        var running = rig.run(rig.consumer("c")
                .batchSize(5)
                .consume(batch -> seen.batches.isEmpty()
                        ? seen.add(batch)
                        : seen.add(batch).then(Mono.never())));
        Eventually.await("the second batch", SOON, () -> seen.batches.size() == 2);
        running.dispose();
        Eventually.await("nobody", SOON, () -> rig.number("EXISTS", rig.key("lock:c")) == 0);
        assertThat(rig.state("c").lag()).isEqualTo(5);
        Seen again = rig.collect(rig.consumer("c"));
        Eventually.await("again", SOON, () -> again.records().equals(List.of(5, 6, 7, 8, 9)));
    }

    @Test
    @Tag("P24")
    @DisplayName("P24 a key whose entry became a dead letter is handled again with its next entry")
    void keyAfterADeadLetter() {
        rig.queue(Change.of(java.util.Map.of("id", 7, "bad", true)));
        List<Object> handled = new ArrayList<>();
        rig.run(rig.consumer("c", ConsumerOptions.builder().attempts(2).concurrency(4))
                .consume(batch -> Mono.fromRunnable(() -> {
                    if (batch.entries().stream().anyMatch(entry -> entry.get("bad") != null)) {
                        throw new IllegalStateException("bad");
                    }
                    batch.entries().forEach(entry -> handled.add(entry.get("id")));
                })));
        Eventually.await("a dead letter", SOON, () -> rig.deadLetters("c").size() == 1);
        rig.queue(Change.of(7));
        Eventually.await("the next of this key", SOON, () -> handled.equals(List.of(7)));
    }
}
