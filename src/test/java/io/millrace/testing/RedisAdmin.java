package io.millrace.testing;

import io.lettuce.core.KeyScanCursor;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisURI;
import io.lettuce.core.ScanArgs;
import io.lettuce.core.ScanCursor;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.api.sync.RedisCommands;
import io.lettuce.core.resource.ClientResources;
import io.lettuce.core.sentinel.api.StatefulRedisSentinelConnection;
import io.lettuce.core.sentinel.api.sync.RedisSentinelCommands;
import java.time.Duration;
import java.util.function.Function;

/**
 *  What fixtures ask a server, over a plain connection of their own that is closed again: nothing under test is
 * involved.
 */
final class RedisAdmin {

    private static final Duration TIMEOUT = Duration.ofSeconds(5);

    /**
     *  Shared, because making threads for every question takes longer than asking it. Daemons: they end with the JVM.
     */
    private static final ClientResources THREADS = ClientResources.builder()
            .ioThreadPoolSize(2)
            .computationThreadPoolSize(2)
            .build();

    private RedisAdmin() {}

    /** Connects, asks and disconnects. */
    static <T> T ask(String uri, Function<RedisCommands<String, String>, T> question) {
        RedisURI target = RedisURI.create(uri);
        target.setTimeout(TIMEOUT);
        RedisClient client = RedisClient.create(THREADS, target);
        try (StatefulRedisConnection<String, String> connection = client.connect()) {
            return question.apply(connection.sync());
        } finally {
            client.shutdown(Duration.ZERO, TIMEOUT);
        }
    }

    /** As {@link #ask}, but a sentinel. */
    static <T> T askSentinel(String uri, Function<RedisSentinelCommands<String, String>, T> question) {
        RedisClient client = RedisClient.create(THREADS);
        RedisURI target = RedisURI.create(uri);
        target.setTimeout(TIMEOUT);
        try (StatefulRedisSentinelConnection<String, String> connection = client.connectSentinel(target)) {
            return question.apply(connection.sync());
        } finally {
            client.shutdown(Duration.ZERO, TIMEOUT);
        }
    }

    /** Such as {@code redis 7.0.15} or {@code valkey 8.0.1}. */
    static String version(String uri) {
        String info = ask(uri, redis -> redis.info("server"));
        String valkey = field(info, "valkey_version");
        return valkey.isEmpty() ? "redis " + field(info, "redis_version") : "valkey " + valkey;
    }

    /** Removes the keys that begin with a prefix, which must not contain characters special to Redis patterns. */
    static long removeKeys(String uri, String prefix) {
        return ask(uri, redis -> {
            long removed = 0;
            ScanArgs all = ScanArgs.Builder.matches(prefix + "*").limit(1000);
            KeyScanCursor<String> page = redis.scan(ScanCursor.INITIAL, all);
            while (true) {
                if (!page.getKeys().isEmpty()) {
                    removed += redis.unlink(page.getKeys().toArray(String[]::new));
                }
                if (page.isFinished()) {
                    return removed;
                }
                page = redis.scan(page, all);
            }
        });
    }

    /** How many replicas of a master have its data and follow it. */
    static long replicasOnline(String uri) {
        return ask(uri, redis -> redis.info("replication"))
                .lines()
                .filter(line -> line.startsWith("slave") && line.contains("state=online"))
                .count();
    }

    /** One field of what INFO or CLUSTER INFO answers; empty if there is none. */
    static String field(String info, String name) {
        return info.lines()
                .filter(line -> line.startsWith(name + ":"))
                .map(line -> line.substring(name.length() + 1))
                .findFirst()
                .orElse("");
    }
}
