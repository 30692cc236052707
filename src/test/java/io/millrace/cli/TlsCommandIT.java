package io.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.cli.CommandLineIT.Result;
import io.millrace.testing.JvmChild;
import io.millrace.testing.TlsKeys;
import io.millrace.testing.TlsRedis;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Commands on a server that speaks TLS. */
class TlsCommandIT {

    @TempDir
    private static Path folder;

    private static TlsKeys keys;
    private static TlsRedis redis;

    @BeforeAll
    static void start() {
        keys = TlsKeys.make(folder, Map.of("server", "ip:127.0.0.1"));
        redis = TlsRedis.start(keys, "server", folder, "--tls-auth-clients", "no");
    }

    @AfterAll
    static void stop() {
        redis.close();
    }

    private static Result millrace(String address, String... args) {
        return CommandLineIT.run(Map.of("MILLRACE_REDIS", address), new byte[0], args);
    }

    @Test
    @DisplayName("the address names the CA; without it: one line that tells how, and no password")
    void caInTheAddress() {
        String address = "rediss://" + redis.address() + "?cacert=" + keys.ca();
        assertThat(millrace(address, "queue", "register", "q", ".*").code()).isZero();
        assertThat(millrace(address, "deliver", "--environment", "e", "--type", "t", "--name", "n", "--id", "x")
                        .code())
                .isZero();
        assertThat(millrace(address, "queue", "pull", "q").line(0).get("id")).isEqualTo("x");
        Result doctor = millrace(address, "doctor");
        assertThat(doctor.code()).isBetween(0, 1);
        assertThat(doctor.err()).contains("rediss://");
        Result refused = millrace("rediss://u:hunter2@" + redis.address(), "queue", "list");
        assertThat(refused.code()).isEqualTo(2);
        assertThat(refused.err().lines()).singleElement().asString().contains("?cacert=FILE");
        assertThat(refused.err()).doesNotContain("hunter2");
        Result missing = millrace("rediss://" + redis.address() + "?cacert=/nowhere", "queue", "list");
        assertThat(missing.code()).isEqualTo(2);
        assertThat(missing.err().lines()).singleElement().asString().contains("\"/nowhere\" cannot be read");
    }

    @Test
    @DisplayName("or Java itself is told whom to trust")
    void trustStoreOfJava() {
        try (JvmChild child = JvmChild.of(Main.class)
                .property("javax.net.ssl.trustStore", keys.trustStore().toString())
                .property("javax.net.ssl.trustStorePassword", TlsKeys.PASSWORD)
                .args("--redis", "rediss://" + redis.address(), "queue", "register", "r", ".*")
                .start()) {
            assertThat(child.exitCode(Duration.ofSeconds(30)))
                    .as("%s", child.lines())
                    .isZero();
        }
    }
}
