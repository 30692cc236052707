package io.millrace.drain;

import io.millrace.redis.PubSub;
import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.function.Function;
import org.reactivestreams.Publisher;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Which resources changed, once each, however often they did: marked when something happened to them, swept when somebody has dealt
 * with it. Shared by all processes; sweepers share the work.
 *
 * <p>A URL is leased to its sweeper: when that dies, the URL comes back after the lease, in its old place. A mark made while a URL is
 * swept keeps it dirty. Order is that of the first mark. Everything is cold; elements arrive on Millrace's worker threads. While Redis
 * is away calls fail with {@link io.millrace.RedisUnavailableException}, and what was swept stays dirty. Thread safe.
 */
public final class DirtyMap {

    private static final Logger log = LoggerFactory.getLogger(DirtyMap.class);

    private static final int URLS_A_CALL = 500;
    private static final int MAX_URL = io.millrace.json.Notifications.MAX_TEXT;
    private static final int HEARD_URLS = 4_096;
    private static final long HEARD_BYTES = 16L << 20;

    private final DrainUnit unit;

    /** For the facade: the dirty map of the drain of that name. */
    public DirtyMap(Redis redis, String name) {
        this(new DrainUnit(name, redis));
    }

    DirtyMap(DrainUnit unit) {
        DrainScripts.load();
        this.unit = unit;
    }

    /** Its name, which is its drain's. */
    public String name() {
        return unit.name();
    }

    /**
     * Marks a URL dirty.
     *
     * @return whether it was clean until now; a URL that is being swept is not clean yet
     */
    public Mono<Boolean> mark(String url) {
        return mark(List.of(url)).map(newlyDirty -> !newlyDirty.isEmpty());
    }

    /**
     * Marks URLs dirty, in steps of {@value #URLS_A_CALL}.
     *
     * @return those that were clean until now, in their order
     * @throws IllegalArgumentException in the returned Mono, if one is empty or longer than 65,536 characters
     */
    public Mono<List<String>> mark(Collection<String> urls) {
        return Flux.fromIterable(new LinkedHashSet<>(urls))
                .map(DirtyMap::checked)
                .buffer(URLS_A_CALL)
                .concatMap(this::markAll, 1)
                .collectList();
    }

    /** As {@link #sweep(Function, SweepOptions)}, with everything by default. */
    public Flux<Swept> sweep(Function<? super String, ? extends Publisher<Boolean>> cleaner) {
        return sweep(cleaner, SweepOptions.defaults());
    }

    /** As {@link #sweep(Function, SweepOptions)}, up to so many. */
    public Flux<Swept> sweep(long limit, Function<? super String, ? extends Publisher<Boolean>> cleaner) {
        return sweep(cleaner, SweepOptions.defaults().withLimit(limit));
    }

    /**
     * Goes once through what is dirty when it begins, oldest first. A URL is clean when its cleaner said {@code true} and it was not
     * marked meanwhile. One whose cleaner says {@code false}, nothing, or fails, stays dirty for the next sweep and does not keep the
     * others from being swept.
     *
     * <p>Each element of demand sweeps about one URL. A cancel stops cleaners and gives their URLs back.
     *
     * @param cleaner is called with each URL, on {@link SweepOptions#scheduler()}
     * @return what came of each
     */
    public Flux<Swept> sweep(Function<? super String, ? extends Publisher<Boolean>> cleaner, SweepOptions options) {
        return Flux.defer(() -> new Sweep(unit, cleaner, options).all());
    }

    /**
     * Sweeps one URL.
     *
     * @return whether it is clean now; {@code true} also if it was not dirty, {@code false} also if somebody else sweeps it
     */
    public Mono<Boolean> sweepOne(String url, Function<? super String, ? extends Publisher<Boolean>> cleaner) {
        return Mono.defer(() -> new Sweep(unit, cleaner, SweepOptions.defaults()).one(checked(url)));
    }

    /** How many URLs are dirty, those being swept included. */
    public Mono<Long> count() {
        return unit.state().map(state -> state.dirty() + state.swept());
    }

    /** How long the URL that waits longest has been dirty; zero if none waits. What dead sweepers left counts again. */
    public Mono<Duration> age() {
        return unit.state().map(DrainState::oldestDirty);
    }

    /** As it is now, with its drain. */
    public Mono<DrainState> state() {
        return unit.state();
    }

    /** All dirty URLs: those that wait, oldest first, then those being swept. Read page by page as they are asked for. */
    public Flux<String> all() {
        return Flux.concat(pages("dirty"), pages("swept"));
    }

    /**
     * URLs at the moment they become dirty, marked by whichever process: once each until they have been swept, and again when a mark
     * came while they were. Lossy, as live listening is: who must not miss any sweeps as well. Never ends by itself.
     */
    public Flux<String> dirtyEntity() {
        return unit.redis()
                .pubSub()
                .listen(unit.channel("marked"), false, HEARD_URLS, HEARD_BYTES)
                .handle((signal, sink) -> {
                    if (signal instanceof PubSub.Signal.Message message) {
                        sink.next(new String(message.body(), StandardCharsets.UTF_8));
                    } else if (signal instanceof PubSub.Signal.Gap gap) {
                        log.warn(
                                "dirty URLs are missing here: {}",
                                gap.lost() == 0 ? "the connection to Redis was away" : gap.lost() + " came too fast");
                    }
                });
    }

    private Flux<String> markAll(List<String> urls) {
        return unit.redis()
                .run(DrainScripts.MARK, unit.keys(), DrainScripts.args(urls.toArray()))
                .flatMapIterable(reply -> {
                    List<String> newlyDirty = new ArrayList<>();
                    for (int i = 0; i < urls.size(); i++) {
                        if (reply.number(i + 1) == 1) {
                            newlyDirty.add(urls.get(i));
                        }
                    }
                    return newlyDirty;
                });
    }

    private Flux<String> pages(String which) {
        return page(which, "0")
                .expand(reply -> reply.text(1).isEmpty() ? Mono.empty() : page(which, reply.text(1)), 1)
                .concatMapIterable(
                        reply -> {
                            List<String> urls = new ArrayList<>();
                            for (int i = 2; i + 1 < reply.size(); i += 2) {
                                urls.add(reply.text(i));
                            }
                            return urls;
                        },
                        1);
    }

    private Mono<Reply> page(String which, String from) {
        return unit.redis().run(DrainScripts.LIST, unit.keys(), DrainScripts.args(which, from, URLS_A_CALL));
    }

    private static String checked(String url) {
        if (url.isEmpty() || url.length() > MAX_URL) {
            throw new IllegalArgumentException("a URL must have 1 to " + MAX_URL + " characters, had " + url.length());
        }
        return url;
    }

    @Override
    public String toString() {
        return "DirtyMap[" + name() + "]";
    }
}
