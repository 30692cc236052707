package io.millrace.queue;

import com.google.re2j.Pattern;
import com.google.re2j.PatternSyntaxException;
import io.millrace.Event;
import io.millrace.MillraceException;
import io.millrace.redis.Keys;
import io.millrace.redis.LuaScript;
import io.millrace.redis.PubSub;
import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;

/**
 * Which queues there are and what they want, kept in Redis and cached here.
 *
 * <p>On a single server the deliver script compares the cached version with the true one: routing is exact. In Cluster the queues
 * are elsewhere; there the cache is renewed when a change is announced, and when it is older than {@link #CLUSTER_LAG} anyway.
 */
final class Registry {

    /** How outdated routing can be in Cluster. */
    static final Duration CLUSTER_LAG = Duration.ofSeconds(1);

    /** How long a pattern may be, in characters. */
    static final int MAX_PATTERN = 2_000;

    /** Topics whose routes are remembered; the whole memory is dropped when it is full. */
    private static final int MAX_REMEMBERED = 10_000;

    private static final int LONGEST_REMEMBERED = 512;

    private static final Logger log = LoggerFactory.getLogger(Registry.class);

    static final LuaScript<Change> CHANGE =
            LuaScript.repeatable("registry/change.lua", reply -> reply.status(Change.class));

    static final LuaScript<Reply> LOAD = LuaScript.repeatable("registry/load.lua", reply -> reply);

    private static final SecureRandom RANDOM = new SecureRandom();

    private enum Change {
        CHANGED,
        SAME,
        MISSING
    }

    /** A queue and its compiled pattern. */
    record Route(Registration registration, Pattern pattern, Unit unit) {}

    /**
     * What is known of one topic.
     *
     * @param routes to the queues that want it
     * @param queues their names
     * @param channel it is published on
     * @param facet it is put into
     */
    record Matching(List<Route> routes, List<String> queues, byte[] channel, byte[] facet) {}

    /** What events are routed by. Comparable: a map can then keep apart those whose hashes somebody made collide. */
    private record Topic(String environment, String type, String name) implements Comparable<Topic> {

        private static final Comparator<Topic> ORDER = Comparator.comparing(Topic::name)
                .thenComparing(Topic::environment)
                .thenComparing(Topic::type);

        Topic(Event event) {
            this(event.environment(), event.type(), event.name());
        }

        @Override
        public int compareTo(Topic other) {
            return ORDER.compare(this, other);
        }
    }

    /** All routes at one version. */
    static final class Routes {

        private final Keys keys;
        private final byte[] version;
        private final List<Route> all;
        private final long loadedNanos;
        private final boolean waiting;
        private final ConcurrentMap<Topic, Matching> remembered = new ConcurrentHashMap<>();
        private final ConcurrentMap<String, Long> maintained = new ConcurrentHashMap<>();

        Routes(Keys keys, byte[] version, List<Route> all, long loadedNanos) {
            this.keys = keys;
            this.version = version;
            this.all = all;
            this.loadedNanos = loadedNanos;
            this.waiting = all.stream()
                    .anyMatch(route -> route.registration().admission().overflow() == Admission.Overflow.WAIT);
        }

        /** Whether there is a queue whose producers wait for room. */
        boolean hasWaiting() {
            return waiting;
        }

        byte[] version() {
            return version;
        }

        List<Route> all() {
            return all;
        }

        /**
         * When each queue's deduplication window was last looked after. Kept per version: a queue that was destroyed and registered
         * again has a new window.
         */
        ConcurrentMap<String, Long> maintained() {
            return maintained;
        }

        /** The queues that want an event. */
        Matching matching(Event event) {
            Matching known = remembered.get(new Topic(event));
            return known != null ? known : matchingAnew(event);
        }

        private Matching matchingAnew(Event event) {
            String topic = event.topic();
            List<Route> matching = new ArrayList<>();
            for (Route route : all) {
                if (route.pattern().matches(topic)) {
                    matching.add(route);
                }
            }
            if (remembered.size() >= MAX_REMEMBERED) {
                remembered.clear();
            }
            Matching result = new Matching(
                    List.copyOf(matching),
                    matching.stream().map(route -> route.registration().queue()).toList(),
                    keys.topicChannel(topic),
                    event.environment().getBytes(StandardCharsets.UTF_8));
            if (topic.length() <= LONGEST_REMEMBERED) {
                remembered.put(new Topic(event), result);
            }
            return result;
        }
    }

    private final Redis redis;
    private final byte[] queuesKey;
    private final byte[] versionKey;
    private final byte[] limitsKey;
    private final byte[] channel;
    private @Nullable Mono<Routes> loading; // guarded by this
    private volatile @Nullable Routes routes;
    private volatile PubSub.@Nullable Attachment announcements;

    Registry(Redis redis) {
        this.redis = redis;
        this.queuesKey = redis.keys().single("registry", "queues");
        this.versionKey = redis.keys().single("registry", "version");
        this.limitsKey = redis.keys().single("registry", "limits");
        this.channel = redis.keys().signalChannel("registry", "changed");
    }

    byte[] versionKey() {
        return versionKey;
    }

    Mono<Void> register(Registration registration) {
        return Mono.defer(() -> {
            Unit.of(redis.keys(), registration.queue());
            compile(registration.queue(), registration.pattern());
            return change(registration.queue(), registration).then();
        });
    }

    Mono<Boolean> unregister(String queue) {
        return change(queue, null).map(change -> change == Change.CHANGED);
    }

    /** The routes as they are cached, or as they are in Redis when the cache is empty or too old. */
    Mono<Routes> routes() {
        Routes cached = routes;
        if (cached == null || (redis.isCluster() && System.nanoTime() - cached.loadedNanos > CLUSTER_LAG.toNanos())) {
            return reload();
        }
        return Mono.just(cached);
    }

    /** Whether a producer may have to wait for room, as far as is known. */
    boolean mayWait() {
        Routes cached = routes;
        return cached == null || cached.hasWaiting();
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
                    under = load().doOnNext(loaded -> routes = loaded)
                            .doOnTerminate(this::loaded)
                            .cache();
                    loading = under;
                }
                return under;
            }
        });
    }

    private void loaded() {
        synchronized (this) {
            loading = null;
        }
        followAnnouncements();
    }

    void close() {
        PubSub.Attachment attachment = announcements;
        if (attachment != null) {
            attachment.close();
        }
    }

    private List<byte[]> keys() {
        return List.of(queuesKey, versionKey, limitsKey);
    }

    private Mono<Change> change(String queue, @Nullable Registration registration) {
        return Mono.defer(() -> {
            List<byte[]> args = new ArrayList<>(List.of(channel, newVersion(), bytes(queue)));
            if (registration != null) {
                args.add(bytes(registration.pattern()));
                args.add(bytes(registration.admission().stored()));
            }
            return redis.run(CHANGE, keys(), args).doOnNext(done -> routes = null);
        });
    }

    private Routes read(Reply reply) {
        List<Route> all = new ArrayList<>();
        for (int i = 2; i + 2 < reply.size(); i += 3) {
            String queue = reply.text(i);
            String pattern = reply.text(i + 1);
            try {
                all.add(new Route(
                        new Registration(queue, pattern, Admission.read(reply.text(i + 2))),
                        compile(queue, pattern),
                        Unit.of(redis.keys(), queue)));
            } catch (MillraceException | IllegalArgumentException e) {
                // Written by something else than us: it must not keep the other queues from their messages.
                log.warn("the registration of queue \"{}\" is left out: {}", queue, e.getMessage());
            }
        }
        all.sort(Comparator.comparing(route -> route.registration().queue()));
        return new Routes(redis.keys(), reply.bytes(1), List.copyOf(all), System.nanoTime());
    }

    private void followAnnouncements() {
        if (redis.isCluster() && announcements == null) {
            synchronized (this) {
                if (announcements == null) {
                    announcements = redis.pubSub().attach(channel, false, signal -> routes = null);
                }
            }
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
