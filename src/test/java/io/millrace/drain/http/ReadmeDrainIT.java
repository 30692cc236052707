package io.millrace.drain.http;

import static io.millrace.drain.DrainRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Millrace;
import io.millrace.drain.Drain;
import io.millrace.drain.DrainEvent;
import io.millrace.drain.DrainRig;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.Collectors;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;
import reactor.netty.DisposableServer;

/** The README's drain is compiled here, runs on a free port, and is the same as there. */
@RedisTest
class ReadmeDrainIT {

    private final Queue<Object> seen = new ConcurrentLinkedQueue<>();

    @Test
    @DisplayName("the README's drain: a siphon, a listener, a sweep")
    void example(RedisServer redis, @Namespace String namespace) {
        try (DrainRig rig = DrainRig.on(redis, namespace)) {
            Millrace mill = rig.mill;
            // <readme>
            Drain drain = mill.drain()
                    .mapping()
                    .tokens("demo")
                    .siphon("rider_locations", event -> handle(event))
                    .build();
            drain.batches().subscribe(batch -> show(batch.events())); // every subscriber gets every batch
            DisposableServer server =
                    DrainServer.create(drain, "/events").port(0).bindNow(); // or mount(..) on one of yours

            mill.dirtyMap().sweep(url -> refresh(url)).subscribe(); // Mono<Boolean> each: true is clean
            // </readme>
            try {
                String event = "{\"topic\":\"%s\",\"type\":\"update\",\"url\":\"%s\",\"t\":1}";
                String body = "[" + event.formatted("rider_locations", "r") + "," + event.formatted("w", "u") + "]";
                assertThat(new Sender(server.port()).post(body).status()).isEqualTo(204);
                Eventually.await("both", SOON, () -> seen.contains("siphon r") && seen.contains("listener u"));
                mill.dirtyMap().sweep(url -> refresh(url)).blockLast(SOON);
                assertThat(seen).contains("sweep u").doesNotContain("sweep r", "listener r");
            } finally {
                server.disposeNow();
            }
        }
    }

    private Mono<Void> handle(DrainEvent event) {
        return Mono.fromRunnable(() -> seen.add("siphon " + event.url()));
    }

    private void show(List<DrainEvent> events) {
        events.forEach(event -> seen.add("listener " + event.url()));
    }

    private Mono<Boolean> refresh(String url) {
        return Mono.fromSupplier(() -> seen.add("sweep " + url));
    }

    @Test
    @DisplayName("the README shows exactly the drain that is compiled here, but for its port")
    void readmeShowsIt() throws IOException {
        String source = Files.readString(Path.of("src/test/java/io/millrace/drain/http/ReadmeDrainIT.java"));
        String region = source.substring(
                        source.indexOf("// <readme>\n") + 12, source.indexOf("            // </readme>"))
                .lines()
                .map(line -> line.startsWith("            ") ? line.substring(12) : line)
                .collect(Collectors.joining("\n"))
                .replace("port(0)", "port(8080)");
        assertThat(Files.readString(Path.of("README.md"))).contains("```java\n" + region + "\n```");
    }
}
