package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/** Many readers of one queue in one process: who looks when there is reason to. They poll too seldom to help. */
@RedisTest
class IdleReadersIT {

    private static final int READERS = 20;
    private static final LeaseOptions PATIENT =
            LONG.mutate().pollInterval(Duration.ofSeconds(60)).build();

    private QueueRig rig;
    private final Disposable.Composite running = Disposables.composite();

    @BeforeEach
    void open(RedisServer server, @Namespace String namespace) {
        rig = QueueRig.on(server, namespace);
    }

    @AfterEach
    void close() {
        running.dispose();
        assertThat(rig.doctor().findings()).isEmpty();
        rig.close();
    }

    @Test
    @Tag("P10")
    @DisplayName(
            "P10 20 readers of a throttled queue: two or three scripts for each message, none in vain by each of them")
    void tokens() {
        rig.queue.policies().rate(new Rate(10, Duration.ofSeconds(1), 1)).block(SOON);
        rig.fill("a", 12);
        AtomicInteger got = read(READERS, Integer.MAX_VALUE);
        Eventually.await("the first", SOON, () -> got.get() >= 2);
        long before = calls();
        int began = got.get();

        Eventually.await("all at their rate", SOON, () -> got.get() == 12);

        assertThat(calls() - before).isLessThanOrEqualTo(3L * (12 - began) + 3);
    }

    @Test
    @Tag("P10")
    @DisplayName("P10 one message wakes one of 20 idle readers, and one more that finds nothing")
    void oneMessage() {
        AtomicInteger got = read(READERS, Integer.MAX_VALUE);
        asleep();
        long before = calls();

        rig.deliver("a", "1");
        Eventually.await("it", SOON, () -> got.get() == 1);
        asleep();

        assertThat(calls() - before).as("with its delivery").isBetween(2L, 5L);
    }

    @Test
    @DisplayName("20 messages at once reach 20 readers that each take one, although only one hears of them")
    void manyMessages() {
        AtomicInteger got = read(READERS, 1);
        asleep();

        rig.fill("a", READERS);

        Eventually.await("one each", Duration.ofSeconds(5), () -> got.get() == READERS);
    }

    @Test
    @DisplayName("a delayed message wakes one reader when it is due, whoever slept first")
    void due() {
        AtomicInteger got = read(READERS, Integer.MAX_VALUE);
        asleep();
        long before = calls();

        rig.mill
                .queues()
                .deliverAfter(QueueRig.event("a", "1"), Duration.ofMillis(300))
                .block(SOON);
        Eventually.await("it", SOON, () -> got.get() == 1);
        asleep();

        assertThat(calls() - before).as("with its delivery").isBetween(3L, 8L);
    }

    @Test
    @DisplayName("a reader that is cancelled when it is its turn to look leaves that to another")
    void cancelled() {
        Set<String> got = ConcurrentHashMap.newKeySet();
        running.add(rig.queue
                .receive(PATIENT)
                .flatMap(one -> one.ack().doOnNext(done -> got.add(one.message().id())))
                .subscribe());
        for (int i = 0; i < 100; i++) {
            String id = "m" + i;
            Sinks.Empty<Void> end = Sinks.empty();
            Mono<Void> brief = rig.queue
                    .receive(PATIENT)
                    .takeUntilOther(end.asMono())
                    .flatMap(one ->
                            one.ack().doOnNext(done -> got.add(one.message().id())))
                    .then();
            Mono<Void> delivered = rig.mill
                    .deliver(QueueRig.event("a", id))
                    .then(Mono.delay(Duration.ofNanos(20_000L * (i % 50))))
                    .then(Mono.fromRunnable(end::tryEmitEmpty));
            Mono.when(brief, delivered).block(SOON);
            Eventually.await(id, Duration.ofSeconds(5), () -> got.contains(id));
        }
    }

    private AtomicInteger read(int readers, int each) {
        AtomicInteger got = new AtomicInteger();
        running.add(Flux.range(0, readers)
                .flatMap(i -> rig.queue.receive(PATIENT).limitRate(1).take(each), readers)
                .subscribe(one -> got.incrementAndGet()));
        return got;
    }

    /** Until nobody has asked for anything for a while. */
    private void asleep() {
        long[] seen = {-1, 0};
        Eventually.await("the readers to sleep", SOON, () -> {
            long now = calls();
            seen[1] = now == seen[0] ? seen[1] + 1 : 0;
            seen[0] = now;
            return seen[1] == 12;
        });
    }

    private long calls() {
        return Pattern.compile("cmdstat_evalsha:calls=(\\d+)")
                .matcher(rig.raw("INFO", "commandstats").text(0))
                .results()
                .mapToLong(match -> Long.parseLong(match.group(1)))
                .sum();
    }
}
