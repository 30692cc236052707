package io.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Millrace;
import io.millrace.cli.CommandLineIT.Result;
import io.millrace.json.Json;
import io.millrace.server.ServerDoctor;
import io.millrace.testing.Eventually;
import io.millrace.testing.OwnRedis;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** {@code doctor} on servers that are not as they should be: the finding, its words, and the exit code. */
class ServerDoctorCommandIT {

    private static final Duration SOON = Duration.ofSeconds(20);

    private static Result doctor(String uri) {
        return CommandLineIT.run(Map.of("MILLRACE_REDIS", uri), new byte[0], "doctor");
    }

    private static String info(Millrace mill) {
        return new String(
                Objects.requireNonNull((byte[]) mill.redis().call("INFO").block(SOON)), StandardCharsets.UTF_8);
    }

    /** Check and level of all that is not well, but for the version: the bundled server is an old one. */
    private static Map<String, String> notWell(Result result) {
        return result.out().stream()
                .map(line -> (Map<?, ?>) Json.read(line))
                .filter(finding -> !"ok".equals(finding.get("level")) && !"version".equals(finding.get("check")))
                .collect(Collectors.toMap(
                        finding -> String.valueOf(finding.get("check")),
                        finding -> String.valueOf(finding.get("level"))));
    }

    @Test
    @DisplayName("warnings are 1: nearly full, written to disk by chance, replicas that nothing waits for")
    void warnings() {
        try (OwnRedis redis = OwnRedis.startDurable("--appendfsync", "no");
                OwnRedis replica = OwnRedis.start("--replicaof", "127.0.0.1", String.valueOf(redis.port()));
                Millrace admin = Millrace.connect(redis.uri())) {
            Eventually.await("the replica", SOON, () -> info(admin).contains("state=online"));
            admin.redis().call("SETRANGE", "big", 4 << 20, "x").block(SOON); // through no buffer that is freed later
            long used = info(admin)
                    .lines()
                    .filter(line -> line.startsWith("used_memory:"))
                    .mapToLong(line -> Long.parseLong(line.substring(line.indexOf(':') + 1)))
                    .sum();
            admin.redis().call("CONFIG", "SET", "maxmemory", used * 10 / 9).block(SOON);
            Result result = doctor(redis.uri());
            assertThat(notWell(result))
                    .containsOnlyKeys("maxmemory", "appendonly", "min-replicas-to-write")
                    .containsValue("warning");
            assertThat(result.code()).isEqualTo(1);
            assertThat(result.err())
                    .contains("deliveries are refused (OOM)")
                    .contains("a crash of the host loses up to half a minute")
                    .contains("what the failover then throws away");

            Result onReplica = doctor(replica.uri());
            assertThat(notWell(onReplica)).containsEntry("role", "error");
            assertThat(onReplica.code()).isEqualTo(2);
            assertThat(onReplica.err()).contains("This server is a replica").contains("redis-sentinel://");
        }
    }

    @Test
    @DisplayName("a master that refuses writes for want of replicas is an error, 2")
    void replicasMissing() {
        try (OwnRedis redis = OwnRedis.startDurable("--min-replicas-to-write", "1")) {
            Result result = doctor(redis.uri());
            assertThat(notWell(result)).isEqualTo(Map.of("min-replicas-to-write", "error"));
            assertThat(result.code()).isEqualTo(2);
            assertThat(result.err()).contains("refuses all writes (NOREPLICAS)").contains("Bring replicas back");
        }
    }

    @Test
    @DisplayName("a user who may not ask for settings is told what is not known, and that is no warning")
    void configRefused() {
        try (OwnRedis redis = OwnRedis.startDurable()) {
            try (Millrace admin = Millrace.connect(redis.uri())) {
                admin.redis()
                        .call("ACL", "SETUSER", "poor", "on", ">secret", "~*", "&*", "+@all", "-config")
                        .block(SOON);
            }
            Result result = doctor(redis.uri().replace("redis://", "redis://poor:secret@"));
            assertThat(notWell(result)).isEmpty();
            assertThat(result.code()).isEqualTo(1); // the bundled server's version
            assertThat(result.err())
                    .contains("yes, fsync unknown")
                    .containsPattern("min-replicas-to-write +unknown\\s+This user may not ask the server about it");
        }
    }

    @Test
    @DisplayName("0, 1 and 2")
    void exitCodes() {
        assertThat(DoctorCommand.exitCode(ServerDoctor.Level.OK)).isZero();
        assertThat(DoctorCommand.exitCode(ServerDoctor.Level.WARNING)).isEqualTo(1);
        assertThat(DoctorCommand.exitCode(ServerDoctor.Level.ERROR)).isEqualTo(2);
        assertThat(doctor("redis://127.0.0.1:1").code()).isEqualTo(2);
    }
}
