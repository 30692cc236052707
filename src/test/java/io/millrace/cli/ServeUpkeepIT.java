package io.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.json.Json;
import io.millrace.stream.EntryId;
import io.millrace.stream.StreamState;
import io.millrace.testing.Eventually;
import io.millrace.testing.JvmChild;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code serve} that looks after streams: notes taken by whatever come back although no program runs a delayer. */
@RedisTest
class ServeUpkeepIT {

    private static final Duration START = Duration.ofSeconds(20);
    private static final Duration SOON = Duration.ofSeconds(20);

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

    private JvmChild serve(String... options) {
        return JvmChild.of(Main.class)
                .option("-XX:TieredStopAtLevel=1")
                .args("--redis", redis.uri(), "--namespace", namespace, "serve", "--port", "0")
                .args(options)
                .start();
    }

    private List<Object> ids(String stream) {
        return mill.streams().stream(stream)
                .entries(EntryId.ZERO)
                .mapNotNull(entry -> entry.get("id"))
                .collectList()
                .block(SOON);
    }

    private long total(String stream) {
        return mill.streams().stream(stream)
                .state()
                .reduce(0L, (sum, state) -> sum + state.length())
                .block(SOON);
    }

    private static String metrics(String address) throws Exception {
        return HttpClient.newHttpClient()
                .send(
                        HttpRequest.newBuilder(URI.create(address + "/metrics")).build(),
                        HttpResponse.BodyHandlers.ofString())
                .body();
    }

    @Test
    @DisplayName(
            "all streams, also one that comes later: notes are moved, what is committed is trimmed; what was said of"
                    + " one holds for it; SIGTERM ends it in order")
    void allStreams() throws Exception {
        mill.streams().producer("early").delay("a").block(SOON);
        mill.streams().producer("slow").delay("b").block(SOON);
        try (JvmChild child = serve("--maintain-streams=200ms", "--delayer", "slow=1h", "--trimmer", "early=100ms")) {
            child.awaitLine(line -> line.equals("looking after all streams"), START);
            String line = child.awaitLine(text -> text.startsWith("{\"listening\""), START);
            String address = String.valueOf(((Map<?, ?>) Json.read(line)).get("listening"));
            Eventually.await("moved", SOON, () -> ids("early").equals(List.of("a")));

            mill.streams().create("late", 2).block(SOON);
            mill.streams()
                    .producer("late")
                    .delayAll(IntStream.range(0, 50).boxed().toList())
                    .block(SOON);
            Eventually.await("moved in all shards of a new one", SOON, () -> total("late") == 50);
            assertThat(mill.streams().stream("slow").state().blockLast(SOON).notes())
                    .isEqualTo(1);
            assertThat(total("slow")).isZero();

            mill.streams().stream("early").register("c").block(SOON);
            mill.streams()
                    .consumer("early", "c")
                    .batches()
                    .concatMap(batch -> batch.commit().thenReturn(batch))
                    .blockFirst(SOON);
            Eventually.await("trimmed", SOON, () -> total("early") == 0);
            assertThat(metrics(address))
                    .contains("millrace_stream_notes_moved_total{stream=\"early\"} 1.0")
                    .contains("millrace_stream_notes_moved_total{stream=\"late\"} 50.0")
                    .contains("millrace_stream_trimmed_total{stream=\"early\"} 1.0");
            child.terminate();
            assertThat(child.exitCode(SOON)).isZero();
            assertThat(child.lines()).contains("stopped");
        }
    }

    @Test
    @DisplayName("two processes for one stream move each note once; what nobody named stays")
    void namedByTwo() {
        List<Integer> records = IntStream.range(0, 3_000).boxed().toList();
        mill.streams().producer("other").delay("x").block(SOON);
        try (JvmChild one = serve("--delayer", "s=500ms");
                JvmChild other = serve("--delayer", "s=500ms", "--trimmer", "s")) {
            one.awaitLine(line -> line.equals("looking after streams s"), START);
            other.awaitLine(line -> line.equals("looking after streams s"), START);
            mill.streams().producer("s").delayAll(records).block(SOON);
            Eventually.await("moved", SOON, () -> noNotes("s"));
            assertThat(ids("s")).hasSize(3_000).doesNotHaveDuplicates();
            assertThat(noNotes("other")).isFalse();
        }
    }

    private boolean noNotes(String stream) {
        return mill.streams().stream(stream).state().map(StreamState::notes).blockLast(SOON) == 0;
    }

    @ParameterizedTest
    @CsvSource({
        "--delayer,products=5x,'\"5x\" is no duration'",
        "--trimmer,products=,'\"\" is no duration'",
        "--trimmer,products=1ms,every must be PT0.01S or more",
        "--delayer,products=9000h,a delay must be 0 to 365 days"
    })
    void whatCannotBeIsRefused(String option, String value, String reason) {
        CommandLineIT.Result refused =
                CommandLineIT.run(Map.of("MILLRACE_REDIS", redis.uri()), new byte[0], "serve", option, value);
        assertThat(refused.code()).isEqualTo(2);
        assertThat(refused.err()).contains(reason);
    }
}
