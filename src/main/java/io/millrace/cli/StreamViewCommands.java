package io.millrace.cli;

import io.millrace.server.StreamShapes;
import io.millrace.stream.EntryId;
import io.millrace.stream.StreamEntry;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import reactor.core.publisher.Flux;

/** What is in streams. */
final class StreamViewCommands {

    private StreamViewCommands() {}

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
            description =
                    "Show one stream, a line for each shard: {stream, shard, shards, length, first, last, trimmed, notes, oldestNoteMs,"
                            + " consumers: [{consumer, offset, lag, lagIsLeast, ageMs, backfillLag, deadLetters, paused, active}]}.",
            footer = "%nExample: millrace stream show products | jq '.consumers[] | select(.lag > 1000)'")
    static final class Show extends StreamAction {

        @Override
        int run(Session session) {
            Waiting.forEach(stream(session).state(), state -> session.console().data(StreamShapes.state(state)));
            return Main.DONE;
        }
    }

    @Command(
            name = "tail",
            description = "Show the entries there are, without a consumer: {stream, id, payload} each.",
            footer = {
                "%nExamples:",
                "  millrace stream tail products -n 20                              # the last 20",
                "  millrace stream tail products --after 1790000000000-0 -n 20      # the first 20 behind it"
            })
    static final class Tail extends StreamAction {

        @Option(
                names = "--after",
                paramLabel = "ID",
                description = "Begin behind this entry, instead of counting from the end.")
        private @Nullable String after;

        @Option(
                names = "-n",
                paramLabel = "N",
                description = "How many at most, the last ones there are; without --after up to 10,000. Default: all.")
        private @Nullable Integer count;

        @Override
        int run(Session session) {
            Flux<StreamEntry> entries = after == null && count != null
                    ? stream(session).newest(count)
                    : stream(session).entries(after == null ? EntryId.ZERO : EntryId.parse(after));
            Waiting.forEach(
                    (count == null ? entries : entries.take(count)).map(entry -> StreamShapes.entry(name, entry)),
                    session.console()::data);
            return Main.DONE;
        }
    }
}
