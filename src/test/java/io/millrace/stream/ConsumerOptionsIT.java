package io.millrace.stream;

import static io.millrace.stream.StreamRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.stream.StreamRig.Seen;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;

/** What options of consumers do: pauses between attempts, the handler's time, where somebody new begins. */
@RedisTest
class ConsumerOptionsIT {

    private StreamRig rig;

    @BeforeEach
    void open(RedisServer redis, @Namespace String namespace) {
        rig = StreamRig.on(redis, namespace);
    }

    @AfterEach
    void close() {
        rig.close();
    }

    @Test
    @Tag("T10")
    @DisplayName(
            "T10 pauses between attempts double up to the longest, a random fifth is taken off, and none overflows")
    void pauses() {
        ConsumerOptions options = ConsumerOptions.builder()
                .retryDelay(Duration.ofMillis(200), Duration.ofSeconds(30))
                .build();
        assertThat(List.of(1, 2, 3, 8, 9, 1_000))
                .extracting(attempt -> options.delayAfter(attempt, 0).toMillis())
                .containsExactly(200L, 400L, 800L, 25_600L, 30_000L, 30_000L);
        assertThat(options.delayAfter(3, 1)).isEqualTo(Duration.ofMillis(640));
        assertThat(options.delayAfter(9, 0.5)).isEqualTo(Duration.ofMillis(27_000));
    }

    @Test
    @Tag("T10")
    @DisplayName(
            "T10 a handler that hangs counts as failed when its time is over; the entry it hangs at becomes a dead letter")
    void handlerTimeout() {
        rig.queue(8);
        AtomicInteger cancelled = new AtomicInteger();
        Seen seen = new Seen();
        rig.run(rig.consumer("c", ConsumerOptions.builder().attempts(1).handlerTimeout(Duration.ofMillis(100)))
                .consume(batch -> batch.entries().stream()
                                .anyMatch(entry -> entry.get("id").equals(5))
                        ? Mono.never().doOnCancel(cancelled::incrementAndGet)
                        : seen.add(batch)));
        Eventually.await("the others", SOON, () -> rig.state("c").lag() == 0);
        assertThat(seen.records()).containsExactly(0, 1, 2, 3, 4, 6, 7);
        assertThat(cancelled.get()).as("the batch, its halves").isEqualTo(4);
        assertThat(rig.deadLetters("c")).singleElement().satisfies(letter -> {
            assertThat(letter.entry().get("id")).isEqualTo(5);
            assertThat(letter.cause()).contains("longer than PT0.1S");
        });
    }

    @Test
    @DisplayName("somebody new begins where he says, who is registered already goes on where he was")
    void beginAfter() {
        List<EntryId> ids = rig.queue(5);
        rig.stream.register("known", ids.get(0)).block(SOON);
        rig.stream.registerAtEnd("atEnd").block(SOON);
        assertThat(rig.offset("atEnd")).isEqualTo(ids.get(4));
        for (String name : List.of("new", "known", "atEnd")) {
            Seen seen = rig.collect(rig.consumer(name, ConsumerOptions.builder().beginAfter(ids.get(2))));
            rig.queue("for " + name);
            Eventually.await(name, SOON, () -> seen.records().contains("for " + name));
            Object first = seen.records().get(0);
            assertThat(first)
                    .isEqualTo(
                            switch (name) {
                                case "new" -> 3;
                                case "known" -> 1;
                                default -> "for new"; // the first that came after he was registered
                            });
            seen.stop.dispose();
        }
    }
}
