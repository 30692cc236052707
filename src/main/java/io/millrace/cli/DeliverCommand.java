package io.millrace.cli;

import io.millrace.Event;
import io.millrace.MalformedEventException;
import io.millrace.MillraceException;
import io.millrace.json.Json;
import io.millrace.queue.Delivered;
import io.millrace.queue.QueueSettings;
import io.millrace.queue.Queues;
import io.millrace.server.EventIntake;
import io.millrace.server.LineSplitter;
import io.millrace.server.Shapes;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

@Command(
        name = "deliver",
        description =
                "Deliver events: one from options, or many from a file or standard input, one JSON object a line.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  millrace deliver --environment env-1 --type page --name http://google.com/q --data '{\"ms\":12}'",
            "  millrace deliver --input events.ndjson",
            "  millrace deliver --input tomorrow.ndjson --after 24h",
            "  tail -f events.ndjson | millrace deliver",
            "  millrace deliver --environment env-1 --type reminder --name 17 --id reminder-17 --after 10m",
            "",
            "A line:   {\"environment\":\"env-1\",\"type\":\"page\",\"name\":\"http://google.com/q\",\"data\":{\"ms\":12}}",
            "Output:   {\"id\":\"…\",\"queues\":[\"searches\"],\"duplicateIn\":[]} for each event delivered.",
            "Bad lines are reported with their number, good ones are delivered; then the exit code is 1."
        })
final class DeliverCommand extends Action {

    private static final int CHUNK = 1 << 16;

    @Option(names = "--input", paramLabel = "FILE", description = "Where to read events from; - is standard input.")
    private @Nullable String input;

    @Option(names = "--environment", paramLabel = "E", description = "Whose event it is; the facet it waits in.")
    private @Nullable String environment;

    @Option(names = "--type", paramLabel = "T", description = "What kind of event.")
    private @Nullable String type;

    @Option(names = "--name", paramLabel = "N", description = "What it is about.")
    private @Nullable String name;

    @Option(names = "--data", paramLabel = "JSON", description = "Its data.")
    private @Nullable String data;

    @Option(
            names = "--id",
            paramLabel = "ID",
            description = "Its id; the same id again is the same event. Default: a new one.")
    private @Nullable String id;

    @Option(names = "--after", paramLabel = "TIME", description = "Deliver so much later, such as 10m.")
    private @Nullable Duration after;

    @Option(names = "--at", paramLabel = "INSTANT", description = "Deliver then, such as 2027-01-01T08:00:00Z.")
    private @Nullable Instant at;

    @Override
    void check() {
        if (after != null && at != null) {
            throw usage("give either --after or --at");
        }
        if (after != null && (after.isNegative() || after.compareTo(Queues.MAX_DELAY) > 0)) {
            throw usage("--after must be up to ten years, was " + after);
        }
        boolean single = environment != null || type != null || name != null || data != null || id != null;
        if (single && input != null) {
            throw usage("give either --input, or one event by --environment, --type and --name");
        }
        if (single && (environment == null || type == null || name == null)) {
            throw usage("one event needs --environment, --type and --name");
        }
        if (data != null) {
            try {
                Json.read(data);
            } catch (MalformedEventException e) {
                throw usage("--data must be JSON (a text in double quotes): " + e.getMessage());
            }
        }
    }

    @Override
    int run(Session session) {
        return environment != null ? one(session) : many(session);
    }

    private int one(Session session) {
        Event event = Event.of(
                Objects.requireNonNull(environment), Objects.requireNonNull(type), Objects.requireNonNull(name));
        if (data != null) {
            event = event.withData(Json.read(data));
        }
        if (id != null) {
            event = event.withId(id);
        }
        Delivered delivered =
                Objects.requireNonNull(delivery(session).apply(event).block());
        session.console().data(Shapes.delivered(delivered));
        delivered
                .refusedBy()
                .forEach(queue -> session.console()
                        .say("queue \"" + queue + "\" refused it: as many messages of \"" + environment
                                + "\" wait there as its limit allows"));
        return delivered.refusedBy().isEmpty() ? Main.DONE : Main.PARTLY;
    }

    private Function<Event, Mono<Delivered>> delivery(Session session) {
        Queues queues = session.mill().queues();
        return event -> after != null
                ? queues.deliverAfter(event, after)
                : at != null ? queues.deliverAt(event, at) : queues.deliver(event);
    }

    private int many(Session session) {
        Console console = session.console();
        Path file = readable(input);
        if (file == null && console.terminal().input()) {
            console.say("reading events from the terminal, one JSON object a line; Ctrl-D ends");
        }
        EventIntake intake = new EventIntake(delivery(session), QueueSettings.DEFAULT_MAX_EVENT_BYTES);
        Tally tally = new Tally(console);
        try (Progress progress = Progress.over("delivering", file, console)) {
            Waiting.forEach(intake.deliver(lines(file, console.in(), progress)), tally::add);
        } catch (ClosedOutputException e) {
            console.say("standard output is closed; what follows line " + tally.last + " may not be delivered");
            throw e;
        } catch (MillraceException e) {
            tally.sum();
            throw new MillraceException(
                    "stopped after line " + tally.last + ", what follows is not delivered: " + e.getMessage(),
                    e.retryable(),
                    e);
        }
        tally.sum();
        return tally.bad == 0 && tally.refused == 0 ? Main.DONE : Main.PARTLY;
    }

    /** The file to read; {@code null}: standard input. */
    static @Nullable Path readable(@Nullable String input) {
        Path file = input == null || input.equals("-") ? null : Path.of(input);
        if (file != null && !Files.isReadable(file)) {
            throw new CannotDoException("cannot read \"" + file + "\": "
                    + (Files.exists(file) ? "no permission" : "there is no such file"));
        }
        return file;
    }

    /** Lines of the input, read as they are asked for. */
    static Flux<LineSplitter.Line> lines(@Nullable Path file, InputStream standardInput, Progress progress) {
        return Flux.using(
                        () -> new Reader(file == null ? standardInput : Files.newInputStream(file), progress),
                        reader -> Flux.<List<LineSplitter.Line>>generate(sink -> {
                            List<LineSplitter.Line> lines = reader.next();
                            if (lines == null) {
                                sink.complete();
                            } else {
                                sink.next(lines);
                            }
                        }),
                        reader -> reader.close(file != null))
                .concatMapIterable(lines -> lines, 1)
                .subscribeOn(Schedulers.boundedElastic()); // reading blocks
    }

    /** Reads in pieces, until there is at least one whole line. */
    private static final class Reader {

        private final InputStream in;
        private final Progress progress;
        private final LineSplitter splitter = new LineSplitter(QueueSettings.DEFAULT_MAX_EVENT_BYTES);
        private final byte[] chunk = new byte[CHUNK];
        private boolean ended;

        Reader(InputStream in, Progress progress) {
            this.in = in;
            this.progress = progress;
        }

        @Nullable
        List<LineSplitter.Line> next() {
            if (ended) {
                return null;
            }
            try {
                int count = in.read(chunk);
                if (count < 0) {
                    ended = true;
                    return splitter.end();
                }
                progress.advance(count);
                return splitter.feed(ByteBuffer.wrap(chunk, 0, count));
            } catch (IOException e) {
                throw new UncheckedIOException("reading the input failed: " + e.getMessage(), e);
            }
        }

        void close(boolean ours) {
            if (ours) {
                try {
                    in.close();
                } catch (IOException e) {
                    // It was read to its end, or nobody wants it any more.
                }
            }
        }
    }

    /** Shows and counts what became of lines. */
    private static final class Tally {

        private final Console console;
        private long good;
        private long bad;
        private long duplicates;
        private long refused;
        private long last;

        Tally(Console console) {
            this.console = console;
        }

        void add(EventIntake.Outcome outcome) {
            last = outcome.line();
            if (outcome instanceof EventIntake.Accepted accepted) {
                good++;
                duplicates += accepted.delivered().duplicateIn().isEmpty() ? 0 : 1;
                refused += accepted.delivered().refusedBy().isEmpty() ? 0 : 1;
                console.data(Shapes.delivered(accepted.delivered()));
            } else if (outcome instanceof EventIntake.Rejected rejected) {
                bad++;
                console.say("line " + rejected.line() + ": " + rejected.problem());
            }
        }

        void sum() {
            console.say(good + (good == 1 ? " event" : " events") + " delivered"
                    + (duplicates == 0 ? "" : " (" + duplicates + " known already)")
                    + (refused == 0 ? "" : " (" + refused + " refused by a queue whose limit is reached)")
                    + (bad == 0 ? "" : ", " + bad + (bad == 1 ? " bad line" : " bad lines")));
        }
    }
}
