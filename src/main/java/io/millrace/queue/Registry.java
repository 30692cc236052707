package io.millrace.queue;

import com.google.re2j.Pattern;
import com.google.re2j.PatternSyntaxException;
import io.millrace.Event;
import io.millrace.MillraceException;
import io.millrace.redis.LuaScript;
import io.millrace.redis.PubSub;
import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import io.millrace.redis.WakeUp;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeoutException;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;

/**
 * Which queues there are and what they want, kept in Redis and cached here.
 *
 * <p>On a single server the deliver script compares the cached version with the true one: routing is exact. In Cluster the queues
 * are elsewhere; there the cache is renewed when a change is announced, and when it is older than {@link #CLUSTER_LAG} anyway. While
 * its master is away nobody can change it, so what was read last holds for {@link #AWAY_AT_MOST}: queues on other masters go on.
 */
final class Registry {

    /** How outdated routing can be in Cluster. */
    static final Duration CLUSTER_LAG = Duration.ofSeconds(1);

    /** How long what was read last is used while the registry cannot be read in Cluster: others may be able to, and change it. */
    static final Duration AWAY_AT_MOST = Duration.ofMinutes(1);

    /** How long a delivery waits, once a {@link #CLUSTER_LAG}, for a registry that does not answer. */
    private static final Duration PATIENCE = Duration.ofMillis(100);

    /** How long a pattern may be, in characters. */
    static final int MAX_PATTERN = 2_000;

    /** How often somebody who was told of no change looks all the same. */
    private static final Duration LOOK = Duration.ofSeconds(10);

    /** For deliveries that were on their way when routing by what was registered before ended. */
    private static final Duration SETTLING = Duration.ofMillis(200);

    private static final Logger log = LoggerFactory.getLogger(Registry.class);

    static final LuaScript<Reply> CHANGE = LuaScript.repeatable("registry/change.lua", reply -> reply);

    static final LuaScript<Reply> FORGET = LuaScript.repeatable("registry/forget.lua", reply -> reply);

    static final LuaScript<Reply> LOAD = LuaScript.repeatable("registry/load.lua", reply -> reply);

    private static final SecureRandom RANDOM = new SecureRandom();

    private enum Change {
        CHANGED,
        SAME,
        MISSING,
        PARTITIONED
    }

    private final Redis redis;
    private final byte[] queuesKey;
    private final byte[] versionKey;
    private final byte[] limitsKey;
    private final byte[] partitionsKey;
    private final byte[] channel;
    private @Nullable Mono<Routes> loading; // guarded by this
    private long changes; // guarded by this; how often what is cached became outdated
    private volatile @Nullable Routes routes; // null: to be read anew
    private volatile @Nullable Routes known; // those last read; null: they are known to be outdated
    private volatile long missedNanos; // when they could not be read anew; 0: they could
    private volatile PubSub.@Nullable Attachment announcements;
    private volatile boolean listening;

    Registry(Redis redis) {
        this.redis = redis;
        this.queuesKey = redis.keys().single("registry", "queues");
        this.versionKey = redis.keys().single("registry", "version");
        this.limitsKey = redis.keys().single("registry", "limits");
        this.partitionsKey = redis.keys().single("registry", "partitions");
        this.channel = redis.keys().signalChannel("registry", "changed");
    }

    byte[] versionKey() {
        return versionKey;
    }

    /** Answers how it is registered now. */
    Mono<Registration> register(String queue, String pattern, QueueOptions options) {
        return Mono.defer(() -> {
                    Unit unit = Unit.of(redis.keys(), queue, 0);
                    compile(queue, pattern);
                    return unitIsFree(unit, options.partitions())
                            .then(change(
                                    queue,
                                    pattern,
                                    options.admission().stored(),
                                    Integer.toString(options.partitions())))
                            .handle((reply, sink) -> {
                                if (reply.status(Change.class) == Change.PARTITIONED) {
                                    sink.error(partitioned(queue, reply.text(1), options.partitions()));
                                }
                            });
                })
                .then(Mono.defer(() -> partitions(queue)))
                .map(partitions -> new Registration(queue, pattern, options.admission(), partitions));
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
                + " and there may be messages in " + (has.equals("1") ? "it" : "them") + "; to give it " + wanted
                + " drain it, destroy it, and register it again");
    }

    Mono<Boolean> unregister(String queue) {
        return change(queue).map(reply -> reply.status(Change.class) == Change.CHANGED);
    }

    /** The queue is destroyed; it may have any number of partitions next time. */
    Mono<Void> forget(String queue) {
        return Mono.defer(() -> redis.run(
                                FORGET,
                                List.of(queuesKey, versionKey, partitionsKey),
                                List.of(channel, newVersion(), bytes(queue)))
                        .doOnNext(done -> outdated(true)))
                .then();
    }

    /** Completes when nobody who can read the registry routes by what was registered before any more. */
    Mono<Void> settled() {
        return redis.isCluster()
                ? Mono.delay(CLUSTER_LAG.plus(SETTLING), redis.worker()).then()
                : Mono.empty();
    }

    /** How many partitions a queue has. */
    Mono<Integer> partitions(String queue) {
        Routes cached = routes;
        Duration good = listening ? LOOK : CLUSTER_LAG;
        return cached != null && System.nanoTime() - cached.loadedNanos() <= good.toNanos()
                ? Mono.just(cached.partitions(queue))
                : renewed().map(now -> now.partitions(queue));
    }

    /** Completes once a queue has another number of partitions than this; never fails. */
    Mono<Void> changed(String queue, int partitions) {
        return Mono.defer(() -> {
            followAnnouncements();
            WakeUp wake = new WakeUp(redis.worker());
            return Mono.using(
                    () -> redis.pubSub().attach(channel, false, signal -> wake.call()),
                    attached -> wake.await(LOOK)
                            .then(Mono.defer(() -> partitions(queue)))
                            .onErrorReturn(partitions)
                            .repeat()
                            .filter(now -> now != partitions)
                            .next()
                            .then(),
                    PubSub.Attachment::close);
        });
    }

    /** The routes as they are cached, or as they are in Redis when the cache is empty or too old. */
    Mono<Routes> routes() {
        Routes cached = routes;
        if (cached == null || (redis.isCluster() && System.nanoTime() - cached.loadedNanos() > CLUSTER_LAG.toNanos())) {
            return renewed();
        }
        return Mono.just(cached);
    }

    /** Read anew; in Cluster those known, where that is not possible now. */
    private Mono<Routes> renewed() {
        Routes last = known;
        long now = System.nanoTime();
        if (!redis.isCluster() || last == null || now - last.loadedNanos() > AWAY_AT_MOST.toNanos()) {
            return reload();
        }
        long missed = missedNanos;
        if (missed != 0 && now - missed < CLUSTER_LAG.toNanos()) {
            return Mono.just(last);
        }
        return reload().timeout(PATIENCE, redis.worker()) // it goes on, for the next ones
                .onErrorResume(Registry::isAway, away -> known == last ? missed(last, away) : reload());
    }

    private Mono<Routes> missed(Routes last, Throwable away) {
        if (missedNanos == 0) {
            log.warn(
                    "registrations cannot be read, those of {} ms ago are used: {}",
                    Duration.ofNanos(System.nanoTime() - last.loadedNanos()).toMillis(),
                    away.getMessage());
        }
        missedNanos = System.nanoTime() | 1; // never 0
        return Mono.just(last);
    }

    private static boolean isAway(Throwable error) {
        return error instanceof TimeoutException || (error instanceof MillraceException failure && failure.retryable());
    }

    /** Whether a producer may have to wait for room, as far as is known. */
    boolean mayWait() {
        Routes cached = routes;
        return cached == null || cached.hasWaiting();
    }

    /** As {@link #mayWait()}, of one event. */
    boolean mayWait(Event event) {
        Routes cached = routes;
        return cached == null
                || (cached.hasWaiting()
                        && cached.matching(event).routes().stream()
                                .anyMatch(route ->
                                        route.registration().admission().overflow() == Admission.Overflow.WAIT));
    }

    /** The routes as they are in Redis now. */
    Mono<Routes> load() {
        return redis.run(LOAD, keys(), List.of()).map(this::read);
    }

    /**
     * Renews the cache; those who ask while that is under way share it.
     */
    Mono<Routes> reload() {
        return Mono.defer(() -> {
            synchronized (this) {
                Mono<Routes> under = loading;
                if (under == null) {
                    long seen = changes;
                    under = load().doOnNext(loaded -> loaded(loaded, seen))
                            .doOnTerminate(() -> ended(seen))
                            .cache();
                    loading = under;
                }
                return under;
            }
        });
    }

    /** What was asked for before a change may be from before it: it is for those who wait for it, and nobody else. */
    private synchronized void loaded(Routes loaded, long seen) {
        if (seen == changes) {
            known = loaded;
            routes = loaded;
            missedNanos = 0;
        }
    }

    private void ended(long seen) {
        synchronized (this) {
            if (seen == changes) {
                loading = null;
            }
        }
        if (redis.isCluster()) {
            followAnnouncements();
        }
    }

    /** @param certain whether it is certain that there was a change, or only possible */
    private synchronized void outdated(boolean certain) {
        changes++;
        loading = null;
        routes = null;
        if (certain) {
            known = null;
        }
    }

    void close() {
        PubSub.Attachment attachment = announcements;
        if (attachment != null) {
            attachment.close();
        }
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
            return redis.run(CHANGE, keys(), args).doOnNext(done -> outdated(true));
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

    private void followAnnouncements() {
        if (announcements == null) {
            synchronized (this) {
                if (announcements == null) {
                    announcements = redis.pubSub().attach(channel, false, this::announced);
                }
            }
        }
    }

    void announced(PubSub.Signal signal) {
        listening = !(signal instanceof PubSub.Signal.Gap || signal instanceof PubSub.Signal.Failed);
        outdated(signal instanceof PubSub.Signal.Message);
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
