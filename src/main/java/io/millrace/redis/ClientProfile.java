package io.millrace.redis;

import io.lettuce.core.ClientOptions;
import io.lettuce.core.SocketOptions;
import io.lettuce.core.TimeoutOptions;
import io.lettuce.core.cluster.ClusterClientOptions;
import io.lettuce.core.cluster.ClusterTopologyRefreshOptions;
import io.lettuce.core.protocol.CommandHandler;
import io.lettuce.core.protocol.RedisCommand;
import io.lettuce.core.resource.ClientResources;
import io.lettuce.core.resource.Delay;
import io.lettuce.core.resource.NettyCustomizer;
import io.netty.channel.Channel;
import io.netty.channel.group.ChannelGroup;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/**
 * How the driver is set up. Its defaults wait a minute for an answer, keep commands in memory without bound while Redis is away,
 * send them again when it is back, back off to 30 s between attempts to reconnect, and never look at the cluster's shape again.
 */
final class ClientProfile {

    static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(3);

    /** The longest pause between attempts to reconnect: an outage's end is noticed within this. */
    static final Duration MAX_RECONNECT_DELAY = Duration.ofMillis(500);

    static final Duration TOPOLOGY_REFRESH = Duration.ofSeconds(5);

    private ClientProfile() {}

    /** @param open where every open channel is kept, so that all can be closed at once */
    static ClientResources resources(ChannelGroup open) {
        return ClientResources.builder()
                .reconnectDelay(Delay.fullJitter(Duration.ofMillis(10), MAX_RECONNECT_DELAY, 10, TimeUnit.MILLISECONDS))
                .nettyCustomizer(new NettyCustomizer() {
                    @Override
                    public void afterChannelInitialized(Channel channel) {
                        channel.pipeline().addFirst(new DeadConnectionGuard());
                        String commands =
                                channel.pipeline().context(CommandHandler.class).name();
                        channel.pipeline().addBefore(commands, null, new TornStreamGuard());
                        open.add(channel);
                    }
                })
                .build();
    }

    static ClientOptions options(RedisSettings settings) {
        return fill(ClientOptions.builder(), settings).build();
    }

    static ClusterClientOptions clusterOptions(RedisSettings settings) {
        ClusterClientOptions.Builder builder = ClusterClientOptions.builder();
        fill(builder, settings);
        return builder.timeoutOptions(TimeoutOptions.builder()
                        .timeoutCommands()
                        .timeoutSource(new NodeTimeout(settings.commandTimeout()))
                        .build())
                .topologyRefreshOptions(ClusterTopologyRefreshOptions.builder()
                        .adaptiveRefreshTriggersTimeout(Duration.ofMillis(500))
                        .enablePeriodicRefresh(TOPOLOGY_REFRESH)
                        .build())
                .build();
    }

    /** Commands that are out when the connection breaks fail at once; nobody but their caller may send them again. */
    private static ClientOptions.Builder fill(ClientOptions.Builder builder, RedisSettings settings) {
        if (settings.isTls()) {
            builder.sslOptions(settings.tls().options());
        }
        return builder.autoReconnect(true)
                .disconnectedBehavior(ClientOptions.DisconnectedBehavior.REJECT_COMMANDS)
                .requestQueueSize(settings.requestQueueSize())
                .pingBeforeActivateConnection(true)
                .timeoutOptions(TimeoutOptions.builder()
                        .timeoutCommands()
                        .connectionTimeout()
                        .build())
                .socketOptions(SocketOptions.builder()
                        .connectTimeout(CONNECT_TIMEOUT)
                        .keepAlive(true)
                        .tcpNoDelay(true)
                        .build());
    }

    /**
     * In a cluster the connection to each node keeps the time, and knows nothing of what the connection as a whole was allowed: commands
     * that block are known by their names.
     */
    private static final class NodeTimeout extends TimeoutOptions.TimeoutSource {

        private static final Set<String> BLOCKING = Set.of("XREAD", "WAIT");
        private static final long LONGEST_MS =
                DeadConnectionGuard.LONGEST_BLOCK.plusSeconds(2).toMillis();

        private final long otherwiseMs;

        NodeTimeout(Duration otherwise) {
            this.otherwiseMs = otherwise.toMillis();
        }

        @Override
        public long getTimeout(RedisCommand<?, ?, ?> command) {
            return BLOCKING.contains(command.getType().toString()) ? Math.max(otherwiseMs, LONGEST_MS) : otherwiseMs;
        }
    }
}
