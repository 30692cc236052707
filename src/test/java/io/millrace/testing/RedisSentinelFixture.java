package io.millrace.testing;

import io.millrace.redis.embedded.RedisProcess;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A master, a replica and three sentinels, as processes. A master is given up after 1 s of silence. Starting takes one
 * to two seconds, most of it sentinels getting to know each other. With TLS they talk to each other that way too, and name their TLS
 * ports; plain ones are there for this class alone.
 */
public final class RedisSentinelFixture implements AutoCloseable {

    /** The name the sentinels know the master by. */
    public static final String MASTER_ID = "millrace";

    private static final int SENTINELS = 3;
    private static final Duration READY = Duration.ofSeconds(30);

    private final List<OwnRedis> servers = new ArrayList<>();
    private final List<RedisProcess> sentinels = new ArrayList<>();
    private final @Nullable Tls tls;
    private final List<Integer> sentinelPorts = new ArrayList<>(); // those clients use
    private int masterPort; // that of the first master which others use
    private @Nullable Path folder;

    /** @param certificate the name of the one all of them show */
    private record Tls(TlsKeys keys, String certificate) {

        List<String> settings() {
            return List.of(
                    "tls-replication", "yes",
                    "tls-auth-clients", "no",
                    "tls-ca-cert-file", keys.ca().toString(),
                    "tls-cert-file", keys.certificate(certificate).toString(),
                    "tls-key-file", keys.key(certificate).toString());
        }
    }

    private RedisSentinelFixture(@Nullable Tls tls) {
        this.tls = tls;
    }

    /**
     * Starts all five; returns when the replica follows and the sentinels could fail over.
     *
     * @param arguments settings of both servers, such as {@code "--min-replicas-to-write", "1"}
     */
    public static RedisSentinelFixture start(String... arguments) {
        return start(new RedisSentinelFixture(null), arguments);
    }

    /** As {@link #start}, with TLS; {@code certificate} is the name of the one all of them show. */
    public static RedisSentinelFixture startTls(TlsKeys keys, String certificate) {
        return start(new RedisSentinelFixture(new Tls(keys, certificate)));
    }

    private static RedisSentinelFixture start(RedisSentinelFixture fixture, String... arguments) {
        boolean ready = false;
        try {
            fixture.startServers(List.of(arguments));
            fixture.startSentinels();
            fixture.awaitReady();
            ready = true;
            return fixture;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } finally {
            if (!ready) {
                fixture.close();
            }
        }
    }

    /**
     *  All sentinels as seeds, in Lettuce's form: {@code
     * redis-sentinel://127.0.0.1:p1,127.0.0.1:p2,127.0.0.1:p3/0#millrace}; with TLS {@code rediss-sentinel://…}.
     */
    public String uri() {
        return sentinelPorts.stream()
                .map(port -> "127.0.0.1:" + port)
                .collect(Collectors.joining(
                        ",", (tls == null ? "redis" : "rediss") + "-sentinel://", "/0#" + MASTER_ID));
    }

    /** The server that started as master. */
    public OwnRedis firstMaster() {
        return servers.get(0);
    }

    /** The server that started as replica. */
    public OwnRedis firstReplica() {
        return servers.get(1);
    }

    /** A sentinel, 0 to 2. */
    public RedisProcess sentinel(int index) {
        return sentinels.get(index);
    }

    /** The port of the master as the first sentinel that runs sees it. */
    public int masterPort() {
        return RedisAdmin.askSentinel(
                uri(firstRunning()),
                commands -> ((InetSocketAddress) commands.getMasterAddrByName(MASTER_ID)).getPort());
    }

    /** Whether the server that started as replica is master now, as it says itself. */
    public boolean isPromoted() {
        return RedisAdmin.ask(firstReplica().uri(), redis -> redis.info("replication"))
                .contains("role:master");
    }

    /** How many replicas follow it then. */
    public long replicasOfThePromoted() {
        return RedisAdmin.replicasOnline(firstReplica().uri());
    }

    /** Kills all of them. */
    @Override
    public void close() {
        sentinels.forEach(RedisProcess::kill9);
        servers.forEach(OwnRedis::close);
        if (folder != null) {
            OwnRedis.removeTree(folder);
        }
    }

    private void startServers(List<String> arguments) {
        masterPort = startServer(arguments);
        startServer(arguments);
        RedisAdmin.ask(firstReplica().uri(), redis -> redis.replicaof("127.0.0.1", masterPort));
        Eventually.await(
                "replica online",
                READY,
                () -> RedisAdmin.replicasOnline(firstMaster().uri()) == 1);
    }

    /** Answers the port that the others use. */
    private int startServer(List<String> arguments) {
        List<String> all = new ArrayList<>(List.of("--repl-diskless-sync-delay", "0"));
        all.addAll(arguments);
        if (tls != null) {
            List<String> settings = tls.settings();
            for (int i = 0; i < settings.size(); i += 2) {
                all.addAll(List.of("--" + settings.get(i), settings.get(i + 1)));
            }
        }
        OwnRedis server = OwnRedis.start(all.toArray(String[]::new));
        servers.add(server);
        if (tls == null) {
            return server.port();
        }
        int tlsPort = RedisProcess.freePort();
        RedisAdmin.ask(server.uri(), redis -> redis.configSet("tls-port", String.valueOf(tlsPort)));
        return tlsPort;
    }

    private void startSentinels() throws IOException {
        Path home = Files.createTempDirectory("millrace-sentinel-");
        folder = home;
        for (int i = 0; i < SENTINELS; i++) {
            int port = RedisProcess.freePort();
            Path own = Files.createDirectory(home.resolve("sentinel-" + i));
            StringBuilder secure = new StringBuilder();
            sentinelPorts.add(tls == null ? port : RedisProcess.freePort());
            if (tls != null) {
                secure.append("tls-port ").append(sentinelPorts.get(i)).append('\n');
                List<String> settings = tls.settings();
                for (int k = 0; k < settings.size(); k += 2) {
                    secure.append("%s \"%s\"%n".formatted(settings.get(k), settings.get(k + 1)));
                }
            }
            // A file, and not arguments, because sentinels write what they learn into it.
            Path config = Files.writeString(
                    own.resolve("sentinel.conf"), """
                port %1$d
                bind 127.0.0.1
                protected-mode yes
                dir "%2$s"
                sentinel monitor %3$s 127.0.0.1 %4$d 2
                sentinel down-after-milliseconds %3$s 1000
                sentinel failover-timeout %3$s 5000
                sentinel parallel-syncs %3$s 1
                %5$s""".formatted(port, own, MASTER_ID, masterPort, secure));
            sentinels.add(
                    RedisProcess.start(List.of(config.toString(), "--sentinel"), own, port, Duration.ofSeconds(10)));
        }
    }

    private void awaitReady() {
        for (RedisProcess sentinel : sentinels) {
            Eventually.await("sentinel " + sentinel.port() + " knows all others", READY, () -> {
                Map<String, String> master =
                        RedisAdmin.askSentinel(uri(sentinel), commands -> commands.master(MASTER_ID));
                return String.valueOf(SENTINELS - 1).equals(master.get("num-other-sentinels"))
                        && "1".equals(master.get("num-slaves"));
            });
        }
    }

    private RedisProcess firstRunning() {
        return sentinels.stream().filter(RedisProcess::isAlive).findFirst().orElseThrow();
    }

    private static String uri(RedisProcess sentinel) {
        return "redis://127.0.0.1:" + sentinel.port();
    }
}
