package io.millrace.queue;

import io.millrace.Event;
import io.millrace.MillraceException;
import io.millrace.redis.PubSub;
import io.millrace.redis.Redis;
import io.millrace.redis.WakeUp;
import java.time.Duration;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;

/**
 * Which queues there are and what they want, kept in Redis ({@link Registrations}) and cached here.
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

    /** How often somebody who was told of no change looks all the same. */
    private static final Duration LOOK = Duration.ofSeconds(10);

    /** For deliveries that were on their way when routing by what was registered before ended. */
    private static final Duration SETTLING = Duration.ofMillis(200);

    private static final Logger log = LoggerFactory.getLogger(Registry.class);

    private final Redis redis;
    private final Registrations stored;
    private @Nullable Mono<Routes> loading; // guarded by this
    private long changes; // guarded by this; how often what is cached became outdated
    private volatile @Nullable Routes routes; // null: to be read anew
    private volatile @Nullable Routes known; // those last read; null: they are known to be outdated
    private volatile long missedNanos; // when they could not be read anew; 0: they could
    private volatile PubSub.@Nullable Attachment announcements;
    private volatile boolean listening;

    Registry(Redis redis) {
        this.redis = redis;
        this.stored = new Registrations(redis, () -> outdated(true));
    }

    byte[] versionKey() {
        return stored.versionKey();
    }

    /** Answers how it is registered now. */
    Mono<Registration> register(String queue, String pattern, QueueOptions options) {
        return stored.put(queue, pattern, options)
                .then(Mono.defer(() -> partitions(queue)))
                .map(partitions -> new Registration(queue, pattern, options.admission(), partitions));
    }

    /** False: it was not registered. */
    Mono<Boolean> unregister(String queue) {
        return stored.remove(queue);
    }

    /** The queue is destroyed; it may have any number of partitions next time. */
    Mono<Void> forget(String queue) {
        return stored.forget(queue);
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
                    () -> redis.pubSub().attach(stored.channel(), false, signal -> wake.call()),
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
        return stored.load();
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

    private void followAnnouncements() {
        if (announcements == null) {
            synchronized (this) {
                if (announcements == null) {
                    announcements = redis.pubSub().attach(stored.channel(), false, this::announced);
                }
            }
        }
    }

    void announced(PubSub.Signal signal) {
        listening = !(signal instanceof PubSub.Signal.Gap || signal instanceof PubSub.Signal.Failed);
        outdated(signal instanceof PubSub.Signal.Message);
    }
}
