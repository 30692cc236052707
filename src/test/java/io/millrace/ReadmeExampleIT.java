package io.millrace;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.queue.FacetState;
import io.millrace.queue.Message;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Collectors;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** The Java example of the README is compiled here, runs, and is the same as there. */
class ReadmeExampleIT {

    private final List<String> handled = new CopyOnWriteArrayList<>();

    @Test
    @DisplayName("the README's example runs: one queue, two environments, handled in turns")
    void example() {
        // <readme>
        Millrace mill = Millrace.embedded(); // or Millrace.connect("redis://localhost:6379")
        mill.queues().register("searches", ".*:page:.*google.*").block();

        Flux<Event> visits = Flux.just("acme", "acme", "acme", "globex")
                .map(env -> Event.of(env, "page", "http://google.com/q").with("referrer", "http://customer.io"));
        mill.deliver(visits).blockLast();

        mill.queue("searches").peek(4).map(Message::facet).collectList().block(); // [acme, globex, acme, acme]
        mill.queue("searches").consume(message -> handle(message.event())).subscribe(); // at least once, with retries
        // </readme>
        try {
            reactor.test.StepVerifier.create(Flux.interval(Duration.ofMillis(20))
                            .filter(tick -> handled.size() == 4)
                            .next())
                    .expectNextCount(1)
                    .expectComplete()
                    .verify(Duration.ofSeconds(10));
            assertThat(handled).containsExactlyInAnyOrder("acme", "acme", "acme", "globex");
            assertThat(mill.queue("searches")
                            .facets()
                            .map(FacetState::waiting)
                            .collectList()
                            .block())
                    .allMatch(waiting -> waiting == 0);
        } finally {
            mill.shutdown().block(Duration.ofSeconds(10));
        }
    }

    private Mono<Void> handle(Event event) {
        return Mono.fromRunnable(() -> handled.add(event.environment()));
    }

    @Test
    @DisplayName("the README shows exactly the example that is compiled here")
    void readmeShowsIt() throws IOException {
        String source = Files.readString(Path.of("src/test/java/io/millrace/ReadmeExampleIT.java"));
        String region = source.substring(source.indexOf("// <readme>\n") + 12, source.indexOf("        // </readme>"))
                .lines()
                .map(line -> line.startsWith("        ") ? line.substring(8) : line)
                .collect(Collectors.joining("\n"));
        assertThat(Files.readString(Path.of("README.md"))).contains("```java\n" + region + "\n```");
    }
}
