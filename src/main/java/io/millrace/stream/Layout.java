package io.millrace.stream;

import io.millrace.MillraceException;
import io.millrace.redis.Keys;
import io.millrace.redis.Redis;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/**
 * How many shards a stream has. The number is remembered in Redis when the stream is created, and never changes: a key belongs to the
 * same shard for ever, so that its order holds and no two producers can disagree.
 */
final class Layout {

    private final Redis redis;
    private final String stream;
    private final @Nullable StreamKeys ruby;

    /** @param rubyNamespace where the Ruby library keeps its keys, if they are those: it knows one shard only */
    Layout(Redis redis, String stream, @Nullable String rubyNamespace) {
        this.redis = redis;
        this.stream = StreamKeys.named("stream", stream);
        this.ruby = rubyNamespace == null ? null : StreamKeys.ofRuby(rubyNamespace, stream);
    }

    String stream() {
        return stream;
    }

    /** The shards there are; one while nobody has created the stream. */
    Mono<List<StreamKeys>> shards() {
        return ruby != null
                ? Mono.just(List.of(ruby))
                : Calls.call(redis, "HGET", shardsKey(redis.keys()), StreamKeys.bytes(stream))
                        .map(number -> Integer.parseInt(new String((byte[]) number, StandardCharsets.US_ASCII)))
                        .defaultIfEmpty(1)
                        .map(this::keys);
    }

    /** As {@link #shards}, having created the stream if nobody had: with one. */
    Mono<List<StreamKeys>> created() {
        return ruby != null ? Mono.just(List.of(ruby)) : record(0).map(reply -> keys(reply.shards()));
    }

    /**
     * Creates the stream with so many shards.
     *
     * @return false: it was there, with as many; fails when it has another number
     */
    Mono<Boolean> create(int shards) {
        if (ruby != null) {
            return Mono.error(new IllegalArgumentException("with keys of the Ruby library a stream has one shard"));
        }
        return record(Check.between("shards", shards, 1, Streams.MAX_SHARDS)).map(reply -> {
            if (reply.other()) {
                throw new MillraceException("stream \"" + stream + "\" has " + many(reply.shards()) + ", not " + shards
                        + ": the number is chosen when a stream is created and never changes;"
                        + " leave it out, or use a stream of another name");
            }
            return reply.isNew();
        });
    }

    /** Puts the stream on record again, should Redis have lost it; fails when it has come to another number since. */
    Mono<Void> confirm(int shards) {
        return ruby != null ? Mono.empty() : create(shards).then();
    }

    private Mono<StreamScripts.Recorded> record(int shards) {
        return redis.run(
                StreamScripts.CREATE,
                List.of(namesKey(redis.keys()), shardsKey(redis.keys())),
                List.of(StreamKeys.bytes(stream), StreamKeys.bytes(shards)));
    }

    private List<StreamKeys> keys(int shards) {
        return IntStream.range(0, shards)
                .mapToObj(shard -> StreamKeys.of(redis.keys(), stream, shard))
                .toList();
    }

    private static String many(int shards) {
        return shards == 1 ? "1 shard" : shards + " shards";
    }

    static byte[] namesKey(Keys keys) {
        return keys.single("streams", "names");
    }

    private static byte[] shardsKey(Keys keys) {
        return keys.single("streams", "shards");
    }
}
