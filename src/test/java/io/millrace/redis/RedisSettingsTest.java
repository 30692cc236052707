package io.millrace.redis;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.millrace.redis.RedisSettings.Topology;
import io.millrace.testing.TlsKeys;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class RedisSettingsTest {

    @ParameterizedTest(name = "{0} is {1}")
    @CsvSource({
        "redis://localhost, SINGLE",
        "redis://localhost:6379/3, SINGLE",
        "rediss://user:pa%24s@db.example.com:6380, SINGLE",
        "redis://[::1]:6379, SINGLE",
        "'redis-sentinel://h1:26379,h2:26379/0#master', SENTINEL",
        "'redis-cluster://h1:6379,h2:6379,h3', CLUSTER",
        "'rediss-cluster://user:secret@h1,h2', CLUSTER",
    })
    void addresses(String address, Topology topology) {
        assertThat(RedisSettings.of(address).topology()).isEqualTo(topology);
        assertThat(RedisSettings.of(address).namespace()).isEqualTo("millrace");
    }

    @ParameterizedTest(name = "{0} is refused")
    @ValueSource(
            strings = {
                "",
                "localhost",
                "localhost:6379",
                "http://localhost",
                "redis://",
                "redis://user:secret@",
                "redis://host:port",
                "redis-sentinel://h1:26379",
                "redis-cluster://h1/3",
                "redis-cluster://",
                "redis-cluster://h1,,h2",
                "redis://h:99999"
            })
    void refused(String address) {
        assertThatThrownBy(() -> RedisSettings.of(address))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("expected for example")
                .hasMessageNotContaining("secret");
    }

    @Test
    @DisplayName("the address may name the namespace; the driver's own parameters stay")
    void namespaceInAddress() {
        RedisSettings settings = RedisSettings.of("redis://localhost:6379/1?namespace=shop&timeout=5s");
        assertThat(settings.namespace()).isEqualTo("shop");
        assertThat(settings.nodes()).containsExactly("redis://localhost:6379/1?timeout=5s");
        RedisSettings sentinel = RedisSettings.of("redis-sentinel://h1,h2?namespace=shop#master");
        assertThat(sentinel.namespace()).isEqualTo("shop");
        assertThat(sentinel.nodes()).containsExactly("redis-sentinel://h1,h2#master");
    }

    @Test
    @DisplayName("every seed of a cluster gets the credentials")
    void clusterSeeds() {
        assertThat(RedisSettings.of("rediss-cluster://u:p@h1:1,h2:2").nodes())
                .containsExactly("rediss://u:p@h1:1", "rediss://u:p@h2:2");
    }

    @Test
    @DisplayName("no password in what is shown")
    void masked() {
        RedisSettings settings = RedisSettings.of("redis://me:very-secret@localhost");
        assertThat(settings.toString()).contains("***@localhost").doesNotContain("very-secret");
        assertThat(settings.maskedAddress()).isEqualTo("redis://***@localhost");
    }

    @Test
    @DisplayName("values out of range are named")
    void ranges() {
        RedisSettings.Builder builder = RedisSettings.builder("redis://localhost");
        assertThatThrownBy(() -> builder.commandTimeout(Duration.ofMillis(1))).hasMessageContaining("PT0.001S");
        assertThatThrownBy(() -> builder.requestQueueSize(1)).hasMessageContaining("was 1");
        assertThatThrownBy(() -> builder.namespace("a b")).hasMessageContaining("\"a b\"");
        assertThatThrownBy(() -> builder.namespace("a{b")).hasMessageContaining("braces");
        assertThat(builder.namespace("").build().namespace()).isEmpty();
    }

    @Test
    @DisplayName("random text is refused or accepted, never anything else")
    void fuzz() {
        Random random = new Random(42);
        String alphabet = "redis:/@,#?&=%[]{}. \\\"\u0000é0123456789-";
        for (int i = 0; i < 5_000; i++) {
            StringBuilder text = new StringBuilder(random.nextBoolean() ? "redis://" : "redis-cluster://");
            for (int j = random.nextInt(20); j > 0; j--) {
                text.append(alphabet.charAt(random.nextInt(alphabet.length())));
            }
            String address = text.toString();
            try {
                assertThat(RedisSettings.of(address).nodes()).isNotEmpty();
            } catch (IllegalArgumentException expected) {
                assertThat(expected).hasMessageMatching("(?s).*(no Redis address|namespace must).*");
            }
        }
    }

    @Test
    @DisplayName("certificates are named by the address or the builder, kept by mutate, and only for TLS")
    void certificates(@TempDir Path folder) throws Exception {
        TlsKeys keys = TlsKeys.make(folder, Map.of("client", "dns:millrace"));
        String files = "?cacert=" + keys.ca() + "&cert=" + keys.certificate("client") + "&key=" + keys.key("client");
        RedisSettings settings = RedisSettings.of("rediss://localhost" + files + "&timeout=5s");
        assertThat(settings.nodes()).containsExactly("rediss://localhost?timeout=5s");
        assertThat(settings.mutate().build().tls()).isSameAs(settings.tls());
        assertThatThrownBy(() -> RedisSettings.of("redis://localhost" + files)).hasMessageContaining("rediss");
        assertThatThrownBy(() -> RedisSettings.of("rediss://localhost?cert=" + keys.ca()))
                .hasMessageContaining("cert and key belong together");
        RedisSettings.Builder builder = RedisSettings.builder("rediss://localhost");
        Path missing = folder.resolve("missing");
        assertThatThrownBy(() -> builder.caCertificate(missing))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(missing.toString());
        Path nonsense = Files.writeString(folder.resolve("nonsense"), "hunter2");
        assertThatThrownBy(() -> builder.caCertificate(nonsense))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("PEM")
                .hasMessageNotContaining("hunter2");
        assertThatThrownBy(() -> builder.clientCertificate(keys.certificate("client"), nonsense))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("pkcs8")
                .hasMessageNotContaining("hunter2");
    }
}
