package io.millrace.redis;

import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;

/**
 * What time it is on the server, followed from here: its TIME every few seconds, this machine's in between. Good to half a round
 * trip. For display, such as ages; every decision takes the time inside a script.
 */
public final class ServerClock {

    static final Duration INTERVAL = Duration.ofSeconds(5);

    private static final Logger log = LoggerFactory.getLogger(ServerClock.class);

    private volatile long offsetMs;

    ServerClock() {}

    /** Epoch milliseconds. */
    public long millis() {
        return System.currentTimeMillis() + offsetMs;
    }

    /** How far the server is ahead of this machine, in ms; negative if behind. */
    public long offsetMs() {
        return offsetMs;
    }

    /** Asks again and again; owned by {@link Redis}, which disposes of it. */
    Disposable follow(Mono<Object> time, Scheduler scheduler) {
        return Flux.interval(Duration.ofMillis(10), INTERVAL, scheduler)
                .onBackpressureDrop()
                .concatMap(tick -> measured(time).onErrorResume(away -> Mono.empty()), 1)
                .subscribe(offset -> offsetMs = offset, error -> log.error("the clock stopped", error));
    }

    private static Mono<Long> measured(Mono<Object> time) {
        return Mono.defer(() -> {
            long before = System.nanoTime();
            return time.map(answer -> {
                long halfTripMs = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - before) / 2;
                Reply reply = Reply.of(answer);
                return reply.number(0) * 1000 + reply.number(1) / 1000 + halfTripMs - System.currentTimeMillis();
            });
        });
    }
}
