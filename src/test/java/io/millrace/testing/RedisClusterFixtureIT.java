package io.millrace.testing;

import static org.assertj.core.api.Assertions.assertThat;

import io.lettuce.core.RedisURI;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.cluster.RedisClusterURIUtil;
import io.lettuce.core.cluster.SlotHash;
import io.lettuce.core.cluster.api.sync.RedisAdvancedClusterCommands;
import java.net.URI;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class RedisClusterFixtureIT {

    private static final Duration SOON = Duration.ofSeconds(30);

    @Test
    void threeMastersServeAllSlots() {
        List<OwnRedis> nodes;
        try (RedisClusterFixture cluster = RedisClusterFixture.start()) {
            nodes = List.of(cluster.node(0), cluster.node(1), cluster.node(2));
            List<RedisURI> seeds = RedisClusterURIUtil.toRedisURIs(URI.create(cluster.uri()));
            assertThat(seeds).hasSize(3);
            RedisClusterClient client = RedisClusterClient.create(seeds);
            try {
                RedisAdvancedClusterCommands<String, String> commands =
                        client.connect().sync();
                Set<Integer> ports = new HashSet<>();
                for (int i = 0; i < 100; i++) {
                    commands.set("key-" + i, "value-" + i);
                    ports.add(client.getPartitions()
                            .getPartitionBySlot(SlotHash.getSlot("key-" + i))
                            .getUri()
                            .getPort());
                }
                assertThat(ports)
                        .containsExactlyInAnyOrderElementsOf(
                                nodes.stream().map(OwnRedis::port).toList());
                assertThat(commands.get("key-42")).isEqualTo("value-42");
            } finally {
                client.shutdown(Duration.ZERO, SOON);
            }
        }
        assertThat(nodes).noneMatch(OwnRedis::isAlive);
    }

    @Test
    void aReplicaTakesOverFromADeadMaster() {
        try (RedisClusterFixture cluster = RedisClusterFixture.start(1)) {
            String replica = cluster.node(3).uri();
            assertThat(RedisAdmin.<String>ask(replica, redis -> redis.info("replication")))
                    .contains("role:slave");
            cluster.node(0).kill9();
            cluster.promote(3);
            assertThat(RedisAdmin.<String>ask(replica, redis -> redis.info("replication")))
                    .contains("role:master");
            assertThat(cluster.masterOf(0)).isEqualTo(3);
            cluster.awaitHealthy(SOON);
        }
    }
}
