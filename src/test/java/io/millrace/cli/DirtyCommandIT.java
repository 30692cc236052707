package io.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.cli.CommandLineIT.Result;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The dirty map from the command line. */
@RedisTest
class DirtyCommandIT {

    private static final Duration SOON = Duration.ofSeconds(20);

    private RedisServer redis;

    @Namespace
    private String namespace;

    private Millrace mill;

    @BeforeEach
    void open() {
        mill = Millrace.connect(MillraceSettings.of(redis.settings(namespace)));
    }

    @AfterEach
    void close() {
        mill.shutdown().block(SOON);
    }

    private Result millrace(String... args) {
        // The seed's name for the address, with the namespace as part of its path.
        return CommandLineIT.run(Map.of("ROUTEMASTER_DRAIN_REDIS", redis.uri() + "/0/" + namespace), new byte[0], args);
    }

    @Test
    void countsAndLists() {
        mill.dirtyMap("widgets").mark(List.of("https://x/1", "https://x/2")).block(SOON);
        Result count = millrace("dirty", "count", "--drain", "widgets");
        assertThat(count.code()).isZero();
        assertThat(count.keys(0)).containsExactly("drain", "count", "swept", "oldestAgeMs");
        assertThat(count.line(0).get("drain")).isEqualTo("widgets");
        assertThat(count.line(0).get("count")).isEqualTo(2);
        assertThat(millrace("dirty", "list", "--drain", "widgets").out())
                .containsExactly("{\"url\":\"https://x/1\"}", "{\"url\":\"https://x/2\"}");
        assertThat(millrace("dirty", "list").out()).isEmpty();
        assertThat(millrace("dirty").code()).isEqualTo(2);
        assertThat(millrace("dirty", "sweep").err()).contains("--exec");
    }

    @Test
    void sweepsWithACommandThatGetsTheUrlButNeverAsPartOfItsText(@TempDir Path folder) throws IOException {
        Path seen = folder.resolve("seen");
        String nasty = "https://x/$(touch " + folder.resolve("hacked") + ");'\"`&";
        mill.dirtyMap().mark(List.of("https://x/good", "https://x/bad", nasty)).block(SOON);
        Result result = millrace(
                "dirty",
                "sweep",
                "--concurrency",
                "1",
                "--exec",
                "echo \"$1\" >> " + seen
                        + "; test \"$MILLRACE_URL\" = \"$1\" || exit 9; echo said; case \"$1\" in *bad) exit 3;; esac");
        assertThat(result.code()).isEqualTo(1);
        assertThat(Files.readAllLines(seen)).as("%s", result).containsExactly("https://x/good", "https://x/bad", nasty);
        assertThat(folder.resolve("hacked")).doesNotExist();
        assertThat(result.out()).hasSize(3);
        assertThat(result.out().get(0)).isEqualTo("{\"url\":\"https://x/good\",\"clean\":true}");
        assertThat(result.keys(1)).containsExactly("url", "clean", "problem");
        assertThat(result.line(1).get("problem")).isEqualTo("the command ended with status 3");
        assertThat(result.line(2).get("clean")).isEqualTo(true);
        assertThat(result.err().lines()).filteredOn("said"::equals).hasSize(3);
        assertThat(mill.dirtyMap().all().collectList().block(SOON)).containsExactly("https://x/bad");
        assertThat(millrace("dirty", "sweep", "--exec", "exit 0").code()).isZero();
        assertThat(mill.dirtyMap().count().block(SOON)).isZero();
    }

    @Test
    void showsHowFarItIsOnATerminalOnly() {
        mill.dirtyMap().mark(List.of("1", "2", "3", "4")).block(SOON);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        Console console = new Console(
                new ByteArrayInputStream(new byte[0]),
                new PrintStream(out, true, StandardCharsets.UTF_8),
                new PrintStream(err, true, StandardCharsets.UTF_8),
                new Terminal(false, false, true, false));
        int code = Main.run(
                console,
                Map.of("MILLRACE_REDIS", redis.uri()),
                "--namespace",
                namespace,
                "dirty",
                "sweep",
                "--limit",
                "3",
                "--exec",
                "true");
        assertThat(code).isZero();
        assertThat(out.toString(StandardCharsets.UTF_8).lines()).hasSize(3);
        assertThat(err.toString(StandardCharsets.UTF_8)).contains("sweeping", "3/3");
        assertThat(millrace("dirty", "sweep", "--exec", "true").err()).doesNotContain("sweeping");
    }
}
