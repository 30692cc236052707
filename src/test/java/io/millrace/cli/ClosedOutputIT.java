package io.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Event;
import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.stream.EntryId;
import io.millrace.stream.StreamState;
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
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reactor.core.publisher.Flux;

/**
 * {@code | head}: nobody reads what is printed any more. Each line here is longer than what a pipe holds, so what was printed was read.
 */
@RedisTest
class ClosedOutputIT {

    private static final Duration START = Duration.ofSeconds(20);
    private static final Duration SOON = Duration.ofSeconds(20);
    private static final String LONG = "x".repeat(100_000);

    private RedisServer redis;

    @Namespace
    private String namespace;

    private Millrace mill;

    @BeforeEach
    void connect() {
        mill = Millrace.connect(MillraceSettings.of(redis.settings(namespace)));
    }

    @AfterEach
    void close() {
        mill.shutdown().block(SOON);
    }

    private JvmChild head(int lines, String... command) {
        return JvmChild.of(Main.class)
                .option("-XX:TieredStopAtLevel=1")
                .args("--redis", redis.uri(), "--namespace", namespace)
                .args(command)
                .pipedInto("head -n " + lines)
                .start();
    }

    private static void endsUnread(JvmChild child) {
        assertThat(child.awaitLine(line -> line.startsWith("exit "), START)).isEqualTo("exit 141");
        assertThat(child.exitCode(SOON)).isZero();
    }

    private void deliver(int many) {
        mill.queues().register("q", ".*").block(SOON);
        mill.deliver(Flux.range(0, many).map(i -> Event.of("e", "t", "n" + i).with("text", LONG)))
                .blockLast(SOON);
    }

    @Test
    @DisplayName("stream consume --follow: what was read is committed, and no more; the next one goes on at once")
    void streamConsume() {
        List<EntryId> all = mill.streams()
                .producer("s")
                .queueAll(IntStream.range(0, 20)
                        .mapToObj(i -> Map.of("id", i, "text", LONG))
                        .toList())
                .block(SOON);
        try (JvmChild child = head(3, "stream", "consume", "s", "c", "--follow", "--batch", "1")) {
            endsUnread(child);
            assertThat(child.lines()).filteredOn(line -> line.startsWith("{")).hasSize(3);
            assertThat(child.lines()).as("no word about it").hasSize(4);
        }
        StreamState.ConsumerState left =
                mill.streams().stream("s").state().blockLast(SOON).consumers().get(0);
        assertThat(left.offset()).isEqualTo(all.get(2));
        assertThat(left.active()).as("its lock is free").isFalse();
    }

    @Test
    @DisplayName("queue pull --lease gives back what was not read")
    void pullLeased() {
        deliver(10);
        try (JvmChild child = head(2, "queue", "pull", "q", "-n", "10", "--lease", "5m")) {
            endsUnread(child);
        }
        assertThat(mill.queue("q").pull(20).collectList().block(SOON))
                .extracting(message -> message.event().name())
                .containsExactly("n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9");
    }

    @Test
    @DisplayName("queue pull takes no further batch, and tells what it had taken")
    void pull() {
        deliver(260);
        try (JvmChild child = head(2, "queue", "pull", "q", "-n", "260")) {
            endsUnread(child);
            assertThat(child.lines())
                    .contains(
                            "standard output is closed: 254 messages were taken from the queue and could not be printed;"
                                    + " --lease would have kept them");
        }
        assertThat(mill.queue("q").length().block(SOON)).isEqualTo(4);
    }

    @Test
    @DisplayName("listen ends with the next event")
    void listen() {
        try (JvmChild child = head(1, "listen", "*")) {
            child.awaitLine(line -> line.equals("listening to *"), START);
            Eventually.await("ended", START, () -> {
                mill.deliver(Event.of("e", "t", "n").with("text", LONG)).block(SOON);
                return child.lines().stream().anyMatch(line -> line.startsWith("exit "));
            });
            endsUnread(child);
        }
    }

    @Test
    @DisplayName("deliver says up to where it came")
    void deliver(@TempDir Path folder) throws IOException {
        mill.queues().register("q", ".*").block(SOON);
        Path events = folder.resolve("events.ndjson");
        Files.write(events, Collections.nCopies(20_000, "{\"environment\":\"e\",\"type\":\"t\",\"name\":\"n\"}"));
        try (JvmChild child = head(1, "deliver", "--input", events.toString())) {
            child.awaitLine(
                    line -> line.matches("standard output is closed; what follows line \\d+ may not be delivered"),
                    START);
            endsUnread(child);
        }
        assertThat(mill.queue("q").length().block(SOON)).isLessThan(20_000);
    }

    @Test
    @DisplayName("serve goes on: it is there for others than its reader")
    void serve() {
        try (JvmChild child = head(0, "serve", "--port", "0")) {
            String said = child.awaitLine(line -> line.startsWith("listening on "), START);
            URI address = URI.create(said.substring("listening on ".length(), said.indexOf(',')));
            HttpClient client = HttpClient.newHttpClient();
            HttpRequest ready =
                    HttpRequest.newBuilder(address.resolve("/health/ready")).build();
            Eventually.await(
                    "ready",
                    START,
                    () -> client.send(ready, HttpResponse.BodyHandlers.discarding())
                                    .statusCode()
                            == 200);
            assertThat(child.lines()).noneMatch(line -> line.startsWith("exit "));
        }
    }
}
