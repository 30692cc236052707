package io.millrace.drain.http;

import static io.millrace.drain.DrainRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.drain.DirtyMap;
import io.millrace.drain.Drain;
import io.millrace.drain.DrainRig;
import io.millrace.testing.Eventually;
import io.millrace.testing.JvmChild;
import io.millrace.testing.Namespace;
import io.millrace.testing.OwnRedis;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.netty.DisposableServer;

/** More than there is room for: in the server's memory, in Redis' memory; and a sweeper that dies over its work. */
@RedisTest
class FloodIT {

    private static final Duration START = Duration.ofSeconds(30);
    private static final int BODY = 900_000;

    @Test
    @Tag("D17")
    @Tag("X14")
    @DisplayName(
            "D17 X14 two hundred senders of 180 MB that never finish, against a heap of 64 MB: refused, cut, and all is well after")
    void flood(RedisServer server, @Namespace String namespace) throws Exception {
        try (JvmChild child = JvmChild.of(KilledServer.class)
                .option("-Xmx64m")
                .option("-XX:MaxDirectMemorySize=64m")
                .option("-XX:+UseSerialGC")
                .option("-XX:+ExitOnOutOfMemoryError")
                .property("buffered", String.valueOf(8 << 20))
                .property("body", "3000")
                .args(server.uri(), namespace)
                .start()) {
            int port = Integer.parseInt(
                    child.awaitLine(line -> line.startsWith("port "), START).substring(5));
            Sender sender = new Sender(port);
            assertThat(sender.post(body("before")).status()).isEqualTo(204);
            ExecutorService senders = Executors.newFixedThreadPool(50);
            List<Future<String>> answers = new ArrayList<>();
            for (int i = 0; i < 200; i++) {
                answers.add(senders.submit(() -> unfinished(port)));
            }
            int overloaded = 0;
            int slow = 0;
            for (Future<String> answer : answers) {
                String status = answer.get();
                overloaded += status.startsWith("HTTP/1.1 503") ? 1 : 0;
                slow += status.startsWith("HTTP/1.1 408") ? 1 : 0;
                assertThat(status).doesNotContain("HTTP/1.1 5" + "00").doesNotContain("HTTP/1.1 2");
            }
            senders.shutdown();
            assertThat(overloaded).as("refused because too much is held").isPositive();
            assertThat(slow).as("cut because they were slow").isPositive();
            Eventually.await("204 again", SOON, () -> sender.post(body("after")).status() == 204);
            assertThat(child.isAlive()).isTrue();
            String peak = Files.readAllLines(Path.of("/proc/" + child.pid() + "/status")).stream()
                    .filter(line -> line.startsWith("VmHWM"))
                    .findFirst()
                    .orElse("");
            System.out.println("flood of 180 MB: " + overloaded + " times 503, " + slow + " times 408, " + peak);
        }
    }

    private static String body(String url) {
        return "[{\"topic\":\"w\",\"type\":\"update\",\"url\":\"" + url + "\",\"t\":1}]";
    }

    /** Sends a body but for its last byte, and tells what is answered. */
    private static String unfinished(int port) {
        StringBuilder answer = new StringBuilder();
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
            socket.setSoTimeout(8_000);
            String head = "POST /events HTTP/1.1\r\nHost: x\r\nAuthorization: " + Sender.TOKEN
                    + "\r\nContent-Type: application/json\r\nContent-Length: " + BODY + "\r\n\r\n";
            socket.getOutputStream().write(head.getBytes(StandardCharsets.ISO_8859_1));
            byte[] piece = new byte[9_000];
            try {
                for (int sent = 0; sent < BODY - piece.length; sent += piece.length) {
                    socket.getOutputStream().write(piece);
                }
            } catch (IOException e) {
                answer.append("(cut)");
            }
            byte[] read = new byte[4_096];
            int n = socket.getInputStream().read(read);
            return n < 0 ? answer.append("(closed)").toString() : new String(read, 0, n, StandardCharsets.ISO_8859_1);
        } catch (IOException e) {
            return answer.append(e).toString();
        }
    }

    @Test
    @DisplayName("Redis' memory is full: 503; processing goes on and makes room; 204 again")
    void memoryFull() {
        try (OwnRedis redis = OwnRedis.start("--maxmemory", "6mb", "--maxmemory-policy", "noeviction");
                DrainRig rig = DrainRig.on(redis.uri(), "full")) {
            Drain drain = rig.mill.drain().mapping().tokens("demo").build();
            DisposableServer server = DrainServer.create(drain, "/events").bindNow();
            try {
                Sender sender = new Sender(server.port());
                String filler = "\"data\":{\"x\":\"" + "y".repeat(30_000) + "\"}}]";
                int accepted = 0;
                int status = 204;
                while (status == 204 && accepted < 1_000) {
                    status = sender.post(body("u" + accepted).replace("}]", "," + filler))
                            .status();
                    accepted += status == 204 ? 1 : 0;
                }
                assertThat(status).isEqualTo(503);
                assertThat(accepted).isGreaterThan(10);
                Disposable running = drain.start();
                Eventually.await(
                        "all is processed",
                        START,
                        () -> drain.state().block(SOON).stored() == 0);
                assertThat(drain.dirtyMap().count().block(SOON)).isEqualTo(accepted);
                assertThat(sender.post(body("last").replace("}]", "," + filler)).status())
                        .isEqualTo(204);
                running.dispose();
            } finally {
                server.disposeNow();
            }
        }
    }

    @Test
    @Tag("D4")
    @DisplayName("D4 a sweeper is killed with kill -9 over its work: all its URLs come back")
    void killedSweeper(RedisServer server, @Namespace String namespace) {
        try (DrainRig rig = DrainRig.on(server, namespace)) {
            DirtyMap map = rig.mill.dirtyMap();
            map.mark(List.of("a", "b", "c", "d", "e", "f")).block(SOON);
            try (JvmChild child = JvmChild.of(KilledServer.class)
                    .option("-XX:TieredStopAtLevel=1")
                    .property("sweeps", "true")
                    .args(server.uri(), namespace)
                    .start()) {
                for (int i = 0; i < 4; i++) {
                    child.awaitLine(line -> line.startsWith("swept "), START);
                }
                assertThat(map.state().block(SOON).swept()).isEqualTo(4);
                child.kill9();
            }
            Eventually.await(
                    "they are back", SOON, () -> map.state().block(SOON).swept() == 0);
            assertThat(map.all().collectList().block(SOON)).containsExactly("a", "b", "c", "d", "e", "f");
        }
    }
}
