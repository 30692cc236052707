package io.millrace.stream;

import static io.millrace.stream.StreamRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.redis.Reply;
import io.millrace.testing.Eventually;
import io.millrace.testing.OwnRedis;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;
import reactor.util.retry.Retry;

/** Several calls of one producer are out at a time: none overtakes another, none counts twice. */
class CallsUnderWayIT {

    private OwnRedis redis;
    private StreamRig rig;

    @BeforeEach
    void open() {
        redis = OwnRedis.start();
        rig = StreamRig.on(redis.uri(), "t");
    }

    @AfterEach
    void close() {
        rig.close();
        redis.close();
    }

    private Reply produce(int number, int before, String... payloads) {
        List<byte[]> args = new ArrayList<>();
        List.of("me", "" + number, "" + before, "0", "1").forEach(word -> args.add(bytes(word)));
        for (String payload : payloads) {
            args.add(bytes(payload));
        }
        StreamKeys keys = StreamKeys.of(rig.mill.redis().keys(), "s", 0);
        return rig.mill
                .redis()
                .run(StreamScripts.PRODUCE, List.of(keys.logKey(), keys.unitKey()), args)
                .block(SOON);
    }

    private static byte[] bytes(String word) {
        return word.getBytes(StandardCharsets.UTF_8);
    }

    private List<Object> records() {
        return rig.stream
                .entries(EntryId.ZERO)
                .map(entry -> entry.get("id"))
                .collectList()
                .block(SOON);
    }

    @Test
    @Tag("L3")
    @DisplayName(
            "L3 a call whose forerunner has not run adds nothing; the last four are known, whatever came after them")
    void script() {
        assertThat(produce(2, 1, "{\"id\":2}").text(0)).isEqualTo("EARLY");
        assertThat(records()).isEmpty();
        List<String> ids = new ArrayList<>();
        for (int i = 1; i <= 5; i++) {
            ids.add(produce(i, i - 1, "{\"id\":" + i + "}").text(1));
        }
        for (int i = 5; i >= 2; i--) {
            assertThat(produce(i, i - 1, "{\"id\":" + i + "}").text(1)).isEqualTo(ids.get(i - 1));
        }
        assertThat(produce(9, 8, "{\"id\":9}").text(0)).isEqualTo("EARLY");
        assertThat(produce(9, 0, "{\"id\":9}").text(0)).isEqualTo("OK");
        assertThat(records()).containsExactly(1, 2, 3, 4, 5, 9);
    }

    @Test
    @Tag("L3")
    @DisplayName(
            "L3 a call that ran, whose answer was lost and whose repeat comes late, is there once: the others wait for it")
    void lateRepeat() {
        Sinks.Empty<Void> later = Sinks.empty();
        AtomicInteger runs = new AtomicInteger();
        Outlet.Runner runner = (script, keys, args, wrote) -> {
            Mono<Reply> call = rig.mill.redis().run(script, keys, args);
            return runs.getAndIncrement() == 0 ? call.then(later.asMono()).then(call) : call;
        };
        Outlet outlet =
                new Outlet(StreamKeys.of(rig.mill.redis().keys(), "s", 0), Mono.empty(), runner, Duration.ofMinutes(1));
        List<EntryId> given = new ArrayList<>();
        rig.run(Flux.range(0, 20)
                .flatMapSequential(k -> outlet.queue(IntStream.range(250 * k, 250 * (k + 1))
                        .mapToObj(Change::of)
                        .toList()))
                .doOnNext(given::addAll)
                .then());
        Eventually.await("calls behind the first", SOON, () -> records().size() > 250);
        later.tryEmitEmpty();
        Eventually.await("all", SOON, () -> given.size() == 5_000);
        assertThat(records()).isEqualTo(IntStream.range(0, 5_000).boxed().toList());
        assertThat(rig.ids()).isEqualTo(given.stream().map(EntryId::toString).toList());
    }

    @Test
    @Tag("L3")
    @DisplayName(
            "L3 under load each call goes out once; those behind one that was late go out twice, and none after them")
    void onceEach() {
        AtomicInteger runs = new AtomicInteger();
        Outlet.Runner runner = (script, keys, args, wrote) -> {
            Mono<Reply> call = rig.mill.redis().run(script, keys, args);
            return runs.getAndIncrement() == 100
                    ? Mono.delay(Duration.ofMillis(20)).then(call)
                    : call;
        };
        Outlet outlet =
                new Outlet(StreamKeys.of(rig.mill.redis().keys(), "s", 0), Mono.empty(), runner, Duration.ofMinutes(1));
        int pieces = 600;
        Long produced = Flux.range(0, pieces)
                .flatMapSequential(
                        k -> outlet.queue(IntStream.range(250 * k, 250 * (k + 1))
                                .mapToObj(Change::of)
                                .toList()),
                        12,
                        1)
                .flatMapIterable(ids -> ids)
                .count()
                .block(Duration.ofSeconds(60));
        assertThat(produced).isEqualTo(250L * pieces);
        assertThat(runs.get() - scripted("set")).isBetween(1L, 4L);
        assertThat(rig.stream
                        .entries(EntryId.ZERO)
                        .map(entry -> (Integer) entry.get("id"))
                        .buffer(2, 1)
                        .filter(two -> two.size() == 2 && two.get(0) + 1 != two.get(1))
                        .count()
                        .block(SOON))
                .isZero();
    }

    /** How often a command was run; scripts that produce end with a SET. */
    private long scripted(String command) {
        String stats = new String(
                (byte[]) rig.mill.redis().call("INFO", "commandstats").block(SOON), StandardCharsets.UTF_8);
        Matcher calls = Pattern.compile("cmdstat_" + command + ":calls=(\\d+)").matcher(stats);
        assertThat(calls.find()).isTrue();
        return Long.parseLong(calls.group(1));
    }

    @Test
    @Tag("L10")
    @DisplayName("L10 scripts are flushed all the time: every entry once, in the order given, with its id")
    void order() {
        int count = 60_000;
        List<EntryId> given;
        try (StreamRig other = StreamRig.on(redis.uri(), "t")) {
            given = Flux.range(0, count / 1_000)
                    .flatMapSequential(k -> other.producer.queueAll(thousand(k)).flatMapIterable(ids -> ids), 2)
                    .takeUntilOther(every(Duration.ofMillis(3), rig.mill.redis().call("SCRIPT", "FLUSH")))
                    .collectList()
                    .block(Duration.ofSeconds(60));
        }
        assertThat(records()).isEqualTo(IntStream.range(0, count).boxed().toList());
        assertThat(rig.ids()).isEqualTo(given.stream().map(EntryId::toString).toList());
    }

    @Test
    @Tag("L3")
    @DisplayName(
            "L3 connections are killed all the time: what is repeated until it is done is there once, with the ids told")
    void killed() {
        int count = 30_000;
        AtomicInteger kills = new AtomicInteger();
        List<EntryId> given;
        try (StreamRig other = StreamRig.on(redis.uri(), "t")) {
            given = Flux.range(0, count / 1_000)
                    .concatMap(k -> other.producer
                            .queueAll(thousand(k).stream()
                                    .map(n -> Change.of(n).withProducerId("p" + n))
                                    .toList())
                            .retryWhen(Retry.fixedDelay(500, Duration.ofMillis(20)))
                            .flatMapIterable(ids -> ids))
                    .takeUntilOther(rig.killing(kills))
                    .collectList()
                    .block(Duration.ofSeconds(60));
        }
        assertThat(records()).hasSize(count).doesNotHaveDuplicates();
        assertThat(rig.ids())
                .containsExactlyInAnyOrderElementsOf(
                        given.stream().map(EntryId::toString).toList());
        assertThat(kills).hasValueGreaterThan(5);
    }

    private static List<Integer> thousand(int k) {
        return IntStream.range(1_000 * k, 1_000 * (k + 1)).boxed().toList();
    }

    /** Does something again and again, and never ends. */
    private static Mono<Void> every(Duration time, Mono<Object> work) {
        return Flux.interval(time, Schedulers.boundedElastic())
                .onBackpressureDrop()
                .concatMap(tick -> work)
                .then(Mono.never());
    }
}
