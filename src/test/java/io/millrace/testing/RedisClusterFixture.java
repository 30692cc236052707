package io.millrace.testing;

import io.lettuce.core.cluster.models.partitions.ClusterPartitionParser;
import io.lettuce.core.cluster.models.partitions.RedisClusterNode;
import io.lettuce.core.codec.StringCodec;
import io.lettuce.core.output.StatusOutput;
import io.lettuce.core.protocol.CommandArgs;
import io.lettuce.core.protocol.CommandType;
import io.millrace.redis.embedded.EmbeddedRedisException;
import io.millrace.redis.embedded.RedisProcess;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * A Redis Cluster of processes: three masters, with a replica each if asked for, ready to be used and to be harmed. The node timeout is
 * 15 s, for a node that gets no cpu for half of it is cut off and misses what is published, and with 1 s a machine that stood still for
 * a moment had its healthy masters replaced, too. Who wants a replica to take over says so: {@link #promote}. Takes about two seconds to
 * start: one per test class, not per test.
 */
public final class RedisClusterFixture implements AutoCloseable {

    private static final int MASTERS = 3;
    private static final int SLOTS = 16384;
    private static final int NODE_TIMEOUT_MS = 15_000;
    private static final Duration READY = Duration.ofSeconds(30);

    private final List<Node> nodes = new ArrayList<>();

    private record Node(OwnRedis redis, int busPort) {}

    private RedisClusterFixture() {}

    /** Three masters. */
    public static RedisClusterFixture start() {
        return start(0);
    }

    /**
     * Three masters with so many replicas each; returns when every slot is served and every replica has its master's data.
     *
     * @param arguments settings of all nodes, such as {@code "--cluster-require-full-coverage", "no"}
     */
    public static RedisClusterFixture start(int replicasPerMaster, String... arguments) {
        RedisClusterFixture cluster = new RedisClusterFixture();
        boolean ready = false;
        try {
            for (int i = 0; i < MASTERS * (1 + replicasPerMaster); i++) {
                cluster.nodes.add(startNode(arguments));
            }
            cluster.meet();
            cluster.assignSlots();
            cluster.replicate(replicasPerMaster);
            cluster.awaitHealthy(READY);
            ready = true;
            return cluster;
        } finally {
            if (!ready) {
                cluster.close();
            }
        }
    }

    /** All nodes as seeds, in Lettuce's form: {@code redis://127.0.0.1:p1,127.0.0.1:p2,...}. */
    public String uri() {
        return nodes.stream()
                .map(node -> "127.0.0.1:" + node.redis.port())
                .collect(Collectors.joining(",", "redis://", ""));
    }

    /** The nodes' URIs one by one, in the order of {@link #node(int)}. */
    public List<String> seeds() {
        return nodes.stream().map(node -> node.redis.uri()).toList();
    }

    /**
     *  A node to be harmed: 0 to 2 start as masters of the lower, middle and upper third of the slots, then come their
     * replicas.
     */
    public OwnRedis node(int index) {
        return nodes.get(index).redis;
    }

    /**
     * A replica takes the slots of its master, dead or alive, as it does after an election: with another epoch, which it tells everybody.
     * Returns when it is a master.
     */
    public void promote(int replica) {
        RedisAdmin.ask(nodes.get(replica).redis.uri(), redis -> redis.clusterFailover(false, true));
        Eventually.await("node " + replica + " to be a master", READY, () -> isMaster(replica));
    }

    /** Whether a node is a master now, as it says itself. */
    public boolean isMaster(int index) {
        return RedisAdmin.ask(nodes.get(index).redis.uri(), redis -> redis.info("replication"))
                .contains("role:master");
    }

    /** Prepares to move a slot, with what is in it, from one master to another; nothing happens before {@link SlotMove#begin}. */
    public SlotMove move(int slot, int from, int to) {
        return new SlotMove(slot, nodes.get(from).redis, nodes.get(to).redis);
    }

    /** The node that has a slot now, as it says itself. */
    public int masterOf(int slot) {
        return IntStream.range(0, nodes.size())
                .filter(i -> nodes.get(i).redis.isAlive() && hasSlot(nodes.get(i), slot))
                .findFirst()
                .orElseThrow();
    }

    private static boolean hasSlot(Node node, int slot) {
        String all = RedisAdmin.ask(node.redis.uri(), redis -> redis.clusterNodes());
        return ClusterPartitionParser.parse(all).stream()
                .anyMatch(one -> one.is(RedisClusterNode.NodeFlag.MYSELF) && one.hasSlot(slot));
    }

    /** Waits until all nodes that run agree that every slot is served. Where the slots need not be covered the state is ok without. */
    public void awaitHealthy(Duration atMost) {
        Eventually.await(
                "every slot served, as every node says",
                atMost,
                () -> nodes.stream().filter(node -> node.redis.isAlive()).allMatch(RedisClusterFixture::isHealthy));
    }

    private static boolean isHealthy(Node node) {
        String info = RedisAdmin.ask(node.redis.uri(), redis -> redis.clusterInfo());
        return info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:" + SLOTS);
    }

    /** Kills all nodes. */
    @Override
    public void close() {
        nodes.forEach(node -> node.redis.close());
    }

    private static Node startNode(String... arguments) {
        for (int attempt = 1; ; attempt++) {
            int busPort = RedisProcess.freePort();
            List<String> all = new ArrayList<>(List.of(
                    "--cluster-enabled",
                    "yes",
                    "--cluster-port",
                    String.valueOf(busPort),
                    "--cluster-node-timeout",
                    String.valueOf(NODE_TIMEOUT_MS),
                    "--repl-diskless-sync-delay",
                    "0"));
            all.addAll(List.of(arguments));
            try {
                return new Node(OwnRedis.start(all.toArray(String[]::new)), busPort);
            } catch (EmbeddedRedisException e) {
                // The bus port may have been taken meanwhile; unlike the other one, the launcher does not choose it.
                if (attempt == 5 || e.reason() != EmbeddedRedisException.Reason.PORT_TAKEN) {
                    throw e;
                }
            }
        }
    }

    private void meet() {
        Node first = nodes.get(0);
        for (int i = 0; i < nodes.size(); i++) {
            long epoch = i + 1L;
            RedisAdmin.ask(nodes.get(i).redis.uri(), redis -> redis.clusterSetConfigEpoch(epoch));
        }
        for (Node node : nodes.subList(1, nodes.size())) {
            // Lettuce's clusterMeet cannot name the bus port, which is not the usual port plus 10000.
            cluster(
                    first,
                    new CommandArgs<>(StringCodec.UTF8)
                            .add("MEET")
                            .add("127.0.0.1")
                            .add(node.redis.port())
                            .add(node.busPort));
        }
        for (Node node : nodes) {
            Eventually.await("every node known to " + node.redis.uri(), READY, () -> knownNodes(node) == nodes.size());
        }
    }

    private static long knownNodes(Node node) {
        return RedisAdmin.ask(node.redis.uri(), redis -> redis.clusterNodes())
                .lines()
                .filter(line -> !line.contains("handshake"))
                .count();
    }

    private void assignSlots() {
        for (int i = 0; i < MASTERS; i++) {
            CommandArgs<String, String> third = new CommandArgs<>(StringCodec.UTF8)
                    .add("ADDSLOTSRANGE")
                    .add(i * SLOTS / MASTERS)
                    .add((i + 1) * SLOTS / MASTERS - 1);
            cluster(nodes.get(i), third);
        }
    }

    private void replicate(int replicasPerMaster) {
        for (int i = MASTERS; i < nodes.size(); i++) {
            Node replica = nodes.get(i);
            String master = RedisAdmin.ask(nodes.get(i % MASTERS).redis.uri(), redis -> redis.clusterMyId());
            Eventually.await(
                    "a replica of " + master,
                    READY,
                    () -> "OK".equals(RedisAdmin.ask(replica.redis.uri(), redis -> redis.clusterReplicate(master))));
        }
        for (Node master : nodes.subList(0, MASTERS)) {
            Eventually.await(
                    "replicas online", READY, () -> RedisAdmin.replicasOnline(master.redis.uri()) == replicasPerMaster);
        }
    }

    private static void cluster(Node node, CommandArgs<String, String> arguments) {
        RedisAdmin.ask(
                node.redis.uri(),
                redis -> redis.dispatch(CommandType.CLUSTER, new StatusOutput<>(StringCodec.UTF8), arguments));
    }
}
