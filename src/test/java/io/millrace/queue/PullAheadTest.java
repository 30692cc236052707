package io.millrace.queue;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.queue.Pulls.Pulled;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.List;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;

/** Which pulls are sent, and when, by a server that answers when it is told to. */
class PullAheadTest {

    private static final int PER_PULL = 10;

    /** A pull that has come to the server. */
    private record Sent(int wanted, boolean inTurn, Runnable gaveAll, Sinks.One<Pulled<Integer>> answer) {

        void give(List<Integer> items) {
            if (items.size() == wanted) {
                gaveAll.run();
            }
            answer.tryEmitValue(new Pulled<>(items, -1));
        }

        void give(int count) {
            give(Collections.nCopies(count, 0));
        }
    }

    private final Deque<Sent> server = new ConcurrentLinkedDeque<>();
    private final Demand demand = new Demand();
    private final List<Integer> back = new ArrayList<>();

    private PullAhead<Integer> pulls(boolean overlapping) {
        return new PullAhead<>(
                demand,
                PER_PULL,
                overlapping,
                (wanted, inTurn, gaveAll) -> Mono.defer(() -> {
                    Sent sent = new Sent(wanted, inTurn, gaveAll, Sinks.one());
                    server.add(sent);
                    return sent.answer().asMono();
                }),
                pulled -> back.addAll(pulled.items()));
    }

    /** One whose turn it is, sent; its answer is waited for. */
    private static PullAhead.Out<Integer> begin(PullAhead<Integer> pulls) {
        PullAhead.Out<Integer> out = pulls.next();
        assertThat(out).isNotNull();
        pulls.answer(out).subscribe();
        return out;
    }

    private int open() {
        return demand.open(Integer.MAX_VALUE);
    }

    @Test
    @DisplayName(
            "one is sent when the one before has given all, two when two in a row have; no third, and two wait for their turn")
    void one() {
        PullAhead<Integer> pulls = pulls(true);
        assertThat(pulls.next()).isNull();
        demand.add(100);
        begin(pulls);
        pulls.asked();
        assertThat(server).hasSize(1);
        server.poll().give(PER_PULL);
        pulls.asked();
        assertThat(server).singleElement().matches(sent -> !sent.inTurn());
        server.poll().give(PER_PULL);
        assertThat(server).as("its answer waits for its turn").hasSize(1);
        pulls.take();
        assertThat(server).hasSize(2).allMatch(Sent::inTurn);
        assertThat(open()).isEqualTo(60);
        server.poll().give(PER_PULL);
        assertThat(server).as("two wait for their turn").hasSize(1);
        pulls.take();
        assertThat(server).hasSize(2);
        server.poll().give(3);
        pulls.take();
        pulls.take();
        server.poll().give(PER_PULL);
        assertThat(server).as("few, then all").singleElement().matches(sent -> !sent.inTurn());
    }

    /** Two in a row have given all, and the second has its turn. */
    private PullAhead<Integer> busy(int open) {
        PullAhead<Integer> pulls = pulls(true);
        demand.add(2 * PER_PULL);
        begin(pulls);
        server.poll().give(PER_PULL);
        server.poll().give(PER_PULL);
        pulls.take();
        demand.add(open);
        pulls.asked();
        return pulls;
    }

    @Test
    @DisplayName("nothing is sent before the one whose turn it is, although there is demand")
    void turnFirst() {
        PullAhead<Integer> pulls = busy(0);
        assertThat(server).isEmpty();
        assertThat(pulls.take()).isNull();
        demand.add(3 * PER_PULL);
        PullAhead.Out<Integer> turn = pulls.next();
        pulls.asked();
        assertThat(server).isEmpty();
        pulls.answer(turn).subscribe();
        assertThat(server).hasSize(2).allMatch(Sent::inTurn);
    }

    @Test
    @DisplayName(
            "the answer to one that was sent ahead comes where answers arrive, although it is here before it is asked for")
    void whereAnswersArrive() {
        Scheduler named = Schedulers.newSingle("named");
        Queue<Sent> sent = new ArrayDeque<>();
        PullAhead<Integer> pulls = new PullAhead<>(
                demand,
                PER_PULL,
                true,
                new PullAhead.Preparing<>() {
                    @Override
                    public Mono<Pulled<Integer>> pull(int wanted, boolean inTurn, Runnable gaveAll) {
                        Sent one = new Sent(wanted, inTurn, gaveAll, Sinks.one());
                        sent.add(one);
                        return one.answer().asMono();
                    }

                    @Override
                    public Mono<Pulled<Integer>> earlier(Mono<Pulled<Integer>> answer) {
                        return answer.publishOn(named);
                    }
                },
                pulled -> {});
        demand.add(100);
        begin(pulls);
        sent.poll().give(PER_PULL);
        sent.poll().give(PER_PULL);
        String thread = pulls.answer(pulls.take())
                .map(pulled -> Thread.currentThread().getName())
                .block();
        assertThat(thread).startsWith("named");
        named.dispose();
    }

    @Test
    @DisplayName("where one may be redirected behind another, one at a time is at the server")
    void notOverlapping() {
        PullAhead<Integer> pulls = pulls(false);
        demand.add(100);
        begin(pulls);
        server.poll().give(PER_PULL);
        assertThat(server).hasSize(1).noneMatch(Sent::inTurn);
        server.poll().give(PER_PULL);
        assertThat(server).hasSize(1);
        pulls.asked();
        assertThat(server).hasSize(1);
    }

    @Test
    @DisplayName("what one did not bring is open again at its turn; after it nothing is sent ahead")
    void fewer() {
        PullAhead<Integer> pulls = busy(25);
        assertThat(server).hasSize(2);
        assertThat(open()).isEqualTo(5);
        server.poll().give(4);
        assertThat(server).hasSize(1);
        assertThat(open()).isEqualTo(5);
        assertThat(pulls.answer(pulls.take()).block().items()).hasSize(4);
        assertThat(open()).isEqualTo(11);
        server.poll().answer().tryEmitError(new IllegalStateException("gone"));
        pulls.answer(pulls.take()).onErrorComplete().block();
        assertThat(open()).isEqualTo(21);
        assertThat(pulls.take()).isNull();
        assertThat(begin(pulls).wanted()).isEqualTo(PER_PULL);
        assertThat(server).singleElement().matches(sent -> !sent.inTurn());
    }

    @Test
    @DisplayName("a smaller one than the last waits until it is as large, or until that is answered")
    void small() {
        PullAhead<Integer> pulls = busy(13);
        assertThat(server).hasSize(1);
        demand.add(6);
        pulls.asked();
        assertThat(server).hasSize(1);
        demand.add(1);
        pulls.asked();
        assertThat(server).hasSize(2);
        demand.add(3);
        server.poll().give(PER_PULL);
        pulls.take();
        assertThat(server).hasSize(1);
        server.poll().give(PER_PULL);
        assertThat(server).singleElement().matches(sent -> sent.wanted() == 3);
    }

    @Test
    @DisplayName("when no turn comes any more, what was sent ahead is given back, also what comes later")
    void end() {
        PullAhead<Integer> pulls = busy(100);
        Sent first = server.poll();
        Sent second = server.poll();
        first.give(IntStream.range(0, PER_PULL).boxed().toList());
        pulls.end();
        second.give(List.of(77));
        assertThat(back).hasSize(PER_PULL + 1).contains(9, 77);
        assertThat(server).isEmpty();
        pulls.asked();
        assertThat(pulls.next()).isNull();
    }

    @Test
    @DisplayName("stopped: those that were sent come to their turn, no further one is sent")
    void stop() {
        PullAhead<Integer> pulls = busy(100);
        pulls.stop();
        server.poll().give(PER_PULL);
        assertThat(pulls.hasOne()).isTrue();
        assertThat(pulls.take()).isNotNull();
        assertThat(pulls.take()).isNotNull();
        assertThat(pulls.hasOne()).isFalse();
        assertThat(server).hasSize(1);
    }

    @Test
    @DisplayName(
            "demand, answers and turns on three threads: turns in the order of sending, never more than was asked for")
    void threads() throws Exception {
        PullAhead<Integer> pulls = pulls(true);
        AtomicBoolean over = new AtomicBoolean();
        AtomicInteger asked = new AtomicInteger();
        AtomicInteger given = new AtomicInteger();
        ExecutorService threads = Executors.newFixedThreadPool(2);
        Future<?> answering = threads.submit(() -> {
            Random random = new Random(3);
            while (!over.get()) {
                Sent sent = server.poll();
                if (sent != null) {
                    int count = random.nextInt(10) == 0 ? random.nextInt(sent.wanted() + 1) : sent.wanted();
                    sent.give(IntStream.range(0, count)
                            .map(i -> given.getAndIncrement())
                            .boxed()
                            .toList());
                }
            }
        });
        Future<?> asking = threads.submit(() -> {
            Random random = new Random(4);
            while (!over.get()) {
                if (asked.get() - given.get() < 60) {
                    int more = 1 + random.nextInt(20);
                    asked.addAndGet(more);
                    demand.add(more);
                    pulls.asked();
                }
            }
        });
        List<Integer> got = new ArrayList<>();
        while (got.size() < 10_000) {
            PullAhead.Out<Integer> out = pulls.take();
            if (out == null) {
                out = pulls.next();
            }
            if (out != null) {
                got.addAll(pulls.answer(out).block(Duration.ofSeconds(10)).items());
                assertThat(got.size()).isLessThanOrEqualTo(asked.get());
            }
        }
        over.set(true);
        answering.get(10, TimeUnit.SECONDS);
        asking.get(10, TimeUnit.SECONDS);
        threads.shutdown();
        assertThat(got).isEqualTo(IntStream.range(0, got.size()).boxed().toList());
    }
}
