package io.millrace.server;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Event;
import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.queue.Delivery;
import io.millrace.queue.LeaseOptions;
import io.millrace.queue.LiveSignal;
import io.millrace.redis.RedisSettings;
import io.millrace.testing.OwnRedis;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import reactor.test.StepVerifier;

class ServerDoctorIT {

    private static final Duration SOON = Duration.ofSeconds(20);

    private static Map<String, ServerDoctor.Finding> examine(String uri) {
        try (Millrace mill = Millrace.connect(uri)) {
            return new ServerDoctor(mill, false)
                    .examine().block(SOON).stream()
                            .collect(Collectors.toMap(ServerDoctor.Finding::check, Function.identity()));
        }
    }

    @Test
    void findsWhatLosesMessages() {
        try (OwnRedis redis = OwnRedis.start("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")) {
            Map<String, ServerDoctor.Finding> findings = examine(redis.uri());
            assertThat(findings.get("maxmemory-policy").level()).isEqualTo(ServerDoctor.Level.ERROR);
            assertThat(findings.get("appendonly").level()).isEqualTo(ServerDoctor.Level.WARNING);
            assertThat(findings.values())
                    .allSatisfy(finding -> assertThat(finding.meaning()).isNotBlank());
            assertThat(findings.values())
                    .filteredOn(finding -> finding.level() != ServerDoctor.Level.OK)
                    .allSatisfy(finding -> assertThat(finding.advice()).isNotBlank());
        }
    }

    @Test
    void isContentWithADurableServer() {
        try (OwnRedis redis = OwnRedis.startDurable()) {
            Map<String, ServerDoctor.Finding> findings = examine(redis.uri());
            assertThat(findings.keySet())
                    .containsExactlyInAnyOrder(
                            "connection",
                            "version",
                            "role",
                            "maxmemory-policy",
                            "maxmemory",
                            "appendonly",
                            "min-replicas-to-write",
                            "acl",
                            "clock",
                            "latency");
            findings.remove("version"); // the bundled server is an old one
            assertThat(findings.values())
                    .extracting(ServerDoctor.Finding::level)
                    .containsOnly(ServerDoctor.Level.OK);
        }
    }

    @Test
    void aServerThatCannotBeReachedIsAnError() {
        Map<String, ServerDoctor.Finding> findings = examine("redis://127.0.0.1:1");
        assertThat(findings).containsOnlyKeys("connection");
        assertThat(findings.get("connection").level()).isEqualTo(ServerDoctor.Level.ERROR);
    }

    @Test
    void theUserItProposesCanDoEverythingMillraceDoes() {
        try (OwnRedis redis = OwnRedis.start()) {
            String line = ServerDoctor.aclLine("app").replace("PASSWORD", "secret");
            try (Millrace admin = Millrace.connect(redis.uri())) {
                List<String> words = List.of(line.split(" "));
                admin.redis()
                        .call("ACL", words.subList(1, words.size()).toArray())
                        .block(SOON);
            }
            String uri = redis.uri().replace("redis://", "redis://millrace:secret@");
            Millrace mill = Millrace.connect(MillraceSettings.of(
                    RedisSettings.builder(uri).namespace("app").build()));
            try {
                mill.queues().register("q", ".*").block(SOON);
                StepVerifier.create(mill.listenSignals("*"))
                        .expectNext(new LiveSignal.Listening())
                        .then(() -> mill.queues()
                                .deliverAll(List.of(Event.of("a", "t", "1"), Event.of("b", "t", "2")))
                                .block(SOON))
                        .expectNextCount(2)
                        .thenCancel()
                        .verify(SOON);
                List<Delivery> leased = mill.queue("q")
                        .lease(2, LeaseOptions.defaults())
                        .collectList()
                        .block(SOON);
                assertThat(leased.get(0).ack().block(SOON)).isTrue();
                assertThat(leased.get(1).nack().block(SOON)).isTrue();
                mill.queue("q").receive().take(1).flatMap(Delivery::ack).blockLast(SOON);
                assertThat(mill.queue("q").doctor().block(SOON).healthy()).isTrue();
                assertThat(mill.queue("q").destroy().block(SOON)).isZero();
                Map<String, ServerDoctor.Finding> findings = new ServerDoctor(mill, false)
                        .examine().block(SOON).stream()
                                .collect(Collectors.toMap(ServerDoctor.Finding::check, Function.identity()));
                assertThat(ServerDoctor.worst(List.of(findings.get("acl"), findings.get("role"))))
                        .isEqualTo(ServerDoctor.Level.OK);
            } finally {
                mill.shutdown().block(SOON);
            }
        }
    }

    @Test
    void saysWhichCommandsAUserMayNotSend() {
        try (OwnRedis redis = OwnRedis.start()) {
            try (Millrace admin = Millrace.connect(redis.uri())) {
                admin.redis()
                        .call("ACL", "SETUSER", "poor", "on", ">secret", "~*", "&*", "+@all", "-evalsha")
                        .block(SOON);
            }
            Map<String, ServerDoctor.Finding> findings =
                    examine(redis.uri().replace("redis://", "redis://poor:secret@"));
            assertThat(findings.get("acl").level()).isEqualTo(ServerDoctor.Level.ERROR);
            assertThat(findings.get("acl").value()).contains("EVALSHA").doesNotContain("PUBLISH");
            assertThat(findings.get("acl").advice()).contains("ACL SETUSER millrace");
        }
    }
}
