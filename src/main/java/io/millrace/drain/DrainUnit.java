package io.millrace.drain;

import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import reactor.core.publisher.Mono;

/** Where a drain and its dirty map are kept: one unit, one slot. */
final class DrainUnit {

    private final String name;
    private final Redis redis;
    private final String prefix;
    private final List<byte[]> keys;

    DrainUnit(String name, Redis redis) {
        if (name.isEmpty()) {
            throw new IllegalArgumentException("a drain needs a name; it was empty");
        }
        this.name = name;
        this.redis = redis;
        this.prefix = redis.keys().unitText("drain", name, 0);
        this.keys = List.of(prefix.getBytes(StandardCharsets.UTF_8));
    }

    String name() {
        return name;
    }

    Redis redis() {
        return redis;
    }

    /** KEYS of every script. */
    List<byte[]> keys() {
        return keys;
    }

    /** A channel of this unit: {@code wake} or {@code marked}. */
    byte[] channel(String part) {
        return (prefix + part).getBytes(StandardCharsets.UTF_8);
    }

    Mono<DrainState> state() {
        return redis.run(DrainScripts.STATE, keys, List.of()).map(DrainUnit::state);
    }

    private static DrainState state(Reply reply) {
        return new DrainState(
                reply.number(1),
                reply.number(2),
                reply.number(3),
                Duration.ofMillis(reply.number(4)),
                reply.number(5),
                reply.number(6),
                Duration.ofMillis(reply.number(7)));
    }
}
