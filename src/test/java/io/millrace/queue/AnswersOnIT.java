package io.millrace.queue;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Event;
import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.redis.RedisSettings;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;

/** Where what a user does with results runs. */
@RedisTest
class AnswersOnIT {

    private static final Duration SOON = Duration.ofSeconds(20);

    private RedisServer redis;
    private String namespace;

    @BeforeEach
    void take(RedisServer server, @Namespace String name) {
        redis = server;
        namespace = name;
    }

    /** Names of the threads that results of deliveries and pulls, and messages arrive on. */
    private Set<String> threads(UnaryOperator<RedisSettings.Builder> settings, Set<String> handlers) {
        Set<String> threads = ConcurrentHashMap.newKeySet();
        Runnable here = () -> threads.add(Thread.currentThread().getName().replaceAll("[-0-9]+$", ""));
        try (Millrace mill = Millrace.connect(MillraceSettings.of(
                settings.apply(RedisSettings.builder(redis.uri()).namespace(namespace))
                        .build()))) {
            FacetQueue queue = mill.queue("q");
            mill.queues().register("q", ".*").block(SOON);
            threads.clear();
            Flux.range(0, 20)
                    .concatMap(i -> mill.deliver(Event.of("a", "t", "n" + i)).doOnNext(done -> here.run()))
                    .blockLast(SOON);
            queue.pull().doOnNext(message -> here.run()).block(SOON);
            queue.receive()
                    .take(9)
                    .concatMap(one -> Mono.fromRunnable(here).then(one.ack()).doOnNext(done -> here.run()))
                    .blockLast(SOON);
            Disposable consuming = queue.consume(message -> Mono.fromRunnable(
                            () -> handlers.add(Thread.currentThread().getName().replaceAll("[-0-9]+$", ""))))
                    .subscribe();
            Eventually.await(
                    "all handled",
                    SOON,
                    () -> !handlers.isEmpty() && queue.load(1).block(SOON).waiting() == 0);
            consuming.dispose();
        }
        threads.remove(
                Thread.currentThread().getName()); // what is there already when it is asked for comes to the asker
        return threads;
    }

    @Test
    @Tag("L8")
    @DisplayName("L8 on Millrace's own threads, unless told otherwise")
    void byDefault() {
        Set<String> handlers = ConcurrentHashMap.newKeySet();
        assertThat(threads(settings -> settings, handlers)).containsExactly("millrace");
        assertThat(handlers).containsExactly("boundedElastic");
    }

    @Test
    @DisplayName("on the event loop for who asks for it; handlers of consume stay where they may block")
    void onTheEventLoop() {
        Set<String> handlers = ConcurrentHashMap.newKeySet();
        assertThat(threads(settings -> settings.answersOn(Schedulers.immediate()), handlers))
                .anyMatch(name -> name.startsWith("lettuce-"))
                .allMatch(
                        name -> name.startsWith("lettuce-") || name.equals("millrace")); // what came ahead of its turn
        assertThat(handlers).containsExactly("boundedElastic");
    }

    @Test
    @DisplayName("on a scheduler of the user's, which stays open")
    void onAnother() {
        Scheduler own = Schedulers.newSingle("own");
        try {
            assertThat(threads(settings -> settings.answersOn(own), ConcurrentHashMap.newKeySet()))
                    .containsExactly("own");
            assertThat(Mono.just(1).publishOn(own).block(SOON)).isEqualTo(1);
        } finally {
            own.dispose();
        }
    }
}
