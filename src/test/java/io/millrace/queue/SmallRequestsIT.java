package io.millrace.queue;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Event;
import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.reactivestreams.Subscription;
import reactor.core.publisher.BaseSubscriber;

@RedisTest
class SmallRequestsIT {

    private static final int MESSAGES = 3_000;

    @Test
    @Tag("L7")
    @DisplayName("L7 thousands of small requests, from any thread: demand is never forgotten and never exceeded")
    void soak(RedisServer redis, @Namespace String namespace) throws InterruptedException {
        try (Millrace mill = Millrace.connect(MillraceSettings.of(redis.settings(namespace)))) {
            mill.queues().register("q", ".*").block();
            List<Event> events = IntStream.range(0, MESSAGES)
                    .mapToObj(i -> Event.of("f" + i % 5, "t", "m" + i))
                    .toList();
            mill.queues().deliverAll(events).block(Duration.ofSeconds(30));
            SmallRequests subscriber = new SmallRequests();
            mill.queue("q").receive().subscribe(subscriber);
            assertThat(subscriber.all.await(60, TimeUnit.SECONDS))
                    .as("%s of %s came", subscriber.names.size(), MESSAGES)
                    .isTrue();
            subscriber.cancel();
            assertThat(subscriber.excess).as("more than was asked for").isZero();
            assertThat(subscriber.names).hasSize(MESSAGES).doesNotHaveDuplicates();
        }
    }

    /** Asks for one to three at a time, for the next only when those have come. */
    private static final class SmallRequests extends BaseSubscriber<Delivery> {

        private final List<String> names = new CopyOnWriteArrayList<>();
        private final CountDownLatch all = new CountDownLatch(MESSAGES);
        private final Random random = new Random(7);
        private int open;
        private int excess;

        @Override
        protected void hookOnSubscribe(Subscription subscription) {
            more();
        }

        @Override
        protected void hookOnNext(Delivery delivery) {
            names.add(delivery.event().name());
            open--;
            if (open < 0) {
                excess++;
            }
            all.countDown();
            if (open == 0) {
                more();
            }
        }

        private void more() {
            open = 1 + random.nextInt(3);
            request(open);
        }
    }
}
