package io.millrace.redis;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.test.StepVerifier;

class DetachedTest {

    @Test
    @DisplayName(
            "whatever the moment of the cancel, the result is either handed over or given back, never both, never neither")
    void everyResultHasOneOwner() throws Exception {
        ExecutorService other = Executors.newSingleThreadExecutor();
        AtomicInteger handedOver = new AtomicInteger();
        AtomicInteger givenBack = new AtomicInteger();
        int rounds = 100_000;
        for (int i = 0; i < rounds; i++) {
            Sinks.One<Integer> work = Sinks.one();
            BaseSubscriber<Integer> caller = new BaseSubscriber<>() {
                @Override
                protected void hookOnNext(Integer value) {
                    handedOver.incrementAndGet();
                }
            };
            Detached.run(work.asMono(), value -> givenBack.incrementAndGet()).subscribe(caller);
            int head = i % 300; // lets both meet somewhere in the middle
            Future<?> emitting = other.submit(() -> {
                spin(head);
                work.tryEmitValue(1);
            });
            spin(300 - head);
            caller.cancel();
            emitting.get();
            assertThat(handedOver.get() + givenBack.get()).as("round %s", i).isEqualTo(i + 1);
        }
        other.shutdown();
        assertThat(givenBack).hasPositiveValue();
    }

    @Test
    @DisplayName("a result that is there before anybody asks for it waits")
    void waitsForDemand() {
        AtomicInteger givenBack = new AtomicInteger();
        StepVerifier.create(Detached.run(Mono.just(1), value -> givenBack.incrementAndGet()), 0)
                .thenRequest(1)
                .expectNext(1)
                .verifyComplete();
        assertThat(givenBack).hasValue(0);
        StepVerifier.create(Detached.run(Mono.empty(), value -> givenBack.incrementAndGet()))
                .verifyComplete();
    }

    private static void spin(int times) {
        for (int i = 0; i < times; i++) {
            Thread.onSpinWait();
        }
    }
}
