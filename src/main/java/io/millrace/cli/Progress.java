package io.millrace.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;

/** How far a file has been read, for a person at a terminal; for everybody else nothing. */
final class Progress implements AutoCloseable {

    /** Smaller files are done before anybody could look. */
    private static final long WORTH_SHOWING = 256 << 10;

    private static final int WIDTH = 90;

    private final @Nullable ProgressBar bar;

    private Progress(@Nullable ProgressBar bar) {
        this.bar = bar;
    }

    static Progress over(@Nullable Path file, Console console) {
        if (file == null || !console.terminal().error() || size(file) < WORTH_SHOWING) {
            return new Progress(null);
        }
        return new Progress(new ProgressBarBuilder()
                .setTaskName("delivering")
                .setInitialMax(size(file))
                .setUnit(" KiB", 1024)
                .setStyle(
                        console.terminal().colour() ? ProgressBarStyle.COLORFUL_UNICODE_BLOCK : ProgressBarStyle.ASCII)
                .setConsumer(new ConsoleProgressBarConsumer(console.err(), WIDTH))
                .setUpdateIntervalMillis(200)
                .build());
    }

    void advance(int bytes) {
        if (bar != null) {
            bar.stepBy(bytes);
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
