package io.millrace.stream;

import io.millrace.MillraceException;
import io.millrace.redis.LuaScript;
import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.time.Duration;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Moves repair notes to their stream when they are due. Run one or several: a note is moved once, whole or not at all. A record that
 * is noted again and again is moved once a delay, counted from its first note; after its last note it is moved once more. With {@link
 * Streams#rubyKeys keys of the Ruby library} it moves what that has delayed as well.
 */
public final class Delayer {

    private static final Logger log = LoggerFactory.getLogger(Delayer.class);

    private static final int AT_ONCE = 500;
    private static final Duration POLL = Duration.ofSeconds(1);
    private static final Duration PAUSE = Duration.ofMillis(200);

    private final Redis redis;
    private final Layout layout;
    private final Duration delay;

    Delayer(Redis redis, Layout layout, Duration delay) {
        if (delay.isNegative() || delay.compareTo(Duration.ofDays(365)) > 0) {
            throw new IllegalArgumentException("a delay must be 0 to 365 days, was " + delay);
        }
        this.redis = redis;
        this.layout = layout;
        this.delay = delay;
    }

    /** Moves what is due now; how many notes that were. */
    public Mono<Long> runOnce() {
        return layout.shards()
                .flatMapIterable(shards -> shards)
                .concatMap(keys -> pass(keys).repeat().takeUntil(moved -> moved.count() < AT_ONCE))
                .reduce(0L, (sum, moved) -> sum + moved.count());
    }

    /** Moves notes as they become due, until cancelled; goes on by itself after trouble with Redis. */
    public Mono<Void> run() {
        return moves().then();
    }

    /** As {@link #run}, telling how many notes each look moved, often none. Demand is for looks. */
    public Flux<Long> moves() {
        return layout.shards()
                .flatMap(shards -> Flux.fromIterable(shards)
                        .flatMap(this::passOrWait, shards.size())
                        .reduce(Moved::plus))
                .onErrorResume(Delayer::isPassing, this::away)
                .flatMapMany(moved ->
                        Flux.just(moved.count()).concatWith(pauseAfter(moved).then(Mono.empty())))
                .repeat()
                .takeUntilOther(redis.closed());
    }

    /** One shard that is away does not keep the others from going on. */
    private Mono<Moved> passOrWait(StreamKeys keys) {
        return pass(keys).onErrorResume(Delayer::isPassing, this::away);
    }

    private Mono<Moved> away(Throwable error) {
        log.warn(
                "repair notes of stream \"{}\" cannot be moved for now, trying again: {}",
                layout.stream(),
                error.getMessage());
        return Mono.just(new Moved(0, PAUSE.toMillis()));
    }

    private Mono<Moved> pass(StreamKeys keys) {
        Mono<Moved> own = moved(StreamScripts.DUE, List.of(keys.logKey(), keys.unitKey()));
        return keys.ruby()
                ? own.zipWith(moved(StreamScripts.RUBY_DUE, List.of(keys.logKey(), keys.delayed())), Moved::plus)
                : own;
    }

    private Mono<Moved> moved(LuaScript<Reply> script, List<byte[]> keys) {
        return redis.run(script, keys, List.of(StreamKeys.bytes(delay.toMillis()), StreamKeys.bytes(AT_ONCE)))
                .map(reply -> new Moved(reply.number(1), reply.number(2)));
    }

    private Mono<Void> pauseAfter(Moved moved) {
        if (moved.count() >= AT_ONCE) {
            return Mono.empty();
        }
        long ms = moved.nextMs() < 0 ? POLL.toMillis() : Math.min(POLL.toMillis(), moved.nextMs() + 1);
        return Mono.delay(Duration.ofMillis(ms), redis.worker()).then();
    }

    static boolean isPassing(Throwable error) {
        return error instanceof MillraceException failure && failure.retryable();
    }

    /** @param nextMs ms until the next one is due; -1 if there is none */
    private record Moved(long count, long nextMs) {

        Moved plus(Moved other) {
            long next = nextMs < 0 || (other.nextMs >= 0 && other.nextMs < nextMs) ? other.nextMs : nextMs;
            return new Moved(count + other.count, next);
        }
    }
}
