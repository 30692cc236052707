package io.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Millrace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

/** {@code target/millrace.jar} on the class path of somebody's program. */
@RedisTest
@EnabledIf("isBuilt")
class RunnableJarIT {

    private static final Path JAR = Path.of("target/millrace.jar");

    @TempDir
    private Path folder;

    static boolean isBuilt() {
        return Files.exists(JAR);
    }

    /** Such a program. */
    static final class Program {

        private Program() {}

        public static void main(String[] args) {
            PrintStream out = System.out;
            try (Millrace mill = Millrace.connect(args[0])) {
                out.println(mill.redis().call("ECHO", "hello").block() == null ? "nothing" : "answered");
            }
            LoggerFactory.getLogger("program").info("said by the program");
            LoggerFactory.getLogger("program").warn("warned by the program");
        }
    }

    private String run(String redis) throws IOException, InterruptedException {
        String name = Program.class.getName();
        Path compiled = folder.resolve(name.replace('.', '/') + ".class");
        Files.createDirectories(compiled.getParent());
        try (InputStream in =
                Objects.requireNonNull(Program.class.getResourceAsStream("RunnableJarIT$Program.class"))) {
            Files.copy(in, compiled);
        }
        Process program = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp",
                        JAR + System.getProperty("path.separator") + folder,
                        name,
                        redis)
                .redirectErrorStream(true)
                .start();
        String output = new String(program.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(program.waitFor()).as(output).isZero();
        return output;
    }

    @Test
    @DisplayName("without a configuration of logging there are warnings only")
    void quiet(RedisServer redis) throws Exception {
        assertThat(run(redis.uri()).lines())
                .noneMatch(line -> line.contains("DEBUG") || line.contains("INFO"))
                .anyMatch(line -> line.equals("answered"))
                .anyMatch(line -> line.endsWith("WARN  program - warned by the program"));
    }

    @Test
    @DisplayName("a configuration of the program's own holds")
    void configured(RedisServer redis) throws Exception {
        Files.writeString(
                folder.resolve("logback.xml"),
                "<configuration><appender name='A' class='ch.qos.logback.core.ConsoleAppender'><encoder>"
                        + "<pattern>own %msg%n</pattern></encoder></appender>"
                        + "<root level='INFO'><appender-ref ref='A'/></root></configuration>");
        assertThat(run(redis.uri()).lines()).contains("own said by the program", "own warned by the program");
    }
}
