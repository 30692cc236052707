package io.millrace.cli;

import io.millrace.MalformedEventException;
import io.millrace.json.Json;
import io.millrace.server.LineSplitter;
import io.millrace.stream.Change;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;

/** Records of a stream, one JSON value a line. */
final class StreamLines {

    /** @param line its number, from 1 */
    record Parsed(long line, Change change) {}

    private StreamLines() {}

    /** Reads a file or standard input as it is asked to; what is no record is said, and put into {@code bad}. */
    static Flux<Parsed> read(@Nullable Path file, Console console, Progress progress, List<Long> bad) {
        return DeliverCommand.lines(file, console.in(), progress).handle((line, sink) -> {
            Parsed parsed = parse(line, console, bad);
            if (parsed != null) {
                sink.next(parsed);
            }
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
