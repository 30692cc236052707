package io.millrace.server;

import static io.millrace.server.ServerRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** Requests that follow each other on one connection. */
@RedisTest
class KeepAliveIT {

    private static String get(String path) {
        return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
    }

    /** Reads one answer. */
    private static String status(BufferedReader in) throws IOException {
        String status = in.readLine();
        int length = 0;
        for (String line = in.readLine(); !line.isEmpty(); line = in.readLine()) {
            if (line.toLowerCase(java.util.Locale.ROOT).startsWith("content-length:")) {
                length = Integer.parseInt(line.substring(line.indexOf(':') + 1).trim());
            }
        }
        assertThat(in.skip(length)).isEqualTo(length);
        return status;
    }

    @Test
    @DisplayName(
            "a request that is answered at once, behind one that took a while, does not leave the connection deaf: reactor-netty#4361")
    void pipelined(RedisServer server, @Namespace String namespace) throws IOException {
        try (ServerRig rig = ServerRig.on(server, namespace);
                Socket socket = new Socket(
                        InetAddress.getLoopbackAddress(), rig.server().port())) {
            socket.setSoTimeout((int) SOON.toMillis());
            BufferedReader in =
                    new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.ISO_8859_1));
            for (int i = 0; i < 20; i++) {
                socket.getOutputStream()
                        .write((get("/health/ready") + get("/health/live")).getBytes(StandardCharsets.US_ASCII));
                assertThat(status(in)).isEqualTo("HTTP/1.1 200 OK");
                assertThat(status(in)).isEqualTo("HTTP/1.1 200 OK");
            }
        }
    }
}
