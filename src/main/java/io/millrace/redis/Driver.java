package io.millrace.redis;

import io.lettuce.core.AbstractRedisClient;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisConnectionException;
import io.lettuce.core.RedisException;
import io.lettuce.core.RedisURI;
import io.lettuce.core.api.StatefulConnection;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.cluster.api.StatefulRedisClusterConnection;
import io.lettuce.core.cluster.api.reactive.RedisClusterReactiveCommands;
import io.lettuce.core.codec.ByteArrayCodec;
import io.lettuce.core.pubsub.StatefulRedisPubSubConnection;
import io.lettuce.core.resource.ClientResources;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.util.concurrent.GlobalEventExecutor;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/** One Lettuce client, for a single server, Sentinel or Cluster; opens connections. */
final class Driver {

    /** An open connection: what controls it, and its commands. */
    record Connection(
            StatefulConnection<byte[], byte[]> control, RedisClusterReactiveCommands<byte[], byte[]> commands) {}

    /** Many commands hear at once that their master is none any more, or nothing: the first one's word is enough. */
    private static final Duration PAUSE = Duration.ofSeconds(1);

    /** How long a step of closing is waited for. */
    private static final Duration CLOSE_PATIENCE = Duration.ofSeconds(3);

    private static final Logger log = LoggerFactory.getLogger(Driver.class);

    private final AbstractRedisClient client;
    private final @Nullable RedisURI address; // of a client of our own that is not a cluster's
    private final @Nullable ClientResources resources; // only what we made ourselves is closed by us
    private final Duration timeout;
    private final ChannelGroup channels; // of a client of our own
    private final @Nullable Heartbeat heartbeat; // for a client that is not
    private final AtomicLong reconnected = new AtomicLong(System.nanoTime() - PAUSE.toNanos());
    private final AtomicLong looked = new AtomicLong(System.nanoTime() - PAUSE.toNanos());

    private Driver(
            AbstractRedisClient client,
            @Nullable RedisURI address,
            @Nullable ClientResources resources,
            Duration timeout,
            ChannelGroup channels) {
        this.channels = channels;
        this.client = client;
        this.address = address;
        this.resources = resources;
        this.timeout = timeout;
        this.heartbeat = resources == null ? new Heartbeat() : null;
    }

    /** Reads the certificates that Java trusts, so it may block, where there is TLS. */
    static Driver open(RedisSettings settings) {
        ChannelGroup channels = new DefaultChannelGroup(GlobalEventExecutor.INSTANCE);
        ClientResources resources = ClientProfile.resources(channels);
        List<RedisURI> nodes = settings.nodes().stream()
                .map(node -> {
                    RedisURI uri = RedisURI.create(node);
                    uri.setTimeout(settings.commandTimeout());
                    uri.setClientName("millrace");
                    return uri;
                })
                .toList();
        if (settings.topology() == RedisSettings.Topology.CLUSTER) {
            RedisClusterClient client = RedisClusterClient.create(resources, nodes);
            client.setOptions(ClientProfile.clusterOptions(settings));
            return new Driver(client, null, resources, settings.commandTimeout(), channels);
        }
        RedisClient client = RedisClient.create(resources);
        client.setOptions(ClientProfile.options(settings));
        return new Driver(client, nodes.get(0), resources, settings.commandTimeout(), channels);
    }

    /** A client somebody else made, and closes. */
    static Driver with(AbstractRedisClient client, Duration timeout) {
        return new Driver(client, null, null, timeout, new DefaultChannelGroup(GlobalEventExecutor.INSTANCE));
    }

    boolean isCluster() {
        return client instanceof RedisClusterClient;
    }

    Mono<Connection> connect() {
        return connect(timeout);
    }

    /** A connection whose commands may take this long. */
    Mono<Connection> connect(Duration commandTimeout) {
        if (client instanceof RedisClusterClient cluster) {
            return found(cluster)
                    .then(stage(() -> cluster.connectAsync(ByteArrayCodec.INSTANCE)))
                    .flatMap(open -> warmed(open).thenReturn(open))
                    .map(open -> limited(open, open.reactive(), commandTimeout));
        }
        RedisClient single = (RedisClient) client;
        Mono<StatefulRedisConnection<byte[], byte[]>> connecting = address == null
                ? elastic(() -> single.connect(ByteArrayCodec.INSTANCE))
                : stage(() -> single.connectAsync(ByteArrayCodec.INSTANCE, address));
        return connecting.map(open -> limited(open, open.reactive(), commandTimeout));
    }

    /** Those that {@link #warmed} opened, or opens anew. */
    static List<CompletableFuture<StatefulRedisConnection<byte[], byte[]>>> masters(
            StatefulRedisClusterConnection<byte[], byte[]> open) {
        return open.getPartitions().stream()
                .filter(node -> node.getRole().isUpstream() && !node.getSlots().isEmpty())
                .map(node -> open.getConnectionAsync(
                        node.getUri().getHost(), node.getUri().getPort()))
                .toList();
    }

    Mono<StatefulRedisPubSubConnection<byte[], byte[]>> connectPubSub() {
        if (client instanceof RedisClusterClient cluster) {
            return found(cluster)
                    .then(stage(() -> cluster.connectPubSubAsync(ByteArrayCodec.INSTANCE)))
                    .map(open -> watch(open));
        }
        RedisClient single = (RedisClient) client;
        return address == null
                ? elastic(() -> single.connectPubSub(ByteArrayCodec.INSTANCE)).map(this::watch)
                : stage(() -> single.connectPubSubAsync(ByteArrayCodec.INSTANCE, address));
    }

    private <C extends StatefulConnection<byte[], byte[]>> C watch(C open) {
        if (heartbeat != null) {
            heartbeat.watch(open);
        }
        return open;
    }

    /** Has a cluster's shape read anew; the driver does so by itself only when a node answers that it changed, or hangs up. */
    @SuppressWarnings("FutureReturnValueIgnored") // whether it worked shows in the next command
    void lookAgain() {
        if (client instanceof RedisClusterClient cluster && isTime(looked)) {
            cluster.refreshPartitionsAsync();
        }
    }

    /** Closes every connection of ours, so that each is made anew and finds the present master. */
    @SuppressWarnings("FutureReturnValueIgnored") // whether it worked shows in the next command
    void reconnect() {
        if (isTime(reconnected)) {
            channels.close();
            if (heartbeat != null) {
                heartbeat.reconnect();
            }
        }
    }

    private static boolean isTime(AtomicLong lastDone) {
        long now = System.nanoTime();
        long last = lastDone.get();
        return now - last > PAUSE.toNanos() && lastDone.compareAndSet(last, now);
    }

    /**
     * Ends within a few seconds, whatever happens to connections that are being made just then. Whoever asks for it, the driver does
     * it on a thread that may wait: it takes locks that connections on their way hold.
     */
    Mono<Void> close() {
        if (resources == null) {
            return heartbeat == null ? Mono.empty() : inTime("closing connections", closing(heartbeat::close));
        }
        return inTime("closing connections", closing(() -> client.shutdownAsync(0, 2, TimeUnit.SECONDS)))
                .publishOn(Schedulers.boundedElastic()) // ending threads takes a lock
                .then(inTime("ending threads", Mono.create(sink -> {
                    endThreads();
                    resources.eventExecutorGroup().terminationFuture().addListener(done -> sink.success());
                })));
    }

    private static Mono<Void> closing(Supplier<CompletableFuture<Void>> close) {
        return stage(close).subscribeOn(Schedulers.boundedElastic());
    }

    /** The driver adds up what has ended without a lock: what it answers may never come. Event loops have ended with the client. */
    @SuppressWarnings("FutureReturnValueIgnored")
    private void endThreads() {
        if (resources != null) {
            resources.shutdown(0, 2, TimeUnit.SECONDS);
        }
    }

    private static Mono<Void> inTime(String what, Mono<Void> step) {
        return step.timeout(CLOSE_PATIENCE).onErrorResume(late -> {
            log.warn("{} did not end in good order: {}", what, late.toString());
            return Mono.empty();
        });
    }

    /**
     * Asks for the nodes, which the driver does by itself only where connecting blocks. Why none answered it keeps where nobody looks.
     */
    private static Mono<Void> found(RedisClusterClient cluster) {
        return stage(cluster::refreshPartitionsAsync)
                .onErrorMap(
                        RedisException.class,
                        error -> new RedisConnectionException(
                                "no node of the cluster answered",
                                error.getSuppressed().length == 0 ? error : error.getSuppressed()[0]));
    }

    /**
     * Opens a connection to every master beforehand: a command to a node that is still being connected to would be refused, as
     * commands are while a connection is away. By host and port, as commands to a slot ask for them; those by node id are others.
     */
    private static Mono<Void> warmed(StatefulRedisClusterConnection<byte[], byte[]> open) {
        return Flux.defer(() -> Flux.fromIterable(masters(open)))
                .flatMap(Mono::fromFuture)
                .onErrorComplete() // a node that is away is found out by the first command to it
                .then();
    }

    private Connection limited(
            StatefulConnection<byte[], byte[]> open,
            RedisClusterReactiveCommands<byte[], byte[]> commands,
            Duration commandTimeout) {
        open.setTimeout(commandTimeout);
        watch(open);
        return new Connection(open, commands);
    }

    private static <T> Mono<T> stage(Supplier<? extends CompletionStage<T>> stage) {
        return Mono.fromCompletionStage(stage);
    }

    private static <T> Mono<T> elastic(java.util.concurrent.Callable<T> connect) {
        return Mono.fromCallable(connect).subscribeOn(Schedulers.boundedElastic());
    }
}
