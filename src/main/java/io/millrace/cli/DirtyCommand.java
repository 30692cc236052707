package io.millrace.cli;

import io.millrace.drain.DirtyMap;
import io.millrace.drain.Drain;
import io.millrace.drain.DrainState;
import io.millrace.drain.SweepOptions;
import io.millrace.drain.Swept;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import reactor.core.publisher.Mono;

@Command(
        name = "dirty",
        description = "Look at, and deal with, resources that changed: the dirty map of a drain.",
        mixinStandardHelpOptions = true,
        subcommands = {DirtyCommand.Count.class, DirtyCommand.ListAll.class, DirtyCommand.SweepAll.class},
        footerHeading = "%nExamples:%n",
        footer = {
            "  millrace dirty count",
            "  millrace dirty list | jq -r .url",
            "  millrace dirty sweep --exec 'curl -sf \"$1\" -o /dev/null'"
        })
final class DirtyCommand implements Runnable {

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        throw new ParameterException(spec.commandLine(), "say what to do with the dirty map: a command is missing");
    }

    /** A command about one dirty map. */
    abstract static class OnMap extends Action {

        @Option(
                names = "--drain",
                paramLabel = "NAME",
                defaultValue = Drain.DEFAULT_NAME,
                description = "The drain whose dirty map it is.")
        private String drain;

        DirtyMap map(Session session) {
            return session.mill().dirtyMap(drain);
        }
    }

    @Command(
            name = "count",
            description = "Count dirty URLs. Prints {drain, count, swept (of them being swept), oldestAgeMs}.",
            footer = "%nExample: millrace dirty count | jq .count")
    static final class Count extends OnMap {

        @Override
        int run(Session session) {
            DirtyMap map = map(session);
            DrainState state = Objects.requireNonNull(map.state().block());
            Map<String, Object> shape = new LinkedHashMap<>();
            shape.put("drain", map.name());
            shape.put("count", state.dirty() + state.swept());
            shape.put("swept", state.swept());
            shape.put("oldestAgeMs", state.oldestDirty().toMillis());
            session.console().data(shape);
            return Main.DONE;
        }
    }

    @Command(
            name = "list",
            description = "Show dirty URLs, oldest first: {url} each.",
            footer = "%nExample: millrace dirty list | head -n 20")
    static final class ListAll extends OnMap {

        @Override
        int run(Session session) {
            Waiting.forEach(map(session).all(), url -> session.console().data(Map.of("url", url)));
            return Main.DONE;
        }
    }

    @Command(
            name = "sweep",
            description = "Run a command for each dirty URL, oldest first; the URL is clean when the command succeeds."
                    + " Prints {url, clean[, problem]} each. Exit code 1 if some are not clean.",
            footer = {
                "%nThe command is run by /bin/sh; the URL is its $1 and in MILLRACE_URL, never part of its text.",
                "What it writes goes to standard error. Several sweeps may run at the same time, also on other machines.",
                "%nExamples:",
                "  millrace dirty sweep --exec 'curl -sf \"$1\" -o /dev/null'",
                "  millrace dirty sweep --limit 100 --concurrency 8 --exec './refresh.sh \"$1\"'"
            })
    static final class SweepAll extends OnMap {

        private static final int MAX_SHOWN = 64 << 10;

        @Option(names = "--exec", paramLabel = "CMD", required = true, description = "The command.")
        private String command;

        @Option(names = "--limit", paramLabel = "N", description = "How many URLs at most. Default: all.")
        private @Nullable Long limit;

        @Option(
                names = "--concurrency",
                paramLabel = "N",
                defaultValue = "4",
                description = "How many commands run at a time.")
        private int concurrency;

        @Option(
                names = "--lease",
                paramLabel = "TIME",
                defaultValue = "30s",
                description = "When a URL comes back if this process dies over it.")
        private Duration lease;

        @Override
        void check() {
            options();
        }

        @Override
        int run(Session session) {
            Console console = session.console();
            DirtyMap map = map(session);
            SweepOptions options = options();
            long dirty = Objects.requireNonNull(map.count().block());
            AtomicLong left = new AtomicLong();
            try (Progress progress = Progress.of("sweeping", Math.min(dirty, options.limit()), console)) {
                Waiting.forEach(map.sweep(url -> exec(url, console), options), swept -> {
                    left.addAndGet(swept.clean() ? 0 : 1);
                    console.data(shape(swept));
                    progress.advance(1);
                });
            }
            return left.get() == 0 ? Main.DONE : Main.PARTLY;
        }

        private SweepOptions options() {
            SweepOptions options =
                    SweepOptions.defaults().withConcurrency(concurrency).withLease(lease);
            return limit == null ? options : options.withLimit(limit);
        }

        private static Map<String, Object> shape(Swept swept) {
            Map<String, Object> shape = new LinkedHashMap<>();
            shape.put("url", swept.url());
            shape.put("clean", swept.clean());
            if (swept.error() != null) {
                shape.put("problem", String.valueOf(swept.error().getMessage()));
            }
            return shape;
        }

        private Mono<Boolean> exec(String url, Console console) {
            return Mono.using(
                    () -> start(url),
                    process -> Mono.fromCallable(() -> succeeded(process, console)),
                    Process::destroy);
        }

        private Process start(String url) {
            ProcessBuilder builder = new ProcessBuilder("/bin/sh", "-c", command, "millrace", url);
            builder.environment().put("MILLRACE_URL", url);
            try {
                Process process = builder.redirectErrorStream(true).start();
                process.getOutputStream().close();
                return process;
            } catch (IOException e) {
                throw new UncheckedIOException("the command cannot be run: " + e.getMessage(), e);
            }
        }

        /** Waits for the command; reads, so that it is never kept waiting by a full pipe. */
        private static boolean succeeded(Process process, Console console) throws IOException, InterruptedException {
            byte[] output = process.getInputStream().readNBytes(MAX_SHOWN);
            process.getInputStream().transferTo(java.io.OutputStream.nullOutputStream());
            String text = new String(output, StandardCharsets.UTF_8).strip();
            if (!text.isEmpty()) {
                console.say(text);
            }
            int status = process.waitFor();
            if (status != 0) {
                throw new CannotDoException("the command ended with status " + status);
            }
            return true;
        }
    }
}
