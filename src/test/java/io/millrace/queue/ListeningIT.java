package io.millrace.queue;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.testing.Eventually;
import io.millrace.testing.FaultProxy;
import io.millrace.testing.OwnRedis;
import java.time.Duration;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.reactivestreams.Subscription;
import reactor.core.Disposable;
import reactor.core.publisher.BaseSubscriber;

/** When listening begins, begins again, and ends. */
class ListeningIT {

    private OwnRedis redis;
    private FaultProxy proxy;
    private QueueRig admin;
    private QueueRig rig; // through the proxy

    @BeforeEach
    void start() {
        redis = OwnRedis.start();
        proxy = FaultProxy.to(redis.uri());
        admin = QueueRig.on(redis.uri(), "l");
        rig = QueueRig.on(proxy.uri(), "l");
    }

    @AfterEach
    void stop() {
        rig.close();
        admin.close();
        proxy.close();
        redis.close();
    }

    @Test
    @DisplayName(
            "after a reconnect word of listening comes when the server has heard of it: what is delivered then is heard")
    void again() {
        Queue<LiveSignal> signals = new ConcurrentLinkedQueue<>();
        Disposable listening = rig.mill.listenSignals("*").subscribe(signals::add);
        Eventually.await("listening", QueueRig.SOON, () -> signals.size() == 1);
        for (int i = 0; i < 3; i++) {
            signals.clear();
            proxy.latency(FaultProxy.Direction.UP, Duration.ofMillis(200), Duration.ZERO);
            proxy.resetAll();
            Eventually.await(
                    "listening again",
                    QueueRig.SOON,
                    () -> signals.stream().anyMatch(LiveSignal.Listening.class::isInstance));
            admin.deliver("a", "again-" + i);
            Eventually.await(
                    "the event",
                    Duration.ofSeconds(2),
                    () -> signals.stream().anyMatch(LiveSignal.Heard.class::isInstance));
            assertThat(signals.peek()).isInstanceOf(LiveSignal.Gap.class);
        }
        listening.dispose();
    }

    @Test
    @DisplayName("closing ends who listens")
    void closed() {
        AtomicBoolean completed = new AtomicBoolean();
        rig.mill.listen("*").doOnComplete(() -> completed.set(true)).subscribe();
        Eventually.await("listening", QueueRig.SOON, () -> admin.number("PUBSUB", "NUMPAT") == 1);
        rig.close();
        assertThat(completed).isTrue();
    }

    @Test
    @DisplayName("who cancels at once, or in the midst of beginning, is not listened for")
    void cancelledAtOnce() {
        for (int i = 0; i < 50; i++) {
            rig.mill.listenSignals("at-once-" + i).subscribe(new BaseSubscriber<>() {
                @Override
                protected void hookOnSubscribe(Subscription subscription) {
                    cancel();
                }
            });
            rig.mill.listenSignals("soon-" + i).subscribe().dispose();
        }
        Queue<LiveSignal> signals = new ConcurrentLinkedQueue<>();
        Disposable listening = rig.mill.listenSignals("*").subscribe(signals::add);
        Eventually.await("listening", QueueRig.SOON, () -> signals.size() == 1);
        Eventually.await("nobody else", Duration.ofSeconds(3), () -> admin.number("PUBSUB", "NUMPAT") == 1);
        listening.dispose();
        Eventually.await("nobody", Duration.ofSeconds(3), () -> admin.number("PUBSUB", "NUMPAT") == 0);
    }
}
