package io.millrace.testing;

import static org.assertj.core.api.Assertions.assertThat;

import io.lettuce.core.RedisClient;
import io.lettuce.core.api.sync.RedisCommands;
import java.time.Duration;
import org.junit.jupiter.api.Test;

class RedisSentinelFixtureIT {

    private static final Duration SOON = Duration.ofSeconds(30);

    @Test
    void sentinelsLeadToTheMasterAndPromoteTheReplicaWhenItDies() {
        OwnRedis replica;
        try (RedisSentinelFixture sentinel = RedisSentinelFixture.start()) {
            replica = sentinel.firstReplica();
            RedisClient client = RedisClient.create(sentinel.uri());
            try {
                RedisCommands<String, String> commands = client.connect().sync();
                commands.set("written", "before");
                assertThat(RedisAdmin.field(commands.info("server"), "tcp_port"))
                        .isEqualTo(String.valueOf(sentinel.firstMaster().port()));
                assertThat(commands.waitForReplication(1, 2000)).isOne();

                sentinel.firstMaster().kill9();
                Eventually.await("promotion", SOON, () -> sentinel.masterPort() == replica.port());
                Eventually.await("reconnect", SOON, () -> "OK".equals(commands.set("written-after", "it")));
                assertThat(commands.get("written")).isEqualTo("before");
                assertThat(RedisAdmin.field(commands.info("server"), "tcp_port"))
                        .isEqualTo(String.valueOf(replica.port()));
            } finally {
                client.shutdown(Duration.ZERO, SOON);
            }
        }
        assertThat(replica.isAlive()).isFalse();
    }
}
