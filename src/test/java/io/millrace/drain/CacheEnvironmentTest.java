package io.millrace.drain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.URI;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CacheEnvironmentTest {

    @Test
    @DisplayName("what is not said: a year, a second, TLS verified, no circuit")
    void defaults() {
        CacheEnvironment read = CacheEnvironment.of(Map.of());
        assertThat(read.redis()).isNull();
        assertThat(read.expiry()).isEqualTo(Duration.ofSeconds(31_536_000));
        assertThat(read.timeout()).isEqualTo(Duration.ofSeconds(1));
        assertThat(read.verifyTls()).isTrue();
        assertThat(read.circuit()).isFalse();
        assertThat(read.userAgent()).isNull();
        assertThat(read.credentials().size()).isZero();
        assertThat(read.circuit("example.com")).isEqualTo(new CacheEnvironment.Circuit(null, null, null, null));
    }

    @Test
    @DisplayName(
            "everything under the names of the seed; a host's circuit is its own; no password is shown or kept elsewhere")
    void all() {
        CacheEnvironment read = CacheEnvironment.of(Map.ofEntries(
                Map.entry("ROUTEMASTER_CACHE_REDIS", "redis://user:s3cr3t@myhost:1234/12/ns"),
                Map.entry("ROUTEMASTER_CACHE_EXPIRY", "3600"),
                Map.entry("ROUTEMASTER_CACHE_AUTH", "server1:user:p4ss"),
                Map.entry("ROUTEMASTER_CACHE_TIMEOUT", "0.5"),
                Map.entry("ROUTEMASTER_CACHE_VERIFY_SSL", "false"),
                Map.entry("ROUTEMASTER_QUEUE_NAME", "jobs"),
                Map.entry("ROUTEMASTER_API_CLIENT_USER_AGENT", "shop/1"),
                Map.entry("ROUTEMASTER_ENABLE_API_CLIENT_CIRCUIT", "YES"),
                Map.entry("ROUTEMASTER_CIRCUIT_BREAKER_SLEEP_WINDOW", "60"),
                Map.entry("ROUTEMASTER_CIRCUIT_BREAKER_ERROR_THRESHOLD", "50"),
                Map.entry("example.com.ROUTEMASTER_CIRCUIT_BREAKER_SLEEP_WINDOW", "5"),
                Map.entry("example.com.ROUTEMASTER_CIRCUIT_BREAKER_VOLUME_THRESHOLD", "7")));
        assertThat(read.redis()).isEqualTo("redis://user:s3cr3t@myhost:1234/12?namespace=ns");
        assertThat(read.expiry()).isEqualTo(Duration.ofHours(1));
        assertThat(read.timeout()).isEqualTo(Duration.ofMillis(500));
        assertThat(read.verifyTls()).isFalse();
        assertThat(read.queue()).isEqualTo("jobs");
        assertThat(read.userAgent()).isEqualTo("shop/1");
        assertThat(read.circuit()).isTrue();
        assertThat(read.credentials().authorization(URI.create("https://server1/a")))
                .startsWith("Basic ");
        assertThat(read.circuit("Example.com"))
                .isEqualTo(new CacheEnvironment.Circuit(Duration.ofSeconds(5), null, 7, 50));
        assertThat(read.circuit("other"))
                .isEqualTo(new CacheEnvironment.Circuit(Duration.ofSeconds(60), null, null, 50));
        assertThat(read.toString()).doesNotContain("s3cr3t").doesNotContain("p4ss");
        assertThat(read.environment()).hasSize(4);
    }

    @ParameterizedTest
    @CsvSource({
        "ROUTEMASTER_CACHE_EXPIRY, soon",
        "ROUTEMASTER_CACHE_EXPIRY, 0",
        "ROUTEMASTER_CACHE_TIMEOUT, -1",
        "ROUTEMASTER_CACHE_VERIFY_SSL, maybe",
        "ROUTEMASTER_ENABLE_API_CLIENT_CIRCUIT, 2",
        "ROUTEMASTER_CIRCUIT_BREAKER_ERROR_THRESHOLD, 101",
        "ROUTEMASTER_CIRCUIT_BREAKER_VOLUME_THRESHOLD, many"
    })
    @DisplayName("a value that is none is refused, with its name")
    void refused(String name, String value) {
        assertThatThrownBy(() -> CacheEnvironment.of(Map.of(name, value)).circuit("h"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(name)
                .hasMessageContaining(value);
    }
}
