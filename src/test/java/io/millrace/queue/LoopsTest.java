package io.millrace.queue;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.RedisUnavailableException;
import io.millrace.queue.Pulls.Pulled;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;

/** What may have to be done over and over for as long as trouble lasts needs no more stack, memory or time for it. */
class LoopsTest {

    private static final int MANY = 50_000;
    private static final Duration SOON = Duration.ofSeconds(30);

    private final Scheduler worker = Schedulers.newParallel("loops", 2, true);
    private final AtomicInteger tries = new AtomicInteger();
    private final AtomicInteger told = new AtomicInteger();

    @AfterEach
    void stop() {
        worker.dispose();
    }

    @Test
    @DisplayName(
            "Redis is away for 50,000 tries when reading begins: it begins when Redis is there, and tells of it once")
    void outage() {
        Mono<String> asking = Mono.defer(() -> tries.incrementAndGet() <= MANY
                        ? Mono.<String>error(new RedisUnavailableException("away", false, null))
                        : Mono.just("there"))
                .publishOn(worker);
        assertThat(Partitions.untilItWorks(asking, Duration.ofNanos(1_000), worker, away -> told.incrementAndGet())
                        .block(SOON))
                .isEqualTo("there");
        assertThat(told).hasValue(1);
    }

    @Test
    @DisplayName("what does not pass is told at once")
    void refused() {
        Mono<String> asking = Mono.error(new IllegalStateException("no"));
        assertThat(Partitions.untilItWorks(asking, SOON, worker, away -> told.incrementAndGet())
                        .onErrorResume(error -> Mono.just(String.valueOf(error.getMessage())))
                        .block(SOON))
                .isEqualTo("no");
        assertThat(told).hasValue(0);
    }

    @Test
    @DisplayName(
            "50,000 looks find nothing but what came due and may not be served: the pull gets what comes then, no more than wanted")
    void looks() {
        Pulled<String> pulled = Pulls.<String>asOftenAsNeeded(
                        3,
                        left -> Mono.fromSupplier(() -> {
                                    int look = tries.incrementAndGet();
                                    return look < MANY
                                            ? new Pulled<String>(List.of(), 0)
                                            : new Pulled<>(List.of("m" + look).subList(0, Math.min(1, left)), 0);
                                })
                                .publishOn(worker))
                .block(SOON);
        assertThat(pulled.items()).containsExactly("m50000", "m50001", "m50002");
    }

    @Test
    @DisplayName("a look that fails does not keep what others have taken from being handed out")
    void failedLook() {
        Pulled<String> pulled = Pulls.<String>asOftenAsNeeded(
                        3,
                        left -> tries.incrementAndGet() == 1
                                ? Mono.just(new Pulled<>(List.of("taken"), 0))
                                : Mono.error(new IllegalStateException("no")))
                .block(SOON);
        assertThat(pulled.items()).containsExactly("taken");
        assertThat(tries).hasValue(2);
    }
}
