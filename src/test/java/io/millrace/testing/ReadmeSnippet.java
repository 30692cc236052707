package io.millrace.testing;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Java in the README that is compiled and run by a test: the lines between {@code // <name>} and {@code // </name>} in its source. */
public final class ReadmeSnippet {

    private ReadmeSnippet() {}

    /** Fails unless the README shows exactly these lines, without their common indentation. */
    public static void assertShown(Class<?> test, String name) {
        try {
            String source =
                    Files.readString(Path.of("src/test/java", test.getName().replace('.', '/') + ".java"));
            String begin = "// <" + name + ">\n";
            String end = "// </" + name + ">";
            assertThat(source).contains(begin, end);
            String lines = source.substring(source.indexOf(begin) + begin.length(), source.indexOf(end));
            String region = lines.stripTrailing().stripIndent();
            assertThat(Files.readString(Path.of("README.md"))).contains("```java\n" + region + "\n```");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
