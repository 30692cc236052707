package io.millrace.redis;

import io.lettuce.core.Delegating;
import io.lettuce.core.RedisChannelHandler;
import io.lettuce.core.RedisCommandTimeoutException;
import io.lettuce.core.api.StatefulConnection;
import io.lettuce.core.cluster.api.StatefulRedisClusterConnection;
import io.lettuce.core.codec.ByteArrayCodec;
import io.lettuce.core.output.StatusOutput;
import io.lettuce.core.protocol.AsyncCommand;
import io.lettuce.core.protocol.Command;
import io.lettuce.core.protocol.CommandType;
import io.lettuce.core.protocol.DefaultEndpoint;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;

/**
 * Our connections of a client that somebody else made: what {@link DeadConnectionGuard} does in the channel is done here with
 * commands, since a channel of such a client cannot be got at. Each is asked with a PING every {@link #INTERVAL}; one that answers
 * nothing for {@link #CHANCES} of them is closed, so that the driver makes a new one. A read that blocks ends before that.
 *
 * <p>The connection of a cluster for publish and subscribe is left out, the driver does not let it be closed by us alone.
 */
final class Heartbeat {

    static final Duration INTERVAL = Duration.ofSeconds(2);

    static final int CHANCES = 4;

    private static final Logger log = LoggerFactory.getLogger(Heartbeat.class);

    /** One to a server; of a cluster there are several. */
    private static final class Pulse {

        private int quiet;
        private volatile boolean alive = true;
    }

    private final Set<StatefulConnection<byte[], byte[]>> connections = ConcurrentHashMap.newKeySet();
    private final Map<StatefulConnection<byte[], byte[]>, Pulse> pulses = new ConcurrentHashMap<>();
    private @Nullable Disposable ticks; // guarded by this; from the first connection on

    /** From now on, until it is closed. */
    synchronized void watch(StatefulConnection<byte[], byte[]> connection) {
        connections.add(connection);
        if (ticks == null) {
            ticks = Flux.interval(INTERVAL)
                    .onBackpressureDrop()
                    .subscribe(tick -> beat(), error -> log.error("connections are not watched any more", error));
        }
    }

    /** Has every connection made anew. */
    void reconnect() {
        connections.forEach(connection -> each(connection, Heartbeat::disconnect));
    }

    /** Closes what is open. */
    synchronized CompletableFuture<Void> close() {
        if (ticks != null) {
            ticks.dispose();
        }
        connections.removeIf(Heartbeat::isClosed);
        return CompletableFuture.allOf(
                connections.stream().map(StatefulConnection::closeAsync).toArray(CompletableFuture<?>[]::new));
    }

    private static boolean isClosed(StatefulConnection<byte[], byte[]> connection) {
        return connection instanceof RedisChannelHandler<?, ?> one && one.isClosed();
    }

    private void beat() {
        connections.removeIf(Heartbeat::isClosed);
        pulses.keySet().removeIf(Heartbeat::isClosed);
        for (StatefulConnection<byte[], byte[]> connection : connections) {
            try {
                each(connection, this::beat);
            } catch (RuntimeException e) { // the others' hearts go on beating, and this one's with the next tick
                log.warn("a connection could not be asked for a sign of life: {}", e.toString());
            }
        }
    }

    /** Of a cluster the connections to its masters, which are open already; one that is not is being made. */
    @SuppressWarnings("FutureReturnValueIgnored")
    private static void each(
            StatefulConnection<byte[], byte[]> connection, Consumer<StatefulConnection<byte[], byte[]>> use) {
        if (connection instanceof StatefulRedisClusterConnection<byte[], byte[]> cluster) {
            Driver.masters(cluster).forEach(open -> open.thenAccept(use));
        } else {
            use.accept(connection);
        }
    }

    @SuppressWarnings("FutureReturnValueIgnored") // what comes of it shows at the next beat
    private void beat(StatefulConnection<byte[], byte[]> connection) {
        Pulse pulse = pulses.computeIfAbsent(connection, key -> new Pulse());
        pulse.quiet = pulse.alive || !connection.isOpen() ? 0 : pulse.quiet + 1;
        if (pulse.quiet >= CHANCES) {
            log.warn(
                    "nothing came from Redis for {} s; closing the connection to make a new one",
                    INTERVAL.multipliedBy(CHANCES).toSeconds());
            pulse.alive = true;
            disconnect(connection);
        } else if (connection.isOpen()) { // else the driver may keep it for later: more and more of them
            pulse.alive = false;
            AsyncCommand<byte[], byte[], String> ping =
                    new AsyncCommand<>(new Command<>(CommandType.PING, new StatusOutput<>(ByteArrayCodec.INSTANCE)));
            connection.dispatch(ping);
            ping.whenComplete((pong, error) -> pulse.alive |= !(error instanceof RedisCommandTimeoutException));
        }
    }

    private static void disconnect(StatefulConnection<byte[], byte[]> connection) {
        if (connection instanceof RedisChannelHandler<?, ?> handler) {
            Object writer = handler.getChannelWriter();
            Object endpoint = writer instanceof Delegating<?> wrapped ? wrapped.unwrap() : writer;
            if (endpoint instanceof DefaultEndpoint open) {
                open.disconnect();
            }
        }
    }
}
