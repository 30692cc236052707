package io.millrace;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.json.EventCodec;
import io.millrace.queue.ConsumeOptions;
import io.millrace.stream.Change;
import io.millrace.stream.EntryId;
import io.millrace.stream.StreamEntry;
import io.millrace.stream.StreamProducer;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.ReadmeSnippet;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;

/** The README's tap is compiled here, runs, and is the same as there. */
@RedisTest
class ReadmeTapIT {

    private static final Duration SOON = Duration.ofSeconds(20);

    private static final class Audit {
        final List<Object> ids = new CopyOnWriteArrayList<>();

        Mono<Void> write(List<StreamEntry> entries) {
            return Mono.fromRunnable(() -> entries.forEach(entry -> ids.add(entry.get("id"))));
        }
    }

    private final Audit audit = new Audit();

    @Test
    @DisplayName(
            "Q12 the README's tap: everything that matches, once, in order of each facet, and again from the beginning")
    void tap(RedisServer redis, @Namespace String namespace) {
        try (Millrace mill = Millrace.connect(MillraceSettings.of(redis.settings(namespace)))) {
            // <tap>
            StreamProducer tap = mill.streams().producer("tap");
            mill.queues().register("tap", ".*:page:.*").subscribe();
            mill.queue("tap")
                    .consumeBatches(
                            batch -> tap.queueAll(batch.stream() // known by the event's id: a repeat adds nothing
                                    .map(message -> Change.json(EventCodec.write(message.event()))
                                            .withProducerId(message.id()))
                                    .toList()),
                            ConsumeOptions.builder().concurrency(1).build())
                    .subscribe();
            mill.streams()
                    .consumer("tap", "audit")
                    .consume(batch -> audit.write(batch.entries()))
                    .subscribe();
            // </tap>
            Eventually.await(
                    "the registration",
                    SOON,
                    () -> mill.queues().registrations().hasElements().block(SOON));
            for (int i = 0; i < 20; i++) {
                mill.deliver(Event.of("e", i % 2 == 0 ? "page" : "other", "n").withId("m" + i))
                        .block(SOON);
            }
            List<Object> pages = List.of("m0", "m2", "m4", "m6", "m8", "m10", "m12", "m14", "m16", "m18");
            Eventually.await("all to be heard", SOON, () -> audit.ids.size() == 10);
            assertThat(audit.ids).isEqualTo(pages);
            assertThat(mill.streams().stream("tap")
                            .entries(EntryId.ZERO)
                            .map(entry -> entry.get("id"))
                            .collectList()
                            .block(SOON))
                    .isEqualTo(pages);
        }
    }

    @Test
    @DisplayName("the README shows exactly the tap that is compiled here")
    void readmeShowsIt() {
        ReadmeSnippet.assertShown(ReadmeTapIT.class, "tap");
    }
}
