package io.millrace.drain;

import static io.millrace.drain.DrainRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.millrace.redis.Reply;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
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
import reactor.core.publisher.Sinks;
import reactor.test.StepVerifier;

/** Marks and sweeps. */
@RedisTest
class DirtyMapIT {

    private static final SweepOptions QUICK = SweepOptions.defaults().withLease(Duration.ofMillis(300));
    private static final SweepOptions ONE_BY_ONE = SweepOptions.defaults().withConcurrency(1);

    private DrainRig rig;
    private DirtyMap map;

    @BeforeEach
    void open(RedisServer server, @Namespace String namespace) {
        rig = DrainRig.on(server, namespace);
        map = rig.mill.dirtyMap();
    }

    @AfterEach
    void close() {
        rig.close();
    }

    private List<String> all() {
        return map.all().collectList().block(SOON);
    }

    @Test
    @DisplayName("mark says what was clean; sweep goes through all, oldest first, and leaves nothing behind")
    void markAndSweep() {
        assertThat(map.mark("b").block(SOON)).isTrue();
        assertThat(map.mark("b").block(SOON)).isFalse();
        assertThat(map.mark(List.of("c", "b", "a", "c")).block(SOON)).containsExactly("c", "a");
        assertThat(all()).containsExactly("b", "c", "a");
        assertThat(map.count().block(SOON)).isEqualTo(3);
        assertThat(map.age().block(SOON)).isPositive();
        List<String> swept = map.sweep(url -> Mono.just(true), ONE_BY_ONE)
                .filter(Swept::clean)
                .map(Swept::url)
                .collectList()
                .block(SOON);
        assertThat(swept).containsExactly("b", "c", "a");
        assertThat(map.count().block(SOON)).isZero();
        assertThat(map.age().block(SOON)).isZero();
        assertThat(rig.keys("default")).containsExactly("seq");
        assertThat(map.mark("b").block(SOON)).isTrue();
    }

    @Test
    @DisplayName("what could not be cleaned stays, in its place, and does not keep the others from being swept")
    void failures() {
        map.mark(List.of("no", "fails", "nothing", "throws", "yes")).block(SOON);
        List<Swept> swept = map.sweep(
                        url -> switch (url) {
                            case "no" -> Mono.just(false);
                            case "fails" -> Mono.error(new IllegalStateException("cleaner"));
                            case "nothing" -> Mono.empty();
                            case "throws" -> throw new StackOverflowError();
                            default -> Mono.just(true);
                        },
                        ONE_BY_ONE)
                .collectList()
                .block(SOON);
        assertThat(swept).extracting(Swept::url).containsExactly("no", "fails", "nothing", "throws", "yes");
        assertThat(swept).extracting(Swept::clean).containsExactly(false, false, false, false, true);
        assertThat(swept.get(1).error()).hasMessage("cleaner");
        assertThat(all()).containsExactly("no", "fails", "nothing", "throws");
    }

    @Test
    @DisplayName("a limit, and what is marked while a sweep runs belongs to the next one")
    void limits() {
        map.mark(IntStream.range(0, 50).mapToObj(i -> "u" + i).toList()).block(SOON);
        assertThat(map.sweep(7, url -> Mono.just(true)).count().block(SOON)).isEqualTo(7);
        assertThat(map.count().block(SOON)).isEqualTo(43);
        AtomicInteger calls = new AtomicInteger();
        map.sweep(url -> map.mark("n" + calls.incrementAndGet()).thenReturn(true), ONE_BY_ONE)
                .blockLast(SOON);
        assertThat(calls).hasValue(43);
        assertThat(map.count().block(SOON)).isEqualTo(43);
    }

    @Test
    @Tag("D3")
    @DisplayName("D3 a mark made while a URL is swept keeps it dirty, and tells so when the sweep is over")
    void markedMeanwhile() {
        Queue<String> heard = new ConcurrentLinkedQueue<>();
        Disposable listening = map.dirtyEntity().subscribe(heard::add);
        AtomicInteger warm = new AtomicInteger();
        Eventually.await("listening", SOON, () -> {
            map.mark("warm" + warm.incrementAndGet()).block(SOON);
            return !heard.isEmpty();
        });
        map.sweep(url -> Mono.just(true)).blockLast(SOON);
        heard.removeIf(url -> url.startsWith("warm"));
        map.mark("u").block(SOON);
        AtomicInteger sweeps = new AtomicInteger();
        Mono<Boolean> sweep = map.sweepOne("u", url -> {
            assertThat(map.count().block(SOON)).isEqualTo(1);
            assertThat(all()).containsExactly("u");
            return (sweeps.incrementAndGet() == 1 ? map.mark(url) : Mono.just(false))
                    .doOnNext(clean -> assertThat(clean).isFalse())
                    .thenReturn(true);
        });
        assertThat(sweep.block(SOON)).isFalse();
        assertThat(all()).containsExactly("u");
        Eventually.await(
                "it is told again",
                SOON,
                () -> heard.stream().filter("u"::equals).count() == 2);
        assertThat(sweep.block(SOON)).isTrue();
        assertThat(all()).isEmpty();
        assertThat(map.mark("last").block(SOON)).isTrue();
        Eventually.await("the last one", SOON, () -> heard.contains("last"));
        assertThat(heard.stream().filter("u"::equals)).hasSize(2);
        listening.dispose();
    }

    @Test
    @Tag("D4")
    @DisplayName("D4 what a dead sweeper took comes back to its place; its late answer is refused")
    void deadSweeper() {
        map.mark(List.of("a", "b", "c")).block(SOON);
        // A sweeper that took one and was never heard of again.
        rig.mill
                .redis()
                .run(
                        DrainScripts.SWEEP,
                        new DrainUnit("default", rig.mill.redis()).keys(),
                        DrainScripts.args(150, "next", "0", ""))
                .block(SOON);
        assertThat(all()).containsExactly("b", "c", "a");
        assertThat(map.sweepOne("a", url -> Mono.just(true)).block(SOON))
                .as("held")
                .isFalse();
        Eventually.await("it is back", SOON, () -> map.state().block(SOON).swept() == 0);
        assertThat(all()).containsExactly("a", "b", "c");
        assertThat(rig.mill
                        .redis()
                        .run(
                                DrainScripts.CLEAN,
                                new DrainUnit("default", rig.mill.redis()).keys(),
                                DrainScripts.args("a", "1", "clean"))
                        .block(SOON)
                        .text(0))
                .isEqualTo("GONE");
        assertThat(map.count().block(SOON)).isEqualTo(3);
    }

    @Test
    @DisplayName(
            "a cleaner slower than the lease keeps its URL; sweepers side by side share, none gets what another has")
    void sharedSweep() {
        map.mark(IntStream.range(0, 40).mapToObj(i -> "u" + i).toList()).block(SOON);
        Queue<String> cleaned = new ConcurrentLinkedQueue<>();
        Flux<Swept> slow = map.sweep(
                url -> Mono.delay(Duration.ofMillis(url.equals("u0") ? 1_000 : 5))
                        .map(done -> cleaned.add(url)),
                QUICK);
        List<Swept> swept = Flux.merge(slow, slow, slow).collectList().block(SOON);
        assertThat(swept).hasSize(40).allMatch(Swept::clean);
        assertThat(cleaned).hasSize(40).doesNotHaveDuplicates();
    }

    @Test
    @DisplayName("demand is met one by one; a cancel gives back at once, not when the lease ends")
    void cancel() {
        map.mark(IntStream.range(0, 20).mapToObj(i -> "u" + i).toList()).block(SOON);
        AtomicInteger calls = new AtomicInteger();
        StepVerifier.create(
                        map.sweep(url -> Mono.fromSupplier(() -> calls.incrementAndGet() > 0), ONE_BY_ONE)
                                .limitRate(1),
                        2)
                .expectNextCount(2)
                .thenCancel()
                .verify(SOON);
        assertThat(calls.get()).isLessThan(6);
        Sinks.Empty<Void> begun = Sinks.empty();
        Disposable stuck = map.sweep(url -> {
                    begun.tryEmitEmpty();
                    return Mono.never();
                })
                .subscribe();
        begun.asMono().block(SOON);
        stuck.dispose();
        Eventually.await(
                "all are back",
                Duration.ofSeconds(5),
                () -> map.state().block(SOON).swept() == 0);
        assertThat(map.count().block(SOON)).isBetween(14L, 18L);
    }

    @Test
    @DisplayName("sweepOne of what is clean; URLs that are none")
    void odd() {
        assertThat(map.sweepOne("clean", url -> Mono.error(new AssertionError()))
                        .block(SOON))
                .isTrue();
        assertThatThrownBy(() -> map.mark("").block(SOON)).hasMessageContaining("1 to 65536");
        assertThat(map.sweep(url -> Mono.just(true)).count().block(SOON)).isZero();
        List<String> urls = List.of("*", "a\nb", "\uD83D\uDE80", "{}", "x".repeat(9_000));
        assertThat(map.mark(urls).block(SOON)).isEqualTo(urls);
        assertThat(all()).isEqualTo(urls);
        assertThat(map.sweep(url -> Mono.just(true), ONE_BY_ONE)
                        .map(Swept::url)
                        .collectList()
                        .block(SOON))
                .isEqualTo(urls);
    }

    @Test
    @Tag("D3")
    @Tag("D4")
    @DisplayName("D3 D4 any marks, sweeps, ends and late ends, in any order: as a small model has it")
    void model() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        DrainUnit unit = new DrainUnit("default", rig.mill.redis());
        List<String> dirty = new ArrayList<>(); // in the order of their first marks
        Map<String, String> tokens = new HashMap<>(); // being swept
        Map<String, Integer> places = new HashMap<>();
        Set<String> again = new LinkedHashSet<>();
        Map<String, Integer> order = new HashMap<>();
        int clock = 0;
        for (int step = 0; step < 1_500; step++) {
            String url = "u" + random.nextInt(12);
            String as = "seed " + seed + ", step " + step;
            switch (random.nextInt(5)) {
                case 0, 1 -> {
                    boolean clean = !dirty.contains(url) && !tokens.containsKey(url);
                    assertThat(map.mark(url).block(SOON)).as(as).isEqualTo(clean);
                    if (clean) {
                        order.put(url, clock++);
                        dirty.add(url);
                    } else if (tokens.containsKey(url) && again.add(url)) {
                        places.put(url, clock++);
                    }
                }
                case 2 -> {
                    Reply reply = rig.mill
                            .redis()
                            .run(DrainScripts.SWEEP, unit.keys(), DrainScripts.args(600_000, "next", "0", ""))
                            .block(SOON);
                    assertThat(reply.text(0)).as(as).isEqualTo(dirty.isEmpty() ? "NONE" : "TAKEN");
                    if (!dirty.isEmpty()) {
                        assertThat(reply.text(2)).as(as).isEqualTo(dirty.get(0));
                        tokens.put(dirty.remove(0), reply.text(4));
                    }
                }
                case 3 -> {
                    boolean clean = random.nextBoolean();
                    String token = tokens.getOrDefault(url, "0");
                    String expected =
                            !tokens.containsKey(url) ? "GONE" : clean && !again.contains(url) ? "CLEAN" : "DIRTY";
                    assertThat(end(unit, url, token, clean ? "clean" : "dirty"))
                            .as(as)
                            .isEqualTo(expected);
                    if (tokens.remove(url) != null) {
                        boolean marked = again.remove(url);
                        if (clean && marked) {
                            order.put(url, places.get(url));
                        }
                        if (!clean || marked) {
                            dirty.add(url);
                            dirty.sort(Comparator.comparing(order::get));
                        }
                    }
                }
                default -> {
                    assertThat(end(unit, url, "1000000", "clean")).as(as).isEqualTo("GONE");
                    List<String> all = all();
                    assertThat(all.subList(0, dirty.size())).as(as).isEqualTo(dirty);
                    assertThat(all.subList(dirty.size(), all.size())).as(as).hasSameElementsAs(tokens.keySet());
                    assertThat(map.count().block(SOON)).as(as).isEqualTo(dirty.size() + tokens.size());
                }
            }
        }
    }

    private String end(DrainUnit unit, String url, String token, String how) {
        return rig.mill
                .redis()
                .run(DrainScripts.CLEAN, unit.keys(), DrainScripts.args(url, token, how))
                .block(SOON)
                .text(0);
    }

    @Test
    @DisplayName("many URLs: pages, and a few milliseconds a call")
    void many() {
        List<String> urls =
                IntStream.range(0, 12_000).mapToObj(i -> "http://x/" + i).toList();
        assertThat(map.mark(urls).block(SOON)).isEqualTo(urls);
        assertThat(all()).isEqualTo(urls);
        assertThat(map.all().take(3).collectList().block(SOON)).containsExactlyElementsOf(urls.subList(0, 3));
    }
}
