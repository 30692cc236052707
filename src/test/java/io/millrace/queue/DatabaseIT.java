package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Event;
import io.millrace.testing.Eventually;
import io.millrace.testing.OwnRedis;
import java.time.Duration;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;
import reactor.util.retry.Retry;

/** Addresses that name a database. */
class DatabaseIT {

    @Test
    @DisplayName(
            "/1 and /0 with one namespace: queues of their own, also after a reconnect; what is live is heard in both")
    void apart() {
        try (OwnRedis redis = OwnRedis.start();
                QueueRig zero = QueueRig.on(redis.uri(), "d");
                QueueRig one = QueueRig.on(redis.uri() + "/1", "d")) {
            zero.deliver("a", "zero");
            one.deliver("a", "one");
            assertThat(one.pullIds(9)).containsExactly("one");
            assertThat(zero.pullIds(9)).containsExactly("zero");

            Queue<String> got = new ConcurrentLinkedQueue<>();
            Disposable consuming = one.queue
                    .consume(
                            message -> Mono.fromRunnable(() -> got.add(message.id())),
                            ConsumeOptions.builder()
                                    .lease(LONG.mutate()
                                            .pollInterval(Duration.ofMinutes(1))
                                            .build())
                                    .build())
                    .subscribe();
            one.deliver("a", "woken");
            Eventually.await("a message", SOON, () -> got.contains("woken"));
            zero.number("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
            Mono.defer(() -> one.mill.deliver(event("a", "again")))
                    .retryWhen(Retry.fixedDelay(100, Duration.ofMillis(20)))
                    .block(SOON);
            Eventually.await("the next", SOON, () -> got.contains("again"));
            consuming.dispose();
            assertThat(zero.pullIds(9)).isEmpty();
            assertThat(zero.raw("INFO", "keyspace").text(0)).contains("db0:").contains("db1:");

            // Publish and subscribe knows no databases: that is why the README advises another namespace.
            Queue<Event> heard = new ConcurrentLinkedQueue<>();
            Disposable listening = zero.mill.listen("*").subscribe(heard::add);
            Eventually.await("word from the other database", SOON, () -> {
                one.mill.deliver(Event.of("a", "live", "x")).block(SOON);
                return !heard.isEmpty();
            });
            listening.dispose();
        }
    }
}
