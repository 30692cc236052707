package io.millrace.server;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.server.ServerDoctor.Finding;
import io.millrace.server.ServerDoctor.Level;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What each answer of a server means. */
class InfoChecksTest {

    private static Map<String, String> info(String... fields) {
        Map<String, String> info = new HashMap<>();
        for (String field : fields) {
            info.put(field.substring(0, field.indexOf(':')), field.substring(field.indexOf(':') + 1));
        }
        return info;
    }

    private static void assertFinding(Finding finding, Level level, String value, String meaning) {
        assertThat(finding.level()).isEqualTo(level);
        assertThat(finding.value()).isEqualTo(value);
        assertThat(finding.meaning()).contains(meaning);
        assertThat(finding.advice().isBlank())
                .as("advice where something is to be done: %s", finding)
                .isEqualTo(level == Level.OK && !value.equals("unknown"));
    }

    @ParameterizedTest
    @CsvSource({
        "master,false,OK,master,Writes go to a master",
        "slave,false,ERROR,replica,'refuses writes, or loses them'",
        "slave,true,OK,cluster,master of each slot"
    })
    void role(String role, boolean cluster, Level level, String value, String meaning) {
        assertFinding(InfoChecks.role(info("role:" + role), cluster), level, value, meaning);
    }

    @ParameterizedTest
    @CsvSource({
        "0,999,OK,unlimited,bounded by the machine",
        "100,79,OK,79 of 100 MiB (79 %),There is room",
        "100,80,WARNING,80 of 100 MiB (80 %),deliveries are refused (OOM)",
        "100,130,WARNING,130 of 100 MiB (130 %),deliveries are refused (OOM)"
    })
    void memory(long limit, long used, Level level, String value, String meaning) {
        assertFinding(
                InfoChecks.memory(info("maxmemory:" + (limit << 20), "used_memory:" + (used << 20))),
                level,
                value,
                meaning);
    }

    @ParameterizedTest
    @CsvSource({
        "noeviction,100,OK,noeviction,Nothing is thrown away",
        "allkeys-lru,100,ERROR,allkeys-lru,vanish without a trace",
        "volatile-ttl,0,WARNING,volatile-ttl,vanish without a trace"
    })
    void policy(String policy, long limit, Level level, String value, String meaning) {
        assertFinding(
                InfoChecks.policy(info("maxmemory_policy:" + policy, "maxmemory:" + limit)), level, value, meaning);
    }

    @ParameterizedTest
    @CsvSource({
        "0,everysec,WARNING,no,what came since the last snapshot is gone",
        "1,always,OK,'yes, fsync always',survives a crash of the host",
        "1,everysec,OK,'yes, fsync everysec',a second or two",
        "1,no,WARNING,'yes, fsync no',loses up to half a minute",
        "1,'',OK,'yes, fsync unknown',may not ask"
    })
    void persistence(String on, String fsync, Level level, String value, String meaning) {
        assertFinding(InfoChecks.persistence(info("aof_enabled:" + on), fsync), level, value, meaning);
    }

    @ParameterizedTest
    @CsvSource({
        "0,0,0,false,OK,0,there is no failover to lose data in",
        "0,2,2,false,WARNING,'0, with 2 replicas',what the failover then throws away",
        "0,0,0,true,WARNING,'0, with 0 replicas',what the failover then throws away",
        "1,1,1,false,OK,'1, with 1 replicas',refuses writes",
        "1,0,0,false,ERROR,'1, with 0 of 0 replicas in step',NOREPLICAS",
        "1,0,0,true,ERROR,'1, with 0 of 0 replicas in step',NOREPLICAS",
        "2,2,1,false,ERROR,'2, with 1 of 2 replicas in step',NOREPLICAS"
    })
    void replicas(String least, int connected, int good, boolean cluster, Level level, String value, String meaning) {
        Map<String, String> info = info("role:master", "connected_slaves:" + connected);
        if (!least.equals("0")) {
            info.put("min_slaves_good_slaves", String.valueOf(good));
        }
        assertFinding(InfoChecks.replicas(info, least, cluster), level, value, meaning);
    }

    @Test
    @DisplayName("what the user may not ask is unknown, with a word about it, and no reason for alarm")
    void unknown() {
        assertThat(List.of(
                        InfoChecks.replicas(info("connected_slaves:1"), "", false),
                        InfoChecks.policy(info()),
                        InfoChecks.persistence(info(), "")))
                .allSatisfy(finding -> assertFinding(finding, Level.OK, "unknown", "may not ask"));
    }

    @ParameterizedTest
    @CsvSource({"0,OK,agree on the time", "-1000,OK,agree on the time", "1001,WARNING,differ", "-90000,WARNING,differ"})
    void clock(long offset, Level level, String meaning) {
        assertFinding(ServerDoctor.clock(offset), level, offset + " ms", meaning);
    }

    @ParameterizedTest
    @CsvSource({
        "1,2,OK,'p50 1.00 ms, max 2.00 ms',Over 20 round trips",
        "11,12,WARNING,'p50 11.00 ms, max 12.00 ms',Answers take long",
        "1,251,WARNING,'p50 1.00 ms, max 251.00 ms',Answers take long"
    })
    void latency(long usual, long longest, Level level, String value, String meaning) {
        List<Long> nanos = Collections.nCopies(19, usual * 1_000_000).stream().collect(Collectors.toList());
        nanos.add(longest * 1_000_000);
        assertFinding(ServerDoctor.latency(nanos), level, value, meaning);
    }
}
