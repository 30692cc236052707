package io.millrace.drain;

import io.millrace.redis.Redis;
import java.time.Duration;
import java.util.List;
import reactor.core.publisher.Mono;

/**
 * Tells whether a stored representation of a resource is still the present one: a number for each URL that goes up with every change
 * and never comes back, shared by all processes. For caches of one's own behind {@link DrainBuilder#expireCache}:
 *
 * <pre>
 * mill.drain().caching().expireCache(event -&gt; index.raise(event.url()))…
 *
 * index.current(url).flatMap(number -&gt; fetch(url).flatMap(body -&gt; store(url, version, locale, number, body)))
 * </pre>
 *
 * Ask for the number <em>before</em> fetching, keep it with each variant (version, locale) that is stored, and take a variant for fresh
 * only while <em>its own</em> number is the current one. Then an answer that a change overtook is never taken for fresh, nor is an old
 * variant made fresh by another one's being fetched again.
 *
 * <p>Everything is cold; numbers arrive on Millrace's worker threads. Thread safe.
 */
public final class CacheIndex {

    /** For how long a number is kept after the last change: a year and a day. Keep representations for a year at the most. */
    public static final Duration KEPT = Duration.ofDays(366);

    private final Redis redis;

    /** For the facade. */
    public CacheIndex(Redis redis) {
        DrainScripts.load();
        this.redis = redis;
    }

    /**
     * A resource changed: what is stored of it is out of date.
     *
     * @return its new number
     */
    public Mono<Long> raise(String url) {
        return run(url, "raise");
    }

    /** The number of its present state; begun if there is none. */
    public Mono<Long> current(String url) {
        return run(url, "look");
    }

    private Mono<Long> run(String url, String what) {
        return Mono.defer(() -> redis.run(
                        DrainScripts.INDEX,
                        List.of(DrainScripts.bytes(redis.keys().unitText("cache", url, 0) + "index")),
                        DrainScripts.args(what, KEPT.toMillis())))
                .map(reply -> reply.number(1));
    }
}
