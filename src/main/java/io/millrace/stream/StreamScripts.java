package io.millrace.stream;

import io.millrace.redis.LuaScript;
import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.util.List;
import reactor.core.publisher.Mono;

/** The scripts of {@code lua/stream}; what they take and answer is said in their headers. */
final class StreamScripts {

    static final LuaScript<Recorded> CREATE = LuaScript.repeatable("stream/create.lua", Recorded::of);
    static final LuaScript<Reply> PRODUCE = LuaScript.repeatable("stream/produce.lua", reply -> reply);
    static final LuaScript<Reply> NOTE = LuaScript.repeatable("stream/note.lua", StreamScripts::ok);
    static final LuaScript<Reply> DUE = LuaScript.repeatable("stream/due.lua", StreamScripts::ok);
    static final LuaScript<Reply> RUBY_DUE = LuaScript.repeatable("stream/ruby_due.lua", StreamScripts::ok);
    private static final LuaScript<Committed> OPEN = LuaScript.repeatable("stream/open.lua", Committed::of);
    static final LuaScript<Committed> COMMIT = LuaScript.repeatable("stream/commit.lua", Committed::of);
    static final LuaScript<Boolean> SEEK =
            LuaScript.repeatable("stream/seek.lua", reply -> reply.status(Outcome.class) == Outcome.OK);
    static final LuaScript<Reply> PAUSE = LuaScript.repeatable("stream/pause.lua", StreamScripts::ok);
    static final LuaScript<Reply> UNREGISTER = LuaScript.repeatable("stream/unregister.lua", StreamScripts::ok);
    static final LuaScript<Reply> TRIM = LuaScript.repeatable("stream/trim.lua", StreamScripts::ok);
    static final LuaScript<Reply> SHOW = LuaScript.repeatable("stream/show.lua", StreamScripts::ok);
    static final LuaScript<Reply> COUNT = LuaScript.repeatable("stream/count.lua", StreamScripts::ok);
    static final LuaScript<Reply> LANE_FEED = LuaScript.repeatable("stream/lane_feed.lua", reply -> reply);
    static final LuaScript<Reply> LANE_READ = LuaScript.repeatable("stream/lane_read.lua", StreamScripts::ok);
    static final LuaScript<LaneCommitted> LANE_COMMIT =
            LuaScript.repeatable("stream/lane_commit.lua", LaneCommitted::of);
    static final LuaScript<Reply> LANE_SHOW = LuaScript.repeatable("stream/lane_show.lua", StreamScripts::ok);
    static final LuaScript<Reply> RETRY = LuaScript.repeatable("stream/retry.lua", StreamScripts::ok);

    private StreamScripts() {}

    /** Has them all read from the resources, where that may block. */
    static void load() {}

    /**
     * Registers a consumer of a shard if need be, to begin after an id or at the end, and tells where it stands.
     *
     * @param again also if somebody has unregistered it
     * @return fails with {@link UnregisteredConsumerException} otherwise
     */
    static Mono<Standing> open(Redis redis, StreamKeys keys, String consumer, String after, boolean again) {
        return redis.run(
                        OPEN,
                        List.of(
                                keys.logKey(),
                                keys.unitKey(),
                                keys.offset(consumer),
                                keys.lock(consumer).lock()),
                        List.of(StreamKeys.bytes(consumer), StreamKeys.bytes(after), StreamKeys.bytes(again ? 1 : 0)))
                .flatMap(opened -> opened.outcome() == Outcome.OK
                        ? Mono.just(opened.standing())
                        : Mono.error(new UnregisteredConsumerException(
                                keys.stream(), consumer, "somebody has unregistered it while it ran")));
    }

    private enum Ok {
        OK
    }

    /** What became of a commit, or of a look. */
    enum Outcome {
        OK,
        FENCED,
        OLDER,
        UNKNOWN
    }

    /**
     * Where a consumer and its stream stand.
     *
     * @param offset the last committed id
     * @param trimmed the highest id that was removed
     * @param last the last id ever given
     * @param added how many entries were ever added
     * @param paused whether the consumer is not to read on
     * @param addedBefore {@code added} when the consumer last committed
     */
    record Standing(EntryId offset, EntryId trimmed, EntryId last, long added, boolean paused, long addedBefore) {

        static Standing of(Reply reply) {
            return new Standing(
                    EntryId.parse(reply.text(1)),
                    EntryId.parse(reply.text(2)),
                    EntryId.parse(reply.text(3)),
                    reply.number(4),
                    reply.number(5) == 1,
                    reply.number(6));
        }
    }

    /**
     * What is on record of a stream.
     *
     * @param other whether this is not the number that was asked for
     */
    record Recorded(int shards, boolean isNew, boolean other) {

        private enum Word {
            OK,
            OTHER
        }

        static Recorded of(Reply reply) {
            return new Recorded((int) reply.number(1), reply.number(2) == 1, reply.status(Word.class) == Word.OTHER);
        }
    }

    /** What became of a commit or a look, and where the consumer stands now. */
    record Committed(Outcome outcome, Standing standing) {

        static Committed of(Reply reply) {
            return new Committed(reply.status(Outcome.class), Standing.of(reply));
        }
    }

    /**
     * What became of a commit in the lane of backfills.
     *
     * @param offset the last committed id there
     * @param more whether there is more behind it
     */
    record LaneCommitted(Outcome outcome, EntryId offset, boolean more) {

        static LaneCommitted of(Reply reply) {
            return new LaneCommitted(reply.status(Outcome.class), EntryId.parse(reply.text(1)), reply.number(2) == 1);
        }
    }

    private static Reply ok(Reply reply) {
        reply.status(Ok.class);
        return reply;
    }
}
