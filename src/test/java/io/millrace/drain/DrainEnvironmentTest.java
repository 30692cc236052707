package io.millrace.drain;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.redis.RedisSettings;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DrainEnvironmentTest {

    @Test
    @DisplayName("tokens and secrets are lists with commas; an empty one lets nobody in")
    void lists() {
        DrainEnvironment read =
                DrainEnvironment.of(Map.of("ROUTEMASTER_DRAIN_TOKENS", "a, b,,", "MILLRACE_WEBHOOK_SECRETS", " "));
        assertThat(read.tokens()).containsExactly("a", "b");
        assertThat(read.webhookSecrets()).isEmpty();
        assertThat(read.redis()).isNull();
    }

    @ParameterizedTest
    @CsvSource({
        "redis://user:s3cr3t@myhost:1234/12/ns, redis://user:s3cr3t@myhost:1234/12?namespace=ns, ns",
        "redis://h/0/a b, redis://h/0?namespace=a+b, ",
        "redis://h/0/, redis://h/0, millrace",
        "redis://h/3, redis://h/3, millrace",
        "redis://h, redis://h, millrace"
    })
    @DisplayName("the namespace is a part of the path, as the seed has it; nothing shows the password")
    void redis(String given, String address, String namespace) {
        DrainEnvironment read = DrainEnvironment.of(Map.of("ROUTEMASTER_DRAIN_REDIS", given));
        assertThat(read.redis()).isEqualTo(address);
        if (namespace != null) {
            assertThat(RedisSettings.of(address).namespace()).isEqualTo(namespace);
            assertThat(read.toString()).doesNotContain("s3cr3t");
        }
    }
}
