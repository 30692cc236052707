package io.millrace.redis;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What must hold for every script in {@code lua/}. */
class LuaScriptsTest {

    private static final Path FOLDER = Path.of("lua");

    static List<String> files() throws IOException {
        try (Stream<Path> files = Files.walk(FOLDER)) {
            return files.filter(file -> file.toString().endsWith(".lua"))
                    .map(file -> FOLDER.relativize(file).toString())
                    .sorted()
                    .toList();
        }
    }

    static List<String> scripts() throws IOException {
        return files().stream().filter(file -> !isInclude(file)).toList();
    }

    @Test
    @DisplayName("there are scripts to look at")
    void some() throws IOException {
        assertThat(scripts())
                .contains("queue/deliver.lua", "queue/pull.lua", "registry/load.lua")
                .hasSizeGreaterThan(10);
    }

    @ParameterizedTest(name = "{0} begins with a header that names it")
    @MethodSource("files")
    void header(String file) throws IOException {
        String text = Files.readString(FOLDER.resolve(file));
        assertThat(text).startsWith("--[[ " + file + ": ");
        assertThat(text.lines().mapToInt(String::length).max().orElse(0))
                .as("longest line")
                .isLessThanOrEqualTo(140);
    }

    @ParameterizedTest(name = "{0} says what it takes, what it answers and what a second run does")
    @MethodSource("scripts")
    void contract(String file) {
        LuaSource source = LuaSource.load(file);
        String code = source.text().substring(source.text().indexOf("]]") + 2);
        assertThat(source.header())
                .contains("KEYS[1]")
                .contains("Returns")
                .contains("Twice")
                .contains("Cost");
        Matcher key = Pattern.compile("KEYS\\[(\\d+)\\]").matcher(code);
        while (key.find()) {
            assertThat(source.header()).as("KEYS used by the code").contains("KEYS[" + key.group(1) + "]");
        }
        Matcher arg = Pattern.compile("ARGV\\[(\\d+)\\]").matcher(code);
        while (arg.find()) {
            assertThat(source.header())
                    .as("ARGV used by the code")
                    .containsPattern("ARGV(\\[" + arg.group(1) + "\\]|\\[.*\\.\\.]| )");
        }
    }

    @ParameterizedTest(name = "{0} builds no code from text, and reads no clock but the server's")
    @MethodSource("files")
    void nothingForbidden(String file) throws IOException {
        String text = Files.readString(FOLDER.resolve(file));
        assertThat(text).doesNotContain("loadstring").doesNotContain("os.time").doesNotContain("os.clock");
        assertThat(text).doesNotContain("'KEYS'").doesNotContainPattern("call\\('(FLUSH|CONFIG|EVAL|SCRIPT)");
    }

    @ParameterizedTest(name = "F7 {0} does not take the guard of a cluster for a key of its own")
    @MethodSource("scripts")
    void guard(String file) {
        LuaSource source = LuaSource.load(file);
        String code = source.text().substring(source.text().indexOf("]]") + 2);
        if (source.header().matches("(?s).*KEYS\\[(1|\\.\\.)\\] +unit prefix.*")) {
            assertThat(code.replace("#KEYS - 1", "")).doesNotContain("#KEYS").doesNotContain("if KEYS[2] then");
        }
    }

    @ParameterizedTest(
            name = "P20 {0} trims a stream's log or its lane, or deletes from another key, never both on one")
    @MethodSource("scripts")
    void trimmedOrDeleted(String file) throws IOException {
        String text = Files.readString(FOLDER.resolve(file));
        if (file.startsWith("stream/")) {
            Matcher deleting = Pattern.compile("'XDEL', *([^,]+),").matcher(text);
            while (deleting.find()) {
                assertThat(file + ": " + deleting.group(1))
                        .isIn("stream/retry.lua: KEYS[2]", "stream/ruby_due.lua: delayed");
            }
            Matcher trimming = Pattern.compile("'XTRIM', *([^,]+),").matcher(text);
            while (trimming.find()) {
                assertThat(trimming.group(1)).isIn("log", "unit .. 'lane'");
            }
        }
    }

    @Test
    @DisplayName("P20 the check above has something to look at")
    void trimmedOrDeletedSomewhere() throws IOException {
        assertThat(Files.readString(FOLDER.resolve("stream/retry.lua"))).contains("call('XDEL', KEYS[2],");
        assertThat(Files.readString(FOLDER.resolve("stream/trim.lua"))).contains("call('XTRIM', log,");
    }

    @Test
    @DisplayName("only scripts that free or move memory run when it is full")
    void flags() {
        for (String draining : List.of("pull", "ack", "return", "extend", "destroy", "doctor", "cancel", "redrive")) {
            assertThat(LuaSource.load("queue/" + draining + ".lua").text()).startsWith("#!lua flags=allow-oom\n");
        }
        for (String draining : List.of("commit", "seek", "pause", "trim", "open", "unregister")) {
            assertThat(LuaSource.load("stream/" + draining + ".lua").text()).startsWith("#!lua flags=allow-oom\n");
        }
        assertThat(LuaSource.load("queue/deliver.lua").text()).doesNotStartWith("#!");
    }

    @Test
    @DisplayName("includes are put in place, each once in a scope")
    void includes() {
        String text = LuaSource.load("queue/pull.lua").text();
        assertThat(text)
                .doesNotContain("@include")
                .contains("local function maintain(unit)")
                .contains("local function plan(");
        assertThat(LuaSource.load("queue/return.lua").text().split("local function back_count", -1))
                .hasSize(2);
    }

    @Test
    @DisplayName("a script that is not there is named")
    void missing() {
        assertThatThrownBy(() -> LuaSource.load("queue/nothing.lua")).hasMessageContaining("lua/queue/nothing.lua");
    }

    private static boolean isInclude(String file) {
        try {
            return Files.readString(FOLDER.resolve(file)).substring(0, 400).contains("included");
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }
}
