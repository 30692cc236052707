package io.millrace.cli;

import io.millrace.server.StreamShapes;
import io.millrace.stream.Backfill;
import io.millrace.stream.BackfillState;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
        name = "backfill",
        description =
                "Have masses of records handled by all consumers of a stream beside its live entries, which go first."
                        + " Reads one JSON value a line, as produce, only as consumers get on; waits until all is handled. Prints"
                        + " {stream, backfill, fed, closed, cancelled, over, consumers: [{consumer, handled, overtaken}]}."
                        + " Exit code 1 if a line was none.",
        footer = {
            "%nExamples:",
            "  millrace stream backfill products --input all-ids.ndjson",
            "  millrace stream backfill products --input all-ids.ndjson --id spring     # again: goes on where it stopped",
            "  millrace stream backfill products --status",
            "  millrace stream backfill products --cancel --id spring"
        })
final class StreamBackfillCommand extends StreamAction {

    @Option(names = "--input", paramLabel = "FILE", description = "Where to read; - is standard input, the default.")
    private @Nullable String input;

    @Option(
            names = "--id",
            paramLabel = "ID",
            description =
                    "What it is known by, for 30 days: begun again with the same records it goes on where it stopped."
                            + " Default: one that is made up and said.")
    private @Nullable String id;

    @Option(names = "--no-wait", description = "Do not wait until all is handled: it is enough that all is stored.")
    private boolean noWait;

    @Option(names = "--status", description = "Only show how far it has come, or with no --id all of them.")
    private boolean status;

    @Option(names = "--cancel", description = "Take it back instead: consumers pass over what waits. Needs --id.")
    private boolean cancel;

    @Override
    void check() {
        if (cancel && (status || id == null)) {
            throw usage("--cancel needs --id, and cannot be used with --status");
        }
    }

    @Override
    int run(Session session) {
        if (status) {
            Waiting.forEach(
                    stream(session)
                            .backfills()
                            .filter(state -> id == null || state.id().equals(id)),
                    state -> session.console().data(StreamShapes.backfill(state)));
            return Main.DONE;
        }
        String known = id != null ? id : "cli-" + Instant.now().getEpochSecond();
        Backfill backfill = session.mill().streams().backfill(name, known);
        if (cancel) {
            boolean changed = Objects.requireNonNull(backfill.cancel().block());
            show(session, backfill);
            return changed ? Main.DONE : Main.PARTLY;
        }
        session.console()
                .say("backfill " + known + ": begun again with --id " + known + " it goes on where it stopped");
        List<Long> bad = new ArrayList<>();
        Path file = DeliverCommand.readable(input);
        long fed;
        try (Progress progress = Progress.over("backfilling", file, session.console())) {
            fed = Objects.requireNonNull(backfill.feed(StreamLines.read(file, session.console(), progress, bad)
                            .map(StreamLines.Parsed::change))
                    .block());
        }
        if (!noWait) {
            awaitEnd(session, backfill, fed);
        }
        show(session, backfill);
        return bad.isEmpty() ? Main.DONE : Main.PARTLY;
    }

    private static void awaitEnd(Session session, Backfill backfill, long fed) {
        try (Progress progress = Progress.of("handled", fed, session.console())) {
            long[] shown = {0};
            Waiting.forEach(backfill.progress(), state -> {
                long handled = handled(state);
                progress.advance((int) Math.max(0, handled - shown[0]));
                shown[0] = Math.max(shown[0], handled);
            });
        }
    }

    /** By the slowest consumer. */
    private static long handled(BackfillState state) {
        return state.consumers().stream()
                .mapToLong(BackfillState.ConsumerProgress::handled)
                .min()
                .orElse(0);
    }

    private static void show(Session session, Backfill backfill) {
        session.console()
                .data(StreamShapes.backfill(
                        Objects.requireNonNull(backfill.state().block())));
    }
}
