package io.millrace.cli;

import io.millrace.server.StreamShapes;
import io.millrace.stream.EntryId;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Looking after a stream. */
final class StreamCareCommands {

    private StreamCareCommands() {}

    @Command(
            name = "create",
            description = "Create a stream with so many shards, never to be changed: {stream, shards, created}."
                    + " What nobody has created has one shard from its first use on.",
            footer = {
                "%nExamples:",
                "  millrace stream create products --shards 8",
                "  millrace stream members products indexer     # who reads which of them"
            })
    static final class Create extends StreamAction {

        @Option(
                names = "--shards",
                paramLabel = "N",
                defaultValue = "1",
                description = "How many, 1 to 256. Members of a consumer divide them; each key stays in its own.")
        private int shards;

        @Override
        int run(Session session) {
            Map<String, @Nullable Object> shape = shape();
            shape.put("shards", shards);
            shape.put("created", session.mill().streams().create(name, shards).block());
            session.console().data(shape);
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
    static final class Trim extends StreamAction {

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
}
