package io.millrace.cli;

import io.millrace.server.StreamShapes;
import io.millrace.stream.ChangeStream;
import io.millrace.stream.EntryId;
import java.util.Objects;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import reactor.core.publisher.Mono;

/** Looking after the consumers of a stream. */
final class StreamConsumerCommands {

    private StreamConsumerCommands() {}

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
    static final class Register extends StreamConsumerAction {

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
            name = "members",
            description = "Show who reads a stream of several shards under this name, and which shards are whose:"
                    + " {stream, consumer, member, shards, leavesMs} each.",
            footer = "%nExample: millrace stream members products indexer")
    static final class Members extends StreamConsumerAction {

        @Override
        int run(Session session) {
            Waiting.forEach(
                    stream(session).members(consumer),
                    member -> session.console().data(StreamShapes.member(name, consumer, member)));
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
    static final class Seek extends StreamConsumerAction {

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
            name = "pause",
            description =
                    "Stop all instances of a consumer from reading on; what runs is finished: {stream, consumer, paused,"
                            + " changed}. Exit code 1 if it was paused already.",
            footer = "%nExample: millrace stream pause products indexer")
    static final class Pause extends StreamConsumerAction {

        @Override
        int run(Session session) {
            return showPaused(session, true, consumer(session).pause());
        }
    }

    @Command(
            name = "resume",
            description = "Let a consumer read on that was paused: {stream, consumer, paused, changed}."
                    + " Exit code 1 if it was not paused.",
            footer = "%nExample: millrace stream resume products indexer")
    static final class Resume extends StreamConsumerAction {

        @Override
        int run(Session session) {
            return showPaused(session, false, consumer(session).resume());
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
    static final class DeadLetters extends StreamConsumerAction {

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
