package io.millrace.stream;

import io.millrace.MillraceException;
import io.millrace.redis.Redis;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.util.retry.Retry;

/**
 * Runs delayers and trimmers: of streams that were named, of all there are, or both. Any number of processes may do so for the same
 * streams: a note is moved once, and nothing is removed that somebody has not committed. Two of them with different delays for one
 * stream move its notes after the shorter one.
 *
 * <pre>{@code
 * mill.streams().upkeep().delayer("products", ofMinutes(5)).trimmer("products").run().subscribe();
 * mill.streams().upkeep().all(ofMinutes(5)).run().subscribe();
 * }</pre>
 *
 * <p>Cold, immutable, thread safe. What fails for one stream is logged and tried again after 5 s; it does not end the others. A cancel
 * ends all of them; a note that was being moved is moved, or stays.
 */
public final class Upkeep {

    /** How old notes become before they are moved, unless something else is said: 5 min. */
    public static final Duration DEFAULT_DELAY = Duration.ofMinutes(5);

    private static final Logger log = LoggerFactory.getLogger(Upkeep.class);

    private static final Duration LOOK = Duration.ofSeconds(5);
    private static final Duration PAUSE = Duration.ofSeconds(5);

    /** How many at a time: each is a loop of its own that never ends, so all of them. */
    private static final int ALL = Integer.MAX_VALUE;

    /**
     * What was done once, to one stream.
     *
     * @param moved how many repair notes came into it
     * @param removed how many entries were trimmed
     */
    public record Report(String stream, long moved, long removed) {}

    private final Streams streams;
    private final Redis redis;
    private final Map<String, Duration> delayers;
    private final Map<String, Duration> trimmers;
    private final @Nullable Duration everywhere;

    Upkeep(Streams streams, Redis redis) {
        this(streams, redis, Map.of(), Map.of(), null);
    }

    private Upkeep(
            Streams streams,
            Redis redis,
            Map<String, Duration> delayers,
            Map<String, Duration> trimmers,
            @Nullable Duration everywhere) {
        this.streams = streams;
        this.redis = redis;
        this.delayers = delayers;
        this.trimmers = trimmers;
        this.everywhere = everywhere;
    }

    /**
     * The same, moving a stream's repair notes too.
     *
     * @param delay as {@link Streams#delayer} takes it
     */
    public Upkeep delayer(String stream, Duration delay) {
        var unused = streams.delayer(stream, delay); // says what is wrong with it
        return new Upkeep(streams, redis, with(delayers, stream, delay), trimmers, everywhere);
    }

    /** The same, trimming a stream too, every 30 s. */
    public Upkeep trimmer(String stream) {
        return trimmer(stream, Trimmer.DEFAULT_EVERY);
    }

    /**
     * The same, trimming a stream too.
     *
     * @param every as {@link Trimmer#every} takes it
     */
    public Upkeep trimmer(String stream, Duration every) {
        var unused = streams.trimmer(stream).every(every); // says what is wrong with it
        return new Upkeep(streams, redis, delayers, with(trimmers, stream, every), everywhere);
    }

    /**
     * The same for all streams, those that come later too, within 5 s. What was said of a named one holds for it.
     *
     * @param delay longer than the longest transaction that writes records of any of them
     */
    public Upkeep all(Duration delay) {
        var unused = streams.delayer("any", delay); // says what is wrong with it
        return new Upkeep(streams, redis, delayers, trimmers, delay);
    }

    /** Keeps at it until cancelled, or until Millrace is closed; goes on by itself after trouble with Redis. */
    public Mono<Void> run() {
        return reports().then();
    }

    /** As {@link #run}, telling what was done. Demand is for reports: whoever asks for none keeps everything waiting. */
    public Flux<Report> reports() {
        Set<String> named = new LinkedHashSet<>(delayers.keySet());
        named.addAll(trimmers.keySet());
        Flux<String> names = Flux.fromIterable(named);
        return (everywhere == null ? names : names.concatWith(found()).distinct())
                .flatMap(this::kept, ALL)
                .filter(report -> report.moved() > 0 || report.removed() > 0)
                .doOnNext(report -> log.debug("stream \"{}\": {}", report.stream(), report));
    }

    private Flux<Report> kept(String stream) {
        Duration delay = said(delayers, stream, everywhere);
        Duration every = said(trimmers, stream, everywhere == null ? null : Trimmer.DEFAULT_EVERY);
        Flux<Report> moving = delay == null
                ? Flux.empty()
                : Flux.defer(() -> streams.delayer(stream, delay).moves()).map(moved -> new Report(stream, moved, 0));
        Flux<Report> trimming = every == null
                ? Flux.empty()
                : Flux.defer(() -> streams.trimmer(stream).every(every).reports())
                        .map(report -> new Report(stream, 0, report.removed()));
        return Flux.merge(
                again(moving, "repair notes of stream \"" + stream + "\" are not moved for now"),
                again(trimming, "stream \"" + stream + "\" is not trimmed for now"));
    }

    /** The names of all streams there are, again and again. */
    private Flux<String> found() {
        return again(
                        streams.names()
                                .onErrorResume(Delayer::isPassing, away -> Flux.empty())
                                .repeatWhen(looks -> looks.delayElements(LOOK, redis.worker())),
                        "new streams are not looked for now")
                .takeUntilOther(redis.closed());
    }

    private <T> Flux<T> again(Flux<T> work, String trouble) {
        return work.doOnError(error -> {
                    if (error instanceof MillraceException) {
                        log.error("{}: {}", trouble, error.getMessage());
                    } else {
                        log.error(trouble, error);
                    }
                })
                .retryWhen(Retry.fixedDelay(Long.MAX_VALUE, PAUSE).scheduler(redis.worker()));
    }

    private static @Nullable Duration said(Map<String, Duration> named, String stream, @Nullable Duration otherwise) {
        Duration own = named.get(stream);
        return own == null ? otherwise : own;
    }

    private static Map<String, Duration> with(Map<String, Duration> all, String stream, Duration time) {
        Map<String, Duration> more = new LinkedHashMap<>(all);
        more.put(stream, time);
        return more;
    }
}
