package io.millrace.queue;

import io.millrace.MillraceException;
import io.millrace.RedisRefusedException;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;

/** How a loop that reads a queue gets over errors: what passes is waited for, longer each time; the rest ends it. */
final class Troubles {

    private static final Logger log = LoggerFactory.getLogger(Troubles.class);

    /** What a server answers a user who may not. */
    private static final Set<String> DENIALS = Set.of("NOPERM", "NOAUTH", "WRONGPASS");

    private static final Duration FIRST_PAUSE = Duration.ofMillis(20);
    private static final Duration LONGEST_PAUSE = Duration.ofMillis(500);

    private final String queue;
    private final Scheduler scheduler;
    private int troubles; // since it last worked
    private boolean worked; // at least once

    Troubles(String queue, Scheduler scheduler) {
        this.queue = queue;
        this.scheduler = scheduler;
    }

    void over() {
        troubles = 0;
        worked = true;
    }

    /** Whether trying again may help. */
    boolean pass(Throwable error) {
        return error instanceof MillraceException failure && (failure.retryable() || isTakenAway(failure));
    }

    /** Ends when it is time to try again. */
    <T> Mono<T> pause(Throwable error) {
        troubles++;
        if (troubles == 1) {
            log.warn("queue \"{}\" cannot be read for now, trying again: {}", queue, error.getMessage());
        }
        long ms = Math.min(LONGEST_PAUSE.toMillis(), FIRST_PAUSE.toMillis() << Math.min(troubles, 10));
        long jittered = ms / 2 + ThreadLocalRandom.current().nextLong(ms / 2 + 1);
        return Mono.delay(Duration.ofMillis(jittered), scheduler).then(Mono.empty());
    }

    /** Whether it was allowed before: somebody edits the user's rights, and may do so again. */
    private boolean isTakenAway(MillraceException failure) {
        return worked && failure instanceof RedisRefusedException refused && DENIALS.contains(refused.code());
    }
}
