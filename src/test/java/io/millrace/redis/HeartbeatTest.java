package io.millrace.redis;

import static org.assertj.core.api.Assertions.assertThat;

import io.lettuce.core.api.StatefulConnection;
import io.lettuce.core.protocol.RedisCommand;
import java.lang.reflect.Proxy;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.test.scheduler.VirtualTimeScheduler;

class HeartbeatTest {

    private final VirtualTimeScheduler time = VirtualTimeScheduler.getOrSet();

    @AfterEach
    void realTime() {
        VirtualTimeScheduler.reset();
    }

    /** Open, and answers nothing; counts what it is asked. */
    @SuppressWarnings("unchecked")
    private static StatefulConnection<byte[], byte[]> connection(AtomicInteger asked, boolean broken) {
        return (StatefulConnection<byte[], byte[]>) Proxy.newProxyInstance(
                HeartbeatTest.class.getClassLoader(),
                new Class<?>[] {StatefulConnection.class},
                (proxy, method, args) -> switch (method.getName()) {
                    case "isOpen" -> true;
                    case "hashCode" -> System.identityHashCode(proxy);
                    case "equals" -> proxy == args[0];
                    case "dispatch" -> {
                        asked.incrementAndGet();
                        if (broken) {
                            throw new IllegalStateException("this one cannot be written to");
                        }
                        yield args[0] instanceof RedisCommand<?, ?, ?> ? args[0] : null;
                    }
                    default -> throw new UnsupportedOperationException(method.getName());
                });
    }

    @Test
    @DisplayName("F11 a connection that cannot be asked keeps neither itself nor the others from being asked again")
    void oneThatThrows() {
        AtomicInteger good = new AtomicInteger();
        AtomicInteger bad = new AtomicInteger();
        Heartbeat heartbeat = new Heartbeat();
        heartbeat.watch(connection(bad, true));
        heartbeat.watch(connection(good, false));
        for (int beats = 1; beats < Heartbeat.CHANCES; beats++) {
            time.advanceTimeBy(Heartbeat.INTERVAL);
            assertThat(good).hasValue(beats);
            assertThat(bad).hasValue(beats);
        }
    }
}
