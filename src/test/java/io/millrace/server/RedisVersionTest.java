package io.millrace.server;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RedisVersionTest {

    @ParameterizedTest
    @CsvSource({
        "7.0.15, false, false", "7.2.10, false, true", "7.2.11, true, true", "7.4.5, false, true", "8.0.4, true, true",
        "8.2.1, false, true", "8.2.2, true, true", "8.6.2, true, true", "8.6.3, true, false", "9.0.0-rc1, true, false"
    })
    void knowsWhichRedisHasWhichHole(String version, boolean luaFixed, boolean blockedClientHole) {
        RedisVersion redis = RedisVersion.of(Map.of("redis_version", version));
        assertThat(redis.hasLuaFixes()).isEqualTo(luaFixed);
        assertThat(redis.hasBlockedClientHole()).isEqualTo(blockedClientHole);
    }

    @ParameterizedTest
    @CsvSource({"7.2.10, false", "7.2.11, true", "8.0.5, false", "8.1.4, true", "9.0.0, true"})
    void tellsValkeyFromRedis(String version, boolean luaFixed) {
        RedisVersion valkey = RedisVersion.of(Map.of("redis_version", "7.2.4", "valkey_version", version));
        assertThat(valkey).hasToString("Valkey " + version);
        assertThat(valkey.hasLuaFixes()).isEqualTo(luaFixed);
        assertThat(valkey.hasBlockedClientHole()).isFalse();
    }
}
