package io.millrace.queue;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Event;
import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.redis.RedisSettings;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.RepeatedTest;
import reactor.core.publisher.Flux;

@RedisTest
class DeliveryOrderIT {

    private static final int EVENTS = 1_000;

    /** Before the first delivery there is no connection, registrations are not loaded, and the server does not know the script. */
    @RepeatedTest(20)
    void theFirstEventsKeepTheirOrderToo(RedisServer redis, @Namespace String namespace) {
        RedisSettings settings = redis.settings(namespace);
        try (Millrace other = Millrace.connect(MillraceSettings.of(settings));
                Millrace mill = Millrace.connect(MillraceSettings.of(settings))) {
            other.queues().register("q", ".*").block();
            other.redis().call("SCRIPT", "FLUSH").block();
            mill.deliver(Flux.range(0, EVENTS).map(i -> Event.of("e", "t", String.valueOf(i))))
                    .blockLast();
            List<String> names = mill.queue("q")
                    .pull(EVENTS)
                    .map(message -> message.event().name())
                    .collectList()
                    .block();
            assertThat(names)
                    .isEqualTo(
                            IntStream.range(0, EVENTS).mapToObj(String::valueOf).toList());
        }
    }
}
