package io.millrace.drain.http;

import static io.millrace.drain.DrainRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.drain.DirtyMap;
import io.millrace.drain.Drain;
import io.millrace.drain.DrainRig;
import io.millrace.testing.Eventually;
import io.millrace.testing.JvmChild;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Servers of one drain are killed with kill -9 under load, again and again; a sender retries as Routemaster does. */
@RedisTest
class KillNineDrainIT {

    /** Fewer or more with -Dkills=25. */
    private static final int KILLS = Integer.getInteger("kills", 50);

    private static final int SIDE_BY_SIDE = 3;
    private static final int SENDERS = 4;
    private static final Duration START = Duration.ofSeconds(30);

    private final List<Integer> ports = new CopyOnWriteArrayList<>();
    private final Set<String> acknowledged = ConcurrentHashMap.newKeySet();
    private final AtomicInteger repeats = new AtomicInteger();
    private volatile boolean enough;

    @Test
    @Tag("D1")
    @Tag("D4")
    @Timeout(400)
    @DisplayName(
            "D1 D4 every acknowledged event is processed and its URL dirty, however often servers are killed under load")
    void killed(RedisServer server, @Namespace String namespace) throws InterruptedException {
        List<Thread> senders = new ArrayList<>();
        for (int i = 0; i < SENDERS; i++) {
            int own = i;
            Thread thread = new Thread(() -> send(own), "sender-" + i);
            thread.setDaemon(true);
            thread.start();
            senders.add(thread);
        }
        List<JvmChild> children = new ArrayList<>();
        List<Integer> childPorts = new ArrayList<>();
        Random random = new Random();
        for (int kills = 0; kills < KILLS; kills++) {
            while (children.size() < SIDE_BY_SIDE) { // side by side, because most of the time goes into starting them
                children.add(child(server, namespace));
                childPorts.add(0);
            }
            if (childPorts.get(0) == 0) {
                childPorts.set(0, port(children.get(0)));
                ports.add(childPorts.get(0));
            }
            int before = acknowledged.size();
            Eventually.await("load", START, () -> acknowledged.size() > before + random.nextInt(60));
            LockSupport.parkNanos(Duration.ofMillis(random.nextInt(20)).toNanos());
            children.remove(0).kill9();
            ports.remove(childPorts.remove(0));
        }
        try (JvmChild last = children.get(0)) {
            for (JvmChild rest : children.subList(1, children.size())) {
                rest.kill9();
            }
            ports.add(childPorts.get(0) == 0 ? port(last) : childPorts.get(0));
            enough = true;
            for (Thread thread : senders) {
                thread.join(START.toMillis());
                assertThat(thread.isAlive()).isFalse();
            }
            try (DrainRig rig = DrainRig.on(server, namespace)) {
                DirtyMap map = rig.mill.dirtyMap(Drain.DEFAULT_NAME);
                Eventually.await(
                        "all is done", START, () -> map.state().block(SOON).stored() == 0);
                assertThat(acknowledged).hasSizeGreaterThan(KILLS * 5);
                List<?> processed = (List<?>) rig.mill
                        .redis()
                        .call("SMEMBERS", namespace + ":processed")
                        .block(SOON);
                Set<String> done = new HashSet<>();
                processed.forEach(url -> done.add(new String((byte[]) url, StandardCharsets.UTF_8)));
                assertThat(done).containsAll(acknowledged);
                assertThat(new HashSet<>(map.all().collectList().block(SOON))).containsAll(acknowledged);
                assertThat(rig.keys("default"))
                        .doesNotContain("due", "attempts")
                        .noneMatch(key -> key.startsWith("d:"));
            }
        }
    }

    private void send(int own) {
        HttpClient client = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .connectTimeout(Duration.ofSeconds(2))
                .build();
        for (int n = 0; !enough; n++) {
            List<String> urls = new ArrayList<>();
            StringBuilder body = new StringBuilder("[");
            for (int i = 0; i < 5; i++) {
                String url = "https://x/" + own + "/" + n + "/" + i;
                urls.add(url);
                body.append(i == 0 ? "" : ",")
                        .append("{\"topic\":\"widgets\",\"type\":\"update\",\"url\":\"")
                        .append(url)
                        .append("\",\"t\":1503000000000}");
            }
            sendUntilAcknowledged(client, body.append(']').toString());
            acknowledged.addAll(urls);
        }
    }

    private void sendUntilAcknowledged(HttpClient client, String body) {
        while (true) {
            try {
                List<Integer> alive = List.copyOf(ports);
                if (!alive.isEmpty()) {
                    int port = alive.get(ThreadLocalRandom.current().nextInt(alive.size()));
                    HttpRequest request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/events"))
                            .timeout(Duration.ofSeconds(5))
                            .headers("Authorization", Sender.TOKEN, "Content-Type", Sender.JSON)
                            .POST(HttpRequest.BodyPublishers.ofString(body))
                            .build();
                    int status = client.send(request, HttpResponse.BodyHandlers.discarding())
                            .statusCode();
                    assertThat(status).isIn(204, 503);
                    if (status == 204) {
                        return;
                    }
                }
            } catch (IOException e) {
                repeats.incrementAndGet(); // it was killed: whether the batch is safe is not known
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
            LockSupport.parkNanos(Duration.ofMillis(2).toNanos());
        }
    }

    private static int port(JvmChild child) {
        return Integer.parseInt(
                child.awaitLine(line -> line.startsWith("port "), START).substring(5));
    }

    private static JvmChild child(RedisServer server, String namespace) {
        return JvmChild.of(KilledServer.class)
                .option("-XX:TieredStopAtLevel=1")
                .option("-Xshare:auto")
                .option("-XX:+UseSerialGC")
                .option("-XX:-UsePerfData")
                .option("-XX:+UnlockDiagnosticVMOptions")
                .option("-XX:-BytecodeVerificationRemote") // starts sooner
                .option("-Xmx128m")
                .args(server.uri(), namespace)
                .start();
    }
}
