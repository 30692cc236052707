package io.millrace.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;

/** How far something has come, for a person at a terminal; for everybody else nothing. */
final class Progress implements AutoCloseable {

    /** Smaller files are done before anybody could look. */
    private static final long WORTH_SHOWING = 256 << 10;

    private static final int WIDTH = 90;

    private final @Nullable ProgressBar bar;

    private Progress(@Nullable ProgressBar bar) {
        this.bar = bar;
    }

    /** How far a file has been read. */
    static Progress over(String task, @Nullable Path file, Console console) {
        return file == null || size(file) < WORTH_SHOWING
                ? new Progress(null)
                : shown(task, size(file), " KiB", 1024, console);
    }

    /** How many of so many are done. */
    static Progress of(String task, long many, Console console) {
        return many == 0 ? new Progress(null) : shown(task, many, "", 1, console);
    }

    private static Progress shown(String task, long most, String unit, long size, Console console) {
        if (!console.terminal().error()) {
            return new Progress(null);
        }
        return new Progress(new ProgressBarBuilder()
                .setTaskName(task)
                .setInitialMax(most)
                .setUnit(unit, size)
                .setStyle(
                        console.terminal().colour() ? ProgressBarStyle.COLORFUL_UNICODE_BLOCK : ProgressBarStyle.ASCII)
                .setConsumer(new ConsoleProgressBarConsumer(console.err(), WIDTH))
                .setUpdateIntervalMillis(200)
                .build());
    }

    void advance(int steps) {
        if (bar != null) {
            bar.stepBy(steps);
        }
    }

    @Override
    public void close() {
        if (bar != null) {
            bar.close();
        }
    }

    private static long size(Path file) {
        try {
            return Files.size(file);
        } catch (IOException e) {
            return 0;
        }
    }
}
