package io.millrace.queue;

import com.google.re2j.Pattern;
import com.google.re2j.PatternSyntaxException;
import io.millrace.MillraceException;
import io.millrace.redis.LuaScript;
import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;

/** The registrations of queues as they are kept in Redis: what is written, and what is read back. Nothing is remembered here. */
final class Registrations {

    /** How long a pattern may be, in characters. */
    static final int MAX_PATTERN = 2_000;

    private static final Logger log = LoggerFactory.getLogger(Registrations.class);

    private static final LuaScript<Reply> CHANGE = LuaScript.repeatable("registry/change.lua", reply -> reply);

    private static final LuaScript<Reply> FORGET = LuaScript.repeatable("registry/forget.lua", reply -> reply);

    private static final LuaScript<Reply> LOAD = LuaScript.repeatable("registry/load.lua", reply -> reply);

    private static final SecureRandom RANDOM = new SecureRandom();

    private enum Change {
        CHANGED,
        SAME,
        MISSING,
        PARTITIONED
    }

    private final Redis redis;
    private final Runnable written;
    private final byte[] queuesKey;
    private final byte[] versionKey;
    private final byte[] limitsKey;
    private final byte[] partitionsKey;
    private final byte[] channel;

    /** @param written is told of each answer to something that was to be written, whatever it says */
    Registrations(Redis redis, Runnable written) {
        this.redis = redis;
        this.written = written;
        this.queuesKey = redis.keys().single("registry", "queues");
        this.versionKey = redis.keys().single("registry", "version");
        this.limitsKey = redis.keys().single("registry", "limits");
        this.partitionsKey = redis.keys().single("registry", "partitions");
        this.channel = redis.keys().signalChannel("registry", "changed");
    }

    /** What scripts compare their caller's version with. */
    byte[] versionKey() {
        return versionKey;
    }

    /** On which changes are announced. */
    byte[] channel() {
        return channel;
    }

    /** All of them. */
    Mono<Routes> load() {
        return redis.run(LOAD, keys(), List.of()).map(this::read);
    }

    /** Registers a queue; fails, and nothing is changed, if it is refused. */
    Mono<Void> put(String queue, String pattern, QueueOptions options) {
        return Mono.defer(() -> {
            Unit unit = Unit.of(redis.keys(), queue, 0);
            compile(queue, pattern);
            return unitIsFree(unit, options.partitions())
                    .then(change(queue, pattern, options.admission().stored(), Integer.toString(options.partitions())))
                    .handle((reply, sink) -> {
                        if (reply.status(Change.class) == Change.PARTITIONED) {
                            sink.error(partitioned(queue, reply.text(1), options.partitions()));
                        }
                    });
        });
    }

    /** Takes a registration back; false: there was none. */
    Mono<Boolean> remove(String queue) {
        return change(queue).map(reply -> reply.status(Change.class) == Change.CHANGED);
    }

    /** Forgets how many partitions it had. */
    Mono<Void> forget(String queue) {
        return Mono.defer(() -> redis.run(
                                FORGET,
                                List.of(queuesKey, versionKey, partitionsKey),
                                List.of(channel, newVersion(), bytes(queue)))
                        .doOnNext(done -> written.run()))
                .then();
    }

    /** What lies in the only partition of a queue that was unregistered, or has policies already, would be out of place. */
    private Mono<Void> unitIsFree(Unit unit, int partitions) {
        return partitions <= 1
                ? Mono.empty()
                : load().filter(routes -> routes.partitions(unit.queue()) == 1)
                        .flatMap(routes -> redis.call(
                                "EXISTS",
                                Stream.of(
                                                "ring",
                                                "fair",
                                                "parked",
                                                "throttled",
                                                "back",
                                                "later",
                                                "leases",
                                                "dead",
                                                "ids",
                                                "ids.old",
                                                "policy")
                                        .map(unit::part)
                                        .toArray()))
                        .flatMap(there -> there.equals(0L)
                                ? Mono.empty()
                                : Mono.error(partitioned(unit.queue(), "1", partitions)));
    }

    private static MillraceException partitioned(String queue, String has, int wanted) {
        return new MillraceException("queue \"" + queue + "\" has " + has
                + (has.equals("1") ? " partition" : " partitions")
                + " and there may be messages or policies in " + (has.equals("1") ? "it" : "them") + "; to give it "
                + wanted
                + " drain it, destroy it, and register it again");
    }

    private List<byte[]> keys() {
        return List.of(queuesKey, versionKey, limitsKey, partitionsKey);
    }

    /** @param words pattern, limit and partitions; none to unregister */
    private Mono<Reply> change(String queue, String... words) {
        return Mono.defer(() -> {
            List<byte[]> args = new ArrayList<>(List.of(channel, newVersion(), bytes(queue)));
            for (String word : words) {
                args.add(bytes(word));
            }
            return redis.run(CHANGE, keys(), args).doOnNext(done -> written.run());
        });
    }

    private Routes read(Reply reply) {
        Map<String, Integer> partitions = new HashMap<>();
        Reply several = reply.list(2);
        for (int i = 0; i + 1 < several.size(); i += 2) {
            partitions.put(several.text(i), partitions(several, i + 1));
        }
        List<Routes.Route> all = new ArrayList<>();
        for (int i = 3; i + 2 < reply.size(); i += 3) {
            String queue = reply.text(i);
            String pattern = reply.text(i + 1);
            try {
                int count =
                        Check.between("partitions", partitions.getOrDefault(queue, 1), 1, QueueOptions.MAX_PARTITIONS);
                all.add(new Routes.Route(
                        new Registration(queue, pattern, Admission.read(reply.text(i + 2)), count),
                        compile(queue, pattern),
                        IntStream.range(0, count)
                                .mapToObj(partition -> Unit.of(redis.keys(), queue, partition))
                                .toList()));
            } catch (MillraceException | IllegalArgumentException e) {
                // Written by something else than us: it must not keep the other queues from their messages.
                log.warn("the registration of queue \"{}\" is left out: {}", queue, e.getMessage());
            }
        }
        all.sort(Comparator.comparing(route -> route.registration().queue()));
        partitions.values().removeIf(count -> count < 1);
        return new Routes(redis.keys(), reply.bytes(1), List.copyOf(all), Map.copyOf(partitions), System.nanoTime());
    }

    /** 0 of what is no such number. */
    private static int partitions(Reply reply, int at) {
        try {
            long count = reply.number(at);
            return count > QueueOptions.MAX_PARTITIONS ? 0 : (int) Math.max(0, count);
        } catch (IllegalStateException e) {
            return 0;
        }
    }

    private static Pattern compile(String queue, String pattern) {
        if (pattern.length() > MAX_PATTERN) {
            throw new MillraceException("the pattern of queue \"" + queue + "\" has " + pattern.length()
                    + " characters, more than " + MAX_PATTERN);
        }
        try {
            return Pattern.compile(pattern, Pattern.DOTALL);
        } catch (PatternSyntaxException e) {
            throw new MillraceException(
                    "the pattern of queue \"" + queue + "\" is no regular expression (RE2 syntax): " + e.getMessage()
                            + "; it must match a whole topic, environment:type:name",
                    false,
                    e);
        }
    }

    private static byte[] newVersion() {
        byte[] bits = new byte[12];
        RANDOM.nextBytes(bits);
        return bytes(HexFormat.of().formatHex(bits));
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
