package io.millrace.testing;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class OwnRedisIT {

    @Test
    void settingsArePassedOnWithAllTheirValues() {
        try (OwnRedis redis =
                OwnRedis.start("--maxmemory", "64mb", "--save", "60", "100", "--notify-keyspace-events", "Ex")) {
            assertThat(setting(redis, "maxmemory")).isEqualTo("67108864");
            assertThat(setting(redis, "save")).isEqualTo("60 100");
            assertThat(setting(redis, "notify-keyspace-events")).isEqualTo("xE");
        }
    }

    @Test
    void aDurableOneKeepsItsDataOverKill9AndRestartAndLeavesNothing() {
        Path folder;
        try (OwnRedis redis = OwnRedis.startDurable()) {
            folder = redis.log().getParent();
            RedisAdmin.ask(redis.uri(), commands -> commands.set("written", "before"));
            redis.kill9();
            assertThat(redis.isAlive()).isFalse();
            redis.restart();
            assertThat(RedisAdmin.<String>ask(redis.uri(), commands -> commands.get("written")))
                    .isEqualTo("before");
        }
        assertThat(folder).doesNotExist();
    }

    private static String setting(OwnRedis redis, String name) {
        return RedisAdmin.ask(redis.uri(), commands -> commands.configGet(name).get(name));
    }
}
