package io.millrace.testing;

import io.millrace.redis.embedded.RedisProcess;
import io.netty.bootstrap.Bootstrap;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.time.Duration;
import java.util.EnumMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;

/**
 * A TCP proxy in front of a server that harms the connections going through it. Each method has taken effect when it
 * returns; they may be called from any thread except the proxy's own.
 *
 * <p>Faults that lose bytes always end in a reset of the connection that lost them: a live connection never loses bytes
 * in the middle, and Redis clients match replies by position, so going on would test nothing real.
 */
public final class FaultProxy implements AutoCloseable {

    /** Which way bytes go. */
    public enum Direction {
        /** From the client to the server: requests. */
        UP,
        /** From the server to the client: replies. */
        DOWN
    }

    // One thread: all state below is confined to it.
    private final EventLoopGroup loop = new MultiThreadIoEventLoopGroup(1, NioIoHandler.newFactory());
    private final Map<Direction, FaultLine> lines = new EnumMap<>(Direction.class);
    private final Set<Connection> connections = new LinkedHashSet<>();
    private final InetSocketAddress target;
    private final int port;
    private volatile Channel listener;

    /** One client's connection and ours to the server. */
    private record Connection(SocketChannel client, SocketChannel server) {

        void reset() {
            for (SocketChannel channel : List.of(client, server)) {
                channel.config().setSoLinger(0);
                var unused = channel.close();
            }
        }
    }

    private FaultProxy(InetSocketAddress target) {
        this.target = target;
        for (Direction direction : Direction.values()) {
            lines.put(direction, new FaultLine());
        }
        // Below the range of client ports: a client that reconnects while we refuse cannot get this port and connect to
        // itself.
        this.port = RedisProcess.freePort();
        this.listener = listen();
    }

    /** A proxy in front of {@code redis://host:port}, passing everything on. */
    public static FaultProxy to(String redisUri) {
        URI uri = URI.create(redisUri);
        return new FaultProxy(new InetSocketAddress(uri.getHost(), uri.getPort() < 0 ? 6379 : uri.getPort()));
    }

    /** Where clients connect to: {@code redis://127.0.0.1:port}. */
    public String uri() {
        return "redis://127.0.0.1:" + port;
    }

    /** The port clients connect to, on 127.0.0.1. */
    public int port() {
        return port;
    }

    /** How many clients are connected. */
    public int connections() {
        return call(connections::size);
    }

    /** Delays every byte that arrives from now on, in each direction: a round trip takes twice as long more. */
    public void latency(Duration each) {
        latency(each, Duration.ZERO);
    }

    /** As above, plus up to {@code jitter}, chosen anew for each chunk of bytes. Bytes never overtake each other. */
    public void latency(Duration each, Duration jitter) {
        latency(Direction.UP, each, jitter);
        latency(Direction.DOWN, each, jitter);
    }

    /** Delays every byte that arrives from now on in one direction. */
    public void latency(Direction direction, Duration delay, Duration jitter) {
        run(() -> line(direction).latency(delay, jitter));
    }

    /** Limits each connection, in each direction, to so many bytes per second; 0 means no limit. */
    public void bandwidth(int bytesPerSecond) {
        run(() -> lines.values().forEach(line -> line.bandwidth(bytesPerSecond)));
    }

    /**
     *  Half-open: connections stay, and new ones are accepted, but no byte moves in either direction until {@link
     * #pass()}.
     */
    public void stall() {
        run(() -> lines.values().forEach(line -> line.mode(FaultLine.Mode.STALL)));
    }

    /** Drops all bytes going in one direction until {@link #pass()}, which resets the connections that lost some. */
    public void swallow(Direction direction) {
        run(() -> line(direction).mode(FaultLine.Mode.SWALLOW));
    }

    /**
     * Drops the next bytes going in one direction and resets their connection a while later; then passes everything
     * again. With {@code DOWN} it is the fault that people forget: the command runs, its reply is lost.
     *
     * @param resetAfter from the first byte lost to the reset
     */
    public void swallowThenReset(Direction direction, Duration resetAfter) {
        run(() -> {
            line(direction).mode(FaultLine.Mode.SWALLOW);
            line(direction).onLoss(() -> {
                var unused = loop.schedule(this::heal, resetAfter.toNanos(), TimeUnit.NANOSECONDS);
            });
        });
    }

    /** How many bytes were dropped so far in one direction. */
    public long swallowed(Direction direction) {
        return call(() -> line(direction).swallowed());
    }

    /** Ends stalling and swallowing; what was stalled goes on, in order. Latency and bandwidth stay as they are. */
    public void pass() {
        run(this::heal);
    }

    /** Resets all connections (RST). New ones are accepted. */
    public void resetAll() {
        run(() -> List.copyOf(connections).forEach(Connection::reset));
    }

    /** Resets all connections and refuses new ones until {@link #accept()}. */
    public void refuse() {
        listener.close().syncUninterruptibly();
        // The system's socket stays open until the selector comes round.
        Eventually.await("refusal", Duration.ofSeconds(5), () -> !isAccepting());
        resetAll();
    }

    private boolean isAccepting() throws IOException {
        try (Socket probe = new Socket()) {
            probe.connect(new InetSocketAddress(InetAddress.getByAddress(new byte[] {127, 0, 0, 1}), port));
            return true;
        } catch (ConnectException e) {
            return false;
        }
    }

    /** Accepts connections again, on the same port. Does nothing if it does already. */
    public void accept() {
        if (!listener.isOpen()) {
            listener = listen();
        }
    }

    /** Closes everything. */
    @Override
    public void close() {
        if (loop.isShuttingDown()) {
            return;
        }
        refuse();
        loop.shutdownGracefully(0, 1, TimeUnit.SECONDS).syncUninterruptibly();
    }

    private FaultLine line(Direction direction) {
        return lines.get(direction);
    }

    private void heal() {
        Set<Channel> harmed = new LinkedHashSet<>();
        lines.values().forEach(line -> harmed.addAll(line.heal()));
        for (Connection connection : List.copyOf(connections)) {
            if (harmed.contains(connection.client) || harmed.contains(connection.server)) {
                connection.reset();
            }
        }
    }

    private Channel listen() {
        return new ServerBootstrap()
                .group(loop)
                .channel(NioServerSocketChannel.class)
                .option(ChannelOption.SO_REUSEADDR, true)
                .childOption(ChannelOption.AUTO_READ, false)
                .childOption(ChannelOption.TCP_NODELAY, true)
                .childHandler(new ChannelInitializer<SocketChannel>() {
                    @Override
                    protected void initChannel(SocketChannel client) {
                        connect(client);
                    }
                })
                .bind("127.0.0.1", port)
                .syncUninterruptibly()
                .channel();
    }

    private void connect(SocketChannel client) {
        ChannelFuture connecting = new Bootstrap()
                .group(loop)
                .channel(NioSocketChannel.class)
                .option(ChannelOption.AUTO_READ, false)
                .option(ChannelOption.TCP_NODELAY, true)
                .handler(new ChannelInitializer<SocketChannel>() {
                    @Override
                    protected void initChannel(SocketChannel server) {
                        // Its handler comes with the connection.
                    }
                })
                .connect(target);
        connecting.addListener(done -> {
            if (!done.isSuccess()) {
                client.config().setSoLinger(0);
                var unused = client.close();
                return;
            }
            join(new Connection(client, (SocketChannel) connecting.channel()));
        });
    }

    private void join(Connection connection) {
        if (!connection.client.isActive()) {
            var unused = connection.server.close(); // the client did not wait
            return;
        }
        connections.add(connection);
        connection.client.closeFuture().addListener(closed -> connections.remove(connection));
        line(Direction.UP).connect(connection.client, connection.server);
        line(Direction.DOWN).connect(connection.server, connection.client);
    }

    private void run(Runnable action) {
        loop.submit(action).syncUninterruptibly();
    }

    private <T> T call(Callable<T> action) {
        return loop.submit(action).syncUninterruptibly().getNow();
    }
}
