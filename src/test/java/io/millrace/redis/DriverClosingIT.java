package io.millrace.redis;

import static org.assertj.core.api.Assertions.assertThat;

import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisURI;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.codec.RedisCodec;
import io.lettuce.core.resource.DefaultClientResources;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.scheduler.Schedulers;

@RedisTest
class DriverClosingIT {

    private static final Duration SOON = Duration.ofSeconds(20);

    /** A client that remembers whether its connections were closed where nothing may wait. */
    private static final class Watched extends RedisClient {

        private final List<Boolean> mayNotWait = new CopyOnWriteArrayList<>();

        Watched(RedisURI uri) {
            super(DefaultClientResources.create(), uri);
        }

        @Override
        @SuppressWarnings("unchecked")
        public <K, V> StatefulRedisConnection<K, V> connect(RedisCodec<K, V> codec) {
            StatefulRedisConnection<K, V> open = super.connect(codec);
            return (StatefulRedisConnection<K, V>) Proxy.newProxyInstance(
                    getClass().getClassLoader(),
                    new Class<?>[] {StatefulRedisConnection.class},
                    (self, method, arguments) -> {
                        if (method.getName().equals("hashCode")) {
                            return System.identityHashCode(self);
                        }
                        if (method.getName().equals("equals")) {
                            return self == arguments[0];
                        }
                        if (method.getName().equals("closeAsync")) {
                            mayNotWait.add(Schedulers.isInNonBlockingThread());
                        }
                        try {
                            return method.invoke(open, arguments);
                        } catch (InvocationTargetException e) {
                            throw e.getCause();
                        }
                    });
        }
    }

    @Test
    @DisplayName(
            "connections of a ready-made client are closed where the driver may wait for its locks, whoever asks for it")
    void readyMade(RedisServer redis) {
        Watched client = new Watched(RedisURI.create(redis.uri()));
        try {
            Driver driver = Driver.with(client, Duration.ofSeconds(2));
            assertThat(driver.connect().block(SOON)).isNotNull();
            driver.close().subscribeOn(Schedulers.parallel()).block(SOON);
            assertThat(client.mayNotWait).containsExactly(false);
        } finally {
            client.shutdown(Duration.ZERO, SOON);
            var unused = client.getResources().shutdown(0, 1, TimeUnit.SECONDS);
        }
    }
}
