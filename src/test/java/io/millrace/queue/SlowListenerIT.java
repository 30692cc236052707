package io.millrace.queue;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Event;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.reactivestreams.Subscription;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;

/** L13: a listener that takes nothing for a while. */
@RedisTest
@Tag("L13")
class SlowListenerIT {

    private static final int EVENTS = 2_000;
    private static final int AT_ONCE = 100;

    @Test
    @DisplayName(
            "L13 a listener stalls while 100 MB come: memory is bounded, the gap is told with its size, others lose nothing")
    void stalled(RedisServer server, @Namespace String namespace) {
        try (QueueRig rig = QueueRig.on(server, namespace);
                QueueRig listening = QueueRig.on(server, namespace)) {
            rig.mill.queues().unregister("q").block(QueueRig.SOON); // only published
            AtomicBoolean ready = new AtomicBoolean();
            AtomicBoolean otherReady = new AtomicBoolean();
            AtomicLong heard = new AtomicLong();
            AtomicLong lost = new AtomicLong();
            AtomicLong fast = new AtomicLong();
            BaseSubscriber<LiveSignal> slow = new BaseSubscriber<>() {
                @Override
                protected void hookOnSubscribe(Subscription subscription) {
                    request(1); // for word that it listens
                }

                @Override
                protected void hookOnNext(LiveSignal signal) {
                    ready.set(true);
                    if (signal instanceof LiveSignal.Heard) {
                        heard.incrementAndGet();
                    } else if (signal instanceof LiveSignal.Gap gap) {
                        lost.addAndGet(gap.lost());
                    }
                }
            };
            listening.mill.listenSignals("*").subscribe(slow);
            BaseSubscriber<LiveSignal> other = new BaseSubscriber<>() {
                @Override
                protected void hookOnNext(LiveSignal signal) {
                    otherReady.set(true);
                    fast.addAndGet(signal instanceof LiveSignal.Heard ? 1 : 0);
                }
            };
            rig.mill.listenSignals("*").subscribe(other);
            Eventually.await("both to listen", QueueRig.SOON, () -> ready.get() && otherReady.get());
            long before = usedHeap();
            String body = "x".repeat(50_000);
            // As fast as the other hears them: what it cannot keep up with the server would drop for it, too.
            for (int sent = 0; sent < EVENTS; sent += AT_ONCE) {
                rig.mill
                        .deliver(Flux.range(sent, AT_ONCE)
                                .map(i -> Event.of("f" + i % 5, "t", "n").withData(body)))
                        .blockLast(QueueRig.SOON);
                int all = sent + AT_ONCE;
                Eventually.await("the other to hear all", QueueRig.SOON, () -> fast.get() == all);
            }
            listening.raw("PING");
            assertThat(usedHeap() - before).isLessThan(2 * LiveEvents.BUFFERED_BYTES + (16L << 20));
            slow.request(Long.MAX_VALUE);
            Eventually.await("all accounted for", QueueRig.SOON, () -> heard.get() + lost.get() == EVENTS);
            assertThat(lost.get()).isGreaterThan(EVENTS / 2);
            assertThat(heard.get()).isPositive();
            slow.cancel();
            other.cancel();
        }
    }

    private static long usedHeap() {
        System.gc();
        Runtime runtime = Runtime.getRuntime();
        return runtime.totalMemory() - runtime.freeMemory();
    }
}
