package io.millrace.testing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * What fails the build even if the test passes when it is tried again: something was lost, doubled or out of order, or was not what the
 * model says. Written to a file that must not be there at the end of {@code verify}.
 */
public final class Violations {

    private static final Path FILE = Path.of("target", "violations", "violations.txt");

    private Violations() {}

    /** The same, on record. */
    public static AssertionError recorded(AssertionError violation) {
        try {
            Files.createDirectories(FILE.getParent());
            Files.writeString(
                    FILE, violation.getMessage() + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return violation;
    }
}
