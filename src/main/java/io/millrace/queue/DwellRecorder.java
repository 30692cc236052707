package io.millrace.queue;

import io.millrace.redis.GroupCommit;
import io.millrace.redis.Redis;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;

/**
 * Counts how long the messages of one partition waited, in powers of two of milliseconds, and adds what was counted to the figures of
 * all processes: at once, then within a second, and when Millrace is shut down. A process that is killed takes its last second along.
 */
final class DwellRecorder {

    private static final Logger log = LoggerFactory.getLogger(DwellRecorder.class);

    private static final long PERIOD_NANOS = Duration.ofSeconds(1).toNanos();
    private static final int MANY = 1_000;
    private static final long KEPT_MS = Duration.ofDays(7).toMillis();

    private final Redis redis;
    private final Unit unit;
    private final AtomicLongArray counts = new AtomicLongArray(DwellTimes.BUCKETS);
    private final AtomicLong sum = new AtomicLong();
    private final AtomicBoolean toCome = new AtomicBoolean(); // an addition
    private volatile long added = System.nanoTime() - PERIOD_NANOS;

    private final GroupCommit<Boolean, Boolean> additions;

    DwellRecorder(Redis redis, Unit unit) {
        this.redis = redis;
        this.unit = unit;
        this.additions = new GroupCommit<>(MANY, 1, MANY, this::additionInTime);
    }

    /** Counts messages that were handed out, and has that added to the figures of all if it is due; nobody waits for it. */
    void handedOut(List<Message> messages) {
        if (messages.isEmpty()) {
            return;
        }
        long now = redis.clock().millis();
        long all = 0;
        for (Message message : messages) {
            long ms = Math.max(0, now - message.deliveredAt().toEpochMilli());
            counts.incrementAndGet(DwellTimes.bucket(ms));
            all += ms;
        }
        sum.addAndGet(all);
        if (toCome.compareAndSet(false, true)) {
            additions.post(
                    true, error -> log.debug("how long messages waited was not counted: {}", error.getMessage()));
        }
    }

    /** Adds what was counted since, at once; figures are not worth a failure. */
    Mono<Void> add() {
        return Mono.defer(this::addition).onErrorComplete();
    }

    /** When a second has passed since the last one. */
    private Mono<List<GroupCommit.Outcome<Boolean>>> additionInTime(List<Boolean> asked) {
        long rest = PERIOD_NANOS - (System.nanoTime() - added);
        Mono<Void> now = Mono.defer(this::addition);
        return (rest <= 0
                        ? now
                        : Mono.delay(Duration.ofNanos(rest), redis.worker()).then(now))
                .then(Mono.just(Collections.nCopies(asked.size(), new GroupCommit.Outcome.Done<>(true))));
    }

    private Mono<Void> addition() {
        added = System.nanoTime();
        toCome.set(false); // what is counted from here on may come too late for this one
        List<byte[]> args = Insight.args(sum.getAndSet(0), KEPT_MS);
        for (int i = 0; i < DwellTimes.BUCKETS; i++) {
            long count = counts.getAndSet(i, 0);
            if (count > 0) {
                args.addAll(Insight.args(i, count));
            }
        }
        return args.size() == 2
                ? Mono.empty()
                : redis.run(QueueScripts.DWELL, List.of(unit.prefix()), args).then();
    }

    /** What all processes have counted. */
    Mono<DwellTimes> times() {
        return redis.call("HGETALL", unit.part("dwell")).map(DwellTimes::read);
    }
}
