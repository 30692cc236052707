package io.millrace.drain.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.drain.Drain;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.netty.DisposableServer;

/** Senders that read their answer only when they have sent everything, and are refused before that. */
@RedisTest
class LingeringIT {

    private static final Duration SOON = Duration.ofSeconds(20);
    private static final int PIECE = 64 << 10;

    private Millrace mill;
    private DisposableServer server;

    @BeforeEach
    void start(RedisServer redis, @Namespace String namespace) {
        mill = Millrace.connect(MillraceSettings.of(redis.settings(namespace)));
        Drain drain = mill.drain().mapping().tokens("demo").build();
        server = DrainServer.create(drain, "/events").port(0).bindNow();
    }

    @AfterEach
    void stop() {
        server.disposeNow(SOON);
        mill.shutdown().block(SOON);
    }

    private Socket connect() throws IOException {
        Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.port());
        socket.setSoTimeout((int) SOON.toMillis());
        return socket;
    }

    /** Nobody in particular: refused by its head alone. */
    private static String head(long length) {
        return "POST /events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " + length
                + "\r\n\r\n";
    }

    @Test
    @DisplayName(
            "bodies of up to 1 MiB that come after their answer: it is read whole, and the connection ends in order")
    void answerIsNotLost() throws IOException {
        for (int i = 0; i < 20; i++) {
            try (Socket socket = connect()) {
                OutputStream out = socket.getOutputStream();
                int pieces = 15;
                out.write(head(pieces * (long) PIECE).getBytes(StandardCharsets.US_ASCII));
                out.flush();
                awaitAnswer(socket); // so all of the body comes behind it
                for (int piece = 0; piece < pieces; piece++) {
                    out.write(new byte[PIECE]);
                    out.flush();
                }
                String answer = new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
                assertThat(answer)
                        .startsWith("HTTP/1.1 401")
                        .contains("connection: close")
                        .contains("\"code\":\"credentials_required\"");
            }
        }
    }

    private static void awaitAnswer(Socket socket) throws IOException {
        long deadline = System.nanoTime() + SOON.toNanos();
        while (socket.getInputStream().available() == 0) {
            assertThat(System.nanoTime()).as("an answer before the body").isLessThan(deadline);
            Thread.onSpinWait();
        }
    }

    @Test
    @Tag("X14")
    @DisplayName("X14 a body without end is read for a while only: the connection is cut")
    void isBounded() throws IOException {
        try (Socket socket = connect()) {
            OutputStream out = socket.getOutputStream();
            out.write(head(Long.MAX_VALUE).getBytes(StandardCharsets.US_ASCII));
            long sent = 0;
            try {
                while (sent < (1L << 30)) {
                    out.write(new byte[PIECE]);
                    sent += PIECE;
                }
            } catch (IOException cut) {
                // As it should be.
            }
            assertThat(sent).isLessThan(64 << 20); // what systems keep on both sides comes on top
        }
    }

    @Test
    @Tag("X14")
    @DisplayName("X14 a sender that goes silent behind its answer is let go within seconds")
    void silent() throws IOException {
        try (Socket socket = connect()) {
            socket.getOutputStream().write(head(1_000).getBytes(StandardCharsets.US_ASCII));
            assertThat(new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
                    .startsWith("HTTP/1.1 401");
        }
    }
}
