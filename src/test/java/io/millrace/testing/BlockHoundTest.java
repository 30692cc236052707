package io.millrace.testing;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.api.Test;
import reactor.blockhound.BlockingOperationError;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;

class BlockHoundTest {

    private static final Mono<String> SLEEP = Mono.fromCallable(() -> {
        Thread.sleep(1);
        return Thread.currentThread().getName();
    });

    @Test
    void aSleepOnAParallelThreadIsCaught() {
        StepVerifier.create(SLEEP.subscribeOn(Schedulers.parallel()))
                .expectErrorSatisfies(error -> assertThat(error)
                        .isInstanceOf(BlockingOperationError.class)
                        .hasMessageContaining("java.lang.Thread.sleep"))
                .verify(Duration.ofSeconds(10));
    }

    @Test
    void aSleepOnABoundedElasticThreadIsAllowed() {
        StepVerifier.create(SLEEP.subscribeOn(Schedulers.boundedElastic()))
                .assertNext(thread -> assertThat(thread).startsWith("boundedElastic"))
                .expectComplete()
                .verify(Duration.ofSeconds(10));
    }
}
