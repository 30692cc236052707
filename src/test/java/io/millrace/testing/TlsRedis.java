package io.millrace.testing;

import io.lettuce.core.codec.StringCodec;
import io.lettuce.core.output.StatusOutput;
import io.lettuce.core.protocol.CommandArgs;
import io.lettuce.core.protocol.CommandType;
import io.millrace.redis.embedded.RedisProcess;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** A server that speaks TLS, and on another port, for this class alone, plain text. */
public final class TlsRedis implements AutoCloseable {

    private final RedisProcess process;
    private final int tlsPort;

    private TlsRedis(RedisProcess process, int tlsPort) {
        this.process = process;
        this.tlsPort = tlsPort;
    }

    /**
     * Starts a server.
     *
     * @param certificate the name of its certificate
     * @param folder an existing folder for its log
     * @param arguments further settings as on the command line
     */
    public static TlsRedis start(TlsKeys keys, String certificate, Path folder, String... arguments) {
        int port = RedisProcess.freePort();
        int tlsPort = RedisProcess.freePort();
        List<String> all = new ArrayList<>(List.of(
                "--port",
                String.valueOf(port),
                "--tls-port",
                String.valueOf(tlsPort),
                "--bind",
                "127.0.0.1",
                "--dir",
                folder.toString(),
                "--save",
                "",
                "--tls-ca-cert-file",
                keys.ca().toString(),
                "--tls-cert-file",
                keys.certificate(certificate).toString(),
                "--tls-key-file",
                keys.key(certificate).toString()));
        all.addAll(List.of(arguments));
        return new TlsRedis(RedisProcess.start(all, folder, port, Duration.ofSeconds(10)), tlsPort);
    }

    /** As {@link #start}, a cluster of this one node. */
    public static TlsRedis startCluster(TlsKeys keys, String certificate, Path folder, String... arguments) {
        List<String> all = new ArrayList<>(List.of(
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                String.valueOf(RedisProcess.freePort()),
                "--tls-cluster",
                "yes"));
        all.addAll(List.of(arguments));
        TlsRedis node = start(keys, certificate, folder, all.toArray(String[]::new));
        RedisAdmin.ask(
                node.plainUri(),
                redis -> redis.dispatch(
                        CommandType.CLUSTER,
                        new StatusOutput<>(StringCodec.UTF8),
                        new CommandArgs<>(StringCodec.UTF8)
                                .add("ADDSLOTSRANGE")
                                .add(0)
                                .add(16383)));
        Eventually.await(
                "cluster_state:ok",
                Duration.ofSeconds(10),
                () -> RedisAdmin.ask(node.plainUri(), redis -> redis.clusterInfo())
                        .contains("cluster_state:ok"));
        return node;
    }

    /** {@code 127.0.0.1:port} where it speaks TLS. */
    public String address() {
        return "127.0.0.1:" + tlsPort;
    }

    /** {@code 127.0.0.1:port} where it does not. */
    public String plainAddress() {
        return "127.0.0.1:" + process.port();
    }

    /** Kills it and starts it again. */
    public void restart() {
        process.restart();
    }

    @Override
    public void close() {
        process.kill9();
    }

    private String plainUri() {
        return "redis://" + plainAddress();
    }
}
