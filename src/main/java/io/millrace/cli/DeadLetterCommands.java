package io.millrace.cli;

import io.millrace.queue.FacetQueue;
import io.millrace.server.Durations;
import io.millrace.server.QueueShapes;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import reactor.core.publisher.Mono;

@Command(
        name = "dead-letters",
        description = "Messages that were given up: list them, give them another chance, drop them.",
        mixinStandardHelpOptions = true,
        subcommands = {DeadLetterCommands.Show.class, DeadLetterCommands.Redrive.class, DeadLetterCommands.Drop.class},
        footerHeading = "%nExamples:%n",
        footer = {
            "  millrace queue dead-letters list searches | jq -r .reason | sort | uniq -c",
            "  millrace queue dead-letters redrive searches --facet env-1",
            "  millrace queue dead-letters drop searches --entry 1790000000000-0",
            "  millrace queue dead-letters drop searches --before 168h --yes"
        })
final class DeadLetterCommands implements Runnable {

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        throw new ParameterException(spec.commandLine(), "say what to do with dead letters: list, redrive or drop");
    }

    @Command(
            name = "list",
            description = "Show them, oldest first: {entry, queue, facet, id, attempts, reason, deliveredAt,"
                    + " firstHandedOutAt, deadAt, event} each.",
            footer = "%nExample: millrace queue dead-letters list searches -n 20")
    static final class Show extends OnQueue {

        @Option(names = "-n", paramLabel = "N", description = "How many at most. Default: all.")
        private long n = Long.MAX_VALUE;

        @Override
        void check() {
            if (n < 1) {
                throw usage("-n must be 1 or more, was " + n);
            }
        }

        @Override
        int run(Session session) {
            AtomicBoolean none = new AtomicBoolean(true);
            Waiting.forEach(session.mill().queue(name).deadLetters().take(n), letter -> {
                none.set(false);
                session.console().data(QueueShapes.deadLetter(letter));
            });
            if (none.get()) {
                sayIfUnknown(session);
            }
            return Main.DONE;
        }
    }

    /** Which dead letters. */
    static class Which {

        @Option(names = "--entry", paramLabel = "ENTRY", description = "This one, as list shows it; may be repeated.")
        @Nullable
        List<String> entries;

        @Option(names = "--facet", paramLabel = "FACET", description = "All of this facet.")
        @Nullable
        String facet;

        @Option(names = "--all", description = "All of them.")
        boolean all;
    }

    /** Which, also by their age. */
    static final class WhichToDrop extends Which {

        @Option(
                names = "--before",
                paramLabel = "AGE|TIME",
                description = "All that died so long ago or longer, such as 168h or P7D, or before then, such as"
                        + " 2026-01-01T08:00:00Z.")
        @Nullable
        String before;
    }

    /** Does something to dead letters, and tells to how many. */
    private abstract static class Treating extends OnQueue {

        final int told(Session session, String word, Which which, Mono<Long> work) {
            long count = Objects.requireNonNull(work.block());
            Map<String, Object> shape = new LinkedHashMap<>();
            shape.put("queue", name);
            shape.put(word, count);
            session.console().data(shape);
            if (count == 0) {
                sayIfUnknown(session);
            }
            return which.entries != null && count < which.entries.size() ? Main.PARTLY : Main.DONE;
        }
    }

    @Command(
            name = "redrive",
            description =
                    "Give dead letters another chance: back to their old place, with their id, and all attempts before"
                            + " them. Prints {queue, redriven}. Exit code 1 if a named one was not there.",
            footer = "%nExample: millrace queue dead-letters redrive searches --all")
    static final class Redrive extends Treating {

        @ArgGroup(multiplicity = "1")
        private Which which;

        @Override
        int run(Session session) {
            FacetQueue queue = session.mill().queue(name);
            Mono<Long> redriving = which.entries != null
                    ? queue.redrive(which.entries)
                    : which.facet != null ? queue.redriveAll(which.facet) : queue.redriveAll();
            return told(session, "redriven", which, redriving);
        }
    }

    @Command(
            name = "drop",
            description =
                    "Remove dead letters for good. Prints {queue, dropped}. Exit code 1 if a named one was not there.",
            footer = "%nExample: millrace queue dead-letters drop searches --before 168h --yes")
    static final class Drop extends Treating {

        @ArgGroup(multiplicity = "1")
        private WhichToDrop which;

        @Option(names = "--yes", description = "Do not ask.")
        private boolean yes;

        @Override
        int run(Session session) {
            FacetQueue queue = session.mill().queue(name);
            Instant before = before(session);
            if (!yes && which.entries == null && !confirmed(session, queue, before)) {
                session.console().say("nothing was dropped");
                return Main.PARTLY;
            }
            return told(session, "dropped", which, dropping(queue, before));
        }

        private @Nullable Instant before(Session session) {
            try {
                return which.before == null
                        ? null
                        : Durations.past(
                                which.before,
                                Instant.ofEpochMilli(
                                        session.mill().redis().clock().millis()));
            } catch (IllegalArgumentException e) {
                throw usage("--before: " + e.getMessage());
            }
        }

        private Mono<Long> dropping(FacetQueue queue, @Nullable Instant before) {
            if (before != null) {
                return queue.dropDeadLettersBefore(before);
            } else if (which.entries != null) {
                return queue.dropDeadLetters(which.entries);
            }
            return which.facet != null ? queue.dropAllDeadLetters(which.facet) : queue.dropAllDeadLetters();
        }

        private boolean confirmed(Session session, FacetQueue queue, @Nullable Instant before) {
            String facet = which.facet;
            long count = Objects.requireNonNull(queue.deadLetters()
                    .takeWhile(letter -> before == null || letter.at().isBefore(before))
                    .filter(letter ->
                            facet == null || facet.equals(letter.message().facet()))
                    .count()
                    .block());
            return session.console()
                    .confirmed(
                            "Drop " + count + " dead letters of queue \"" + name + "\" for good?",
                            "dropping dead letters cannot be undone; --yes says that you mean it");
        }
    }
}
