package io.millrace.cli;

import io.millrace.stream.Change;
import io.millrace.stream.EntryId;
import io.millrace.stream.StreamProducer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import reactor.core.publisher.Mono;

@Command(
        name = "produce",
        description = "Append changes, one JSON value a line: an object is a payload, a text or number a record's id."
                + " Prints {stream, line, id} each. Exit code 1 if a line was none.",
        footer = {
            "%nExamples:",
            "  seq 1 100 | millrace stream produce products",
            "  millrace stream produce products --input ids.ndjson --delay",
            "  millrace stream produce products --shards 8 --input ids.ndjson"
        })
final class StreamProduceCommand extends StreamAction {

    private static final int PIECE = 1_000;

    @Option(names = "--input", paramLabel = "FILE", description = "Where to read; - is standard input, the default.")
    private @Nullable String input;

    @Option(
            names = "--delay",
            description = "Take repair notes instead: a delayer, such as serve's, appends them when they are due.")
    private boolean delay;

    @Option(
            names = "--shards",
            paramLabel = "N",
            description = "Create the stream with so many if it is not there. Fails if it has another number.")
    private @Nullable Integer shards;

    @Override
    int run(Session session) {
        Console console = session.console();
        Path file = DeliverCommand.readable(input);
        if (shards != null) {
            session.mill().streams().create(name, shards).block();
        }
        StreamProducer producer = session.mill().streams().producer(name);
        List<Long> bad = new ArrayList<>();
        try (Progress progress = Progress.over("producing", file, console)) {
            Waiting.forEach(
                    StreamLines.read(file, console, progress, bad)
                            .buffer(PIECE)
                            .concatMap(piece -> produced(producer, piece), 1),
                    shapes -> shapes.forEach(console::data));
        } catch (ClosedOutputException e) {
            console.say("standard output is closed; what was not printed may have been produced or not");
            throw e;
        }
        return bad.isEmpty() ? Main.DONE : Main.PARTLY;
    }

    private Mono<List<Map<String, @Nullable Object>>> produced(
            StreamProducer producer, List<StreamLines.Parsed> piece) {
        List<Change> changes = piece.stream().map(StreamLines.Parsed::change).toList();
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
}
