package io.millrace.cli;

import io.millrace.MalformedEventException;
import io.millrace.json.Json;
import io.millrace.server.LineSplitter;
import io.millrace.server.StreamShapes;
import io.millrace.stream.Change;
import io.millrace.stream.ChangeStream;
import io.millrace.stream.EntryId;
import io.millrace.stream.StreamConsumer;
import io.millrace.stream.StreamDelivery;
import io.millrace.stream.StreamProducer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;

@Command(
        name = "stream",
        description = "Produce and consume changes, look after streams and their consumers.",
        mixinStandardHelpOptions = true,
        subcommands = {
            StreamCommand.Produce.class,
            StreamCommand.Consume.class,
            StreamCommand.ListAll.class,
            StreamCommand.Show.class,
            StreamCommand.Tail.class,
            StreamCommand.Register.class,
            StreamCommand.Trim.class,
            StreamCommand.Seek.class,
            StreamCommand.DeadLetters.class
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  seq 1 100 | millrace stream produce products",
            "  millrace stream consume products indexer --follow",
            "  millrace stream show products",
            "  millrace stream dead-letters products indexer --retry"
        })
final class StreamCommand implements Runnable {

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        throw new ParameterException(spec.commandLine(), "say what to do with streams: a command is missing");
    }

    /** A command about one stream. */
    abstract static class OnStream extends Action {

        @Parameters(index = "0", paramLabel = "NAME", description = "The stream's name.")
        String name;

        ChangeStream stream(Session session) {
            return session.mill().streams().stream(name);
        }

        Map<String, @Nullable Object> shape() {
            Map<String, @Nullable Object> shape = new LinkedHashMap<>();
            shape.put("stream", name);
            return shape;
        }
    }

    /** A command about a consumer of a stream. */
    abstract static class OnConsumer extends OnStream {

        @Parameters(index = "1", paramLabel = "CONSUMER", description = "The consumer's name.")
        String consumer;

        StreamConsumer consumer(Session session) {
            return session.mill().streams().consumer(name, consumer);
        }

        void showOffset(Session session) {
            Map<String, @Nullable Object> shape = shape();
            shape.put("consumer", consumer);
            EntryId offset = stream(session).maxCommittedId(consumer).block();
            shape.put("offset", offset == null ? null : offset.toString());
            session.console().data(shape);
        }
    }

    @Command(
            name = "produce",
            description =
                    "Append changes, one JSON value a line: an object is a payload, a text or number a record's id."
                            + " Prints {stream, line, id} each. Exit code 1 if a line was none.",
            footer = {
                "%nExamples:",
                "  seq 1 100 | millrace stream produce products",
                "  millrace stream produce products --input ids.ndjson --delay"
            })
    static final class Produce extends OnStream {

        private static final int PIECE = 1_000;

        @Option(
                names = "--input",
                paramLabel = "FILE",
                description = "Where to read; - is standard input, the default.")
        private @Nullable String input;

        @Option(names = "--delay", description = "Take repair notes instead: a delayer appends them when they are due.")
        private boolean delay;

        private record Parsed(long line, Change change) {}

        @Override
        int run(Session session) {
            Console console = session.console();
            Path file = DeliverCommand.readable(input);
            StreamProducer producer = session.mill().streams().producer(name);
            List<Long> bad = new ArrayList<>();
            try (Progress progress = Progress.over(file, console)) {
                Waiting.forEach(
                        DeliverCommand.lines(file, console.in(), progress)
                                .<Parsed>handle((line, sink) -> {
                                    Parsed parsed = parse(line, console, bad);
                                    if (parsed != null) {
                                        sink.next(parsed);
                                    }
                                })
                                .buffer(PIECE)
                                .concatMap(piece -> produced(producer, piece), 1),
                        shapes -> shapes.forEach(console::data));
            }
            return bad.isEmpty() ? Main.DONE : Main.PARTLY;
        }

        private Mono<List<Map<String, @Nullable Object>>> produced(StreamProducer producer, List<Parsed> piece) {
            List<Change> changes = piece.stream().map(Parsed::change).toList();
            Mono<List<String>> ids = delay
                    ? producer.delayAll(changes).thenReturn(List.of())
                    : producer.queueAll(changes)
                            .map(all -> all.stream().map(EntryId::toString).toList());
            return ids.map(all -> {
                List<Map<String, @Nullable Object>> shapes = new ArrayList<>();
                for (int i = 0; i < piece.size(); i++) {
                    Map<String, @Nullable Object> shape = shape();
                    shape.put("line", piece.get(i).line());
                    shape.put(delay ? "noted" : "id", delay ? changes.get(i).key() : all.get(i));
                    shapes.add(shape);
                }
                return shapes;
            });
        }

        private static @Nullable Parsed parse(LineSplitter.Line line, Console console, List<Long> bad) {
            try {
                if (line.tooLong()) {
                    throw new MalformedEventException("the line is too long");
                }
                Object record = Json.read(line.bytes());
                if (record == null) {
                    throw new MalformedEventException("null is no record");
                }
                return new Parsed(line.number(), Change.of(record));
            } catch (MalformedEventException e) {
                bad.add(line.number());
                console.say("line " + line.number() + ": " + e.getMessage());
                return null;
            }
        }
    }

    @Command(
            name = "consume",
            description = "Read as a consumer: {stream, id, payload} each, committed after it was printed."
                    + " Ends with the last entry there is, unless --follow.",
            footer = {
                "%nExamples:",
                "  millrace stream consume products indexer --batch 100",
                "  millrace stream consume products indexer --follow | while read -r line; do ...; done"
            })
    static final class Consume extends OnConsumer {

        @Option(names = "--batch", paramLabel = "N", defaultValue = "100", description = "How many to read at a time.")
        private int batch;

        @Option(names = "--follow", description = "Wait for further entries, until interrupted.")
        private boolean follow;

        @Override
        int run(Session session) {
            stream(session).register(consumer).block();
            EntryId last =
                    Objects.requireNonNullElse(stream(session).maxStreamId().block(), EntryId.ZERO);
            EntryId offset = Objects.requireNonNull(
                    stream(session).maxCommittedId(consumer).block());
            if (!follow && !last.isAfter(offset)) {
                return Main.DONE;
            }
            Sinks.Empty<Void> stop = Sinks.empty();
            Signals.onEnd(stop::tryEmitEmpty);
            Waiting.forEach(
                    consumer(session)
                            .batchSize(batch)
                            .batches()
                            .concatMap(
                                    one -> printed(session, one)
                                            .then(one.commit())
                                            .thenReturn(one),
                                    0)
                            .takeUntil(
                                    one -> !follow && !last.isAfter(one.batch().lastId()))
                            .takeUntilOther(stop.asMono()),
                    one -> {});
            return Main.DONE;
        }

        private Mono<Void> printed(Session session, StreamDelivery one) {
            return Mono.<Void>fromRunnable(() -> one.batch()
                            .entries()
                            .forEach(entry -> session.console().data(StreamShapes.entry(name, entry))))
                    .subscribeOn(Schedulers.boundedElastic());
        }
    }

    @Command(
            name = "list",
            description = "Show all streams, as show does.",
            footer = "%nExample: millrace stream list | jq -r .stream")
    static final class ListAll extends Action {

        @Override
        int run(Session session) {
            var streams = session.mill().streams();
            Waiting.forEach(
                    streams.names().concatMap(name -> streams.stream(name).state()),
                    state -> session.console().data(StreamShapes.state(state)));
            return Main.DONE;
        }
    }

    @Command(
            name = "show",
            description = "Show one stream: {stream, shard, length, first, last, trimmed, notes, oldestNoteMs,"
                    + " consumers: [{consumer, offset, lag, lagIsLeast, ageMs, deadLetters, paused, active}]}.",
            footer = "%nExample: millrace stream show products | jq '.consumers[] | select(.lag > 1000)'")
    static final class Show extends OnStream {

        @Override
        int run(Session session) {
            Waiting.forEach(stream(session).state(), state -> session.console().data(StreamShapes.state(state)));
            return Main.DONE;
        }
    }

    @Command(
            name = "tail",
            description = "Show the entries there are, without a consumer: {stream, id, payload} each.",
            footer = "%nExample: millrace stream tail products --after 1790000000000-0 -n 20")
    static final class Tail extends OnStream {

        @Option(names = "--after", paramLabel = "ID", defaultValue = "0-0", description = "Begin behind this entry.")
        private String after;

        @Option(names = "-n", paramLabel = "N", description = "How many at most. Default: all.")
        private @Nullable Long count;

        @Override
        int run(Session session) {
            Flux<Map<String, @Nullable Object>> entries =
                    stream(session).entries(EntryId.parse(after)).map(entry -> StreamShapes.entry(name, entry));
            Waiting.forEach(count == null ? entries : entries.take(count), session.console()::data);
            return Main.DONE;
        }
    }

    @Command(
            name = "register",
            description = "Register a consumer, so that nothing is trimmed that it has not read; or forget it."
                    + " Prints {stream, consumer, offset}.",
            footer = {
                "%nExamples:",
                "  millrace stream register products indexer",
                "  millrace stream register products indexer --after end",
                "  millrace stream register products indexer --forget"
            })
    static final class Register extends OnConsumer {

        @Option(
                names = "--after",
                paramLabel = "ID",
                defaultValue = "0-0",
                description = "Where it begins: behind this entry, or \"end\".")
        private String after;

        @Option(names = "--forget", description = "Forget it instead: what it has not read may be trimmed.")
        private boolean forget;

        @Override
        int run(Session session) {
            if (forget) {
                boolean known = Objects.requireNonNull(
                        stream(session).unregister(consumer).block());
                showOffset(session);
                return known ? Main.DONE : Main.PARTLY;
            }
            Mono<Void> registered = after.equals("end")
                    ? stream(session).registerAtEnd(consumer)
                    : stream(session).register(consumer, EntryId.parse(after));
            registered.block();
            showOffset(session);
            return Main.DONE;
        }
    }

    @Command(
            name = "trim",
            description = "Remove what every registered consumer has committed: {stream, removed, heldBackBy, stale}.",
            footer = {
                "%nExamples:",
                "  millrace stream trim products",
                "  millrace stream trim products --before 1790000000000-0    # whoever has not read it is told so"
            })
    static final class Trim extends OnStream {

        @Option(names = "--before", paramLabel = "ID", description = "Remove everything before this, read or not.")
        private @Nullable String before;

        @Override
        int run(Session session) {
            var trimmer = session.mill().streams().trimmer(name);
            Map<String, @Nullable Object> shape = shape();
            if (before == null) {
                shape.putAll(StreamShapes.trimmed(
                        Objects.requireNonNull(trimmer.runOnce().block())));
            } else {
                shape.put("removed", trimmer.before(EntryId.parse(before)).block());
            }
            session.console().data(shape);
            return Main.DONE;
        }
    }

    @Command(
            name = "seek",
            description = "Move a consumer, also while it runs: {stream, consumer, offset}.",
            footer = {
                "%nExamples:",
                "  millrace stream seek products indexer begin",
                "  millrace stream seek products indexer 1790000000000-0"
            })
    static final class Seek extends OnConsumer {

        @Parameters(index = "2", paramLabel = "TO", description = "\"begin\", \"end\", or the entry to go on behind.")
        private String to;

        @Override
        int run(Session session) {
            Mono<Void> moved = switch (to) {
                case "begin" -> consumer(session).seekToBeginning();
                case "end" -> consumer(session).seekToEnd();
                default -> consumer(session).seek(EntryId.parse(to));
            };
            moved.block();
            showOffset(session);
            return Main.DONE;
        }
    }

    @Command(
            name = "dead-letters",
            description =
                    "Show what a consumer could not handle: {stream, consumer, letter, shard, id, attempts, cause,"
                            + " payload} each; append it again, or forget it.",
            footer = {
                "%nExamples:",
                "  millrace stream dead-letters products indexer",
                "  millrace stream dead-letters products indexer --retry"
            })
    static final class DeadLetters extends OnConsumer {

        @Option(names = "--retry", description = "Append all of them to the stream again.")
        private boolean retry;

        @Option(names = "--drop", description = "Forget all of them.")
        private boolean drop;

        @Override
        void check() {
            if (retry && drop) {
                throw usage("either --retry or --drop");
            }
        }

        @Override
        int run(Session session) {
            ChangeStream stream = stream(session);
            Waiting.forEach(
                    stream.deadLetters(consumer).concatMap(letter -> {
                        Mono<Boolean> settled = retry
                                ? stream.retry(consumer, letter)
                                : drop ? stream.drop(consumer, letter) : Mono.just(true);
                        return settled.thenReturn(letter);
                    }),
                    letter -> session.console().data(StreamShapes.deadLetter(name, consumer, letter)));
            return Main.DONE;
        }
    }
}
