package io.millrace.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.millrace.testing.FaultProxy.Direction;
import java.io.IOException;
import java.io.InputStream;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Against an echo server with plain sockets, so that no client's reconnecting hides what happens. */
class FaultProxyIT {

    private static final Duration SOON = Duration.ofSeconds(20);

    private ServerSocket echo;
    private FaultProxy proxy;

    @BeforeEach
    void start() throws IOException {
        echo = new ServerSocket(0, 50, InetAddress.getByAddress(new byte[] {127, 0, 0, 1}));
        daemon(this::serve);
        proxy = FaultProxy.to("redis://127.0.0.1:" + echo.getLocalPort());
    }

    @AfterEach
    void stop() throws IOException {
        proxy.close();
        echo.close();
    }

    @Test
    void passesBytesBothWays() throws IOException {
        try (Socket client = connect()) {
            assertThat(roundTrip(client, "hello")).isEqualTo("hello");
        }
        Eventually.await("no connection", SOON, () -> proxy.connections() == 0);
    }

    @Test
    void latencyCountsOncePerDirection() throws IOException {
        try (Socket client = connect()) {
            roundTrip(client, "warm");
            proxy.latency(Duration.ofMillis(100));
            assertThat(millisOf(client)).isBetween(200L, 400L);
            proxy.latency(Direction.UP, Duration.ZERO, Duration.ZERO);
            assertThat(millisOf(client)).isBetween(100L, 190L);
            proxy.latency(Duration.ZERO);
            assertThat(millisOf(client)).isLessThan(90L);
        }
    }

    @Test
    void bytesKeepTheirOrderUnderJitterAndBandwidth() throws IOException {
        byte[] sent = new byte[200_000];
        new Random(7).nextBytes(sent);
        proxy.latency(Duration.ofMillis(1), Duration.ofMillis(20));
        proxy.bandwidth(1_000_000);
        try (Socket client = connect()) {
            daemon(() -> {
                for (int at = 0; at < sent.length; at += 1000) {
                    client.getOutputStream().write(sent, at, 1000);
                }
            });
            long start = System.nanoTime();
            assertThat(client.getInputStream().readNBytes(sent.length)).isEqualTo(sent);
            assertThat(Duration.ofNanos(System.nanoTime() - start))
                    .isBetween(Duration.ofMillis(200), Duration.ofSeconds(5));
        }
    }

    @Test
    void resetEndsConnectionsAndNewOnesPass() throws IOException {
        try (Socket client = connect()) {
            roundTrip(client, "hello");
            proxy.resetAll();
            assertThatExceptionOfType(SocketException.class)
                    .isThrownBy(() -> client.getInputStream().read())
                    .withMessageContaining("reset");
        }
        try (Socket client = connect()) {
            assertThat(roundTrip(client, "again")).isEqualTo("again");
        }
    }

    @Test
    void refusesAndAcceptsOnTheSamePort() throws IOException {
        int port = proxy.port();
        proxy.refuse();
        assertThatExceptionOfType(ConnectException.class).isThrownBy(this::connect);
        proxy.accept();
        proxy.accept();
        assertThat(proxy.port()).isEqualTo(port);
        try (Socket client = connect()) {
            assertThat(roundTrip(client, "again")).isEqualTo("again");
        }
    }

    @Test
    void stalledBytesGoOnInOrder() throws IOException {
        try (Socket client = connect()) {
            roundTrip(client, "warm");
            proxy.stall();
            send(client, "one ");
            client.setSoTimeout(200);
            assertThatExceptionOfType(SocketTimeoutException.class)
                    .isThrownBy(() -> client.getInputStream().read());
            send(client, "two");
            client.setSoTimeout(10_000);
            proxy.pass();
            assertThat(receive(client, 7)).isEqualTo("one two");
        }
    }

    @Test
    void aConnectionThatLostBytesIsResetAndNeverGoesOn() throws IOException {
        try (Socket harmed = connect();
                Socket idle = connect()) {
            roundTrip(harmed, "warm");
            roundTrip(idle, "warm");
            proxy.swallow(Direction.DOWN);
            send(harmed, "lost");
            Eventually.await("the reply to be lost", SOON, () -> proxy.swallowed(Direction.DOWN) == 4);
            assertThat(proxy.swallowed(Direction.UP)).isZero();
            proxy.pass();
            assertThatExceptionOfType(SocketException.class)
                    .isThrownBy(() -> harmed.getInputStream().read())
                    .withMessageContaining("reset");
            assertThat(roundTrip(idle, "fine")).isEqualTo("fine");
        }
    }

    @Test
    void losesOneReplyThenResetsThenPasses() throws IOException {
        try (Socket client = connect()) {
            roundTrip(client, "warm");
            proxy.swallowThenReset(Direction.DOWN, Duration.ofMillis(100));
            long start = System.nanoTime();
            send(client, "lost");
            assertThatExceptionOfType(SocketException.class)
                    .isThrownBy(() -> client.getInputStream().read())
                    .withMessageContaining("reset");
            assertThat(Duration.ofNanos(System.nanoTime() - start)).isGreaterThanOrEqualTo(Duration.ofMillis(100));
            assertThat(proxy.swallowed(Direction.DOWN)).isEqualTo(4);
        }
        try (Socket client = connect()) {
            assertThat(roundTrip(client, "again")).isEqualTo("again");
        }
    }

    @Test
    void aServerThatIsAwayResetsTheClient() throws IOException {
        proxy.close();
        proxy = FaultProxy.to("redis://127.0.0.1:1"); // nobody listens there, nor can a free port be that one
        assertThatExceptionOfType(SocketException.class).isThrownBy(() -> {
            try (Socket client = connect()) {
                client.getInputStream().read();
            }
        });
    }

    private Socket connect() throws IOException {
        Socket socket = new Socket();
        socket.setSoTimeout(10_000);
        socket.setTcpNoDelay(true);
        socket.connect(new InetSocketAddress(InetAddress.getByAddress(new byte[] {127, 0, 0, 1}), proxy.port()), 5000);
        return socket;
    }

    /** The best of five: a busy machine adds to some round trips, the proxy to all of them. */
    private static long millisOf(Socket client) throws IOException {
        long best = Long.MAX_VALUE;
        for (int i = 0; i < 5; i++) {
            long start = System.nanoTime();
            roundTrip(client, "ping");
            best = Math.min(best, System.nanoTime() - start);
        }
        return Duration.ofNanos(best).toMillis();
    }

    private static String roundTrip(Socket client, String text) throws IOException {
        send(client, text);
        return receive(client, text.length());
    }

    private static void send(Socket client, String text) throws IOException {
        client.getOutputStream().write(text.getBytes(StandardCharsets.US_ASCII));
    }

    private static String receive(Socket client, int length) throws IOException {
        return new String(client.getInputStream().readNBytes(length), StandardCharsets.US_ASCII);
    }

    private void serve() throws IOException {
        while (true) {
            Socket accepted = echo.accept();
            accepted.setTcpNoDelay(true);
            daemon(() -> {
                try (accepted) {
                    InputStream in = accepted.getInputStream();
                    in.transferTo(accepted.getOutputStream());
                }
            });
        }
    }

    private interface Io {
        void run() throws IOException;
    }

    private static void daemon(Io work) {
        Thread thread = new Thread(() -> {
            try {
                work.run();
            } catch (IOException e) {
                // The other side is gone, as the test wants it.
            }
        });
        thread.setDaemon(true);
        thread.start();
    }
}
