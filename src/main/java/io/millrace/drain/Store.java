package io.millrace.drain;

import io.millrace.OverloadedException;
import io.millrace.drain.Intake.Stored;
import io.millrace.redis.GroupCommit;
import io.millrace.redis.GroupCommit.Outcome;
import io.millrace.redis.Reply;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import reactor.core.publisher.Mono;

/** Makes batches safe; concurrent requests share round trips. */
final class Store {

    /** One call carries so many small batches, or a megabyte. */
    private static final int MAX_BATCH = 64;

    private static final int BYTES_A_UNIT = 1 << 14;
    private static final int MAX_IN_FLIGHT = 4;
    private static final int MAX_WAITING = 100_000;
    private static final long MAINTENANCE_NANOS = Duration.ofSeconds(1).toNanos();

    /** For how long a drain that was full is taken for full without asking. */
    private static final long FULL_NANOS = Duration.ofMillis(200).toNanos();

    private enum Answer {
        STORED,
        KNOWN,
        FULL
    }

    private final DrainUnit unit;
    private final DrainSettings settings;
    private final GroupCommit<Incoming, Stored> commits;
    private final AtomicLong maintained = new AtomicLong(System.nanoTime() - MAINTENANCE_NANOS);
    private final AtomicLong fullSince = new AtomicLong(System.nanoTime() - FULL_NANOS);

    Store(DrainUnit unit, DrainSettings settings) {
        this.unit = unit;
        this.settings = settings;
        this.commits = GroupCommit.weighed(
                MAX_BATCH, MAX_IN_FLIGHT, MAX_WAITING, batch -> 1 + batch.body().length / BYTES_A_UNIT, this::storeAll);
    }

    Mono<Stored> store(Incoming batch) {
        return commits.submit(batch);
    }

    /** Whether the drain was full a moment ago. */
    boolean isFull() {
        return System.nanoTime() - fullSince.get() < FULL_NANOS;
    }

    private Mono<List<Outcome<Stored>>> storeAll(List<Incoming> batches) {
        List<byte[]> args = new ArrayList<>(3 + 2 * batches.size());
        args.add(DrainScripts.bytes(
                maintenanceIsDue() ? settings.deduplicationWindow().toMillis() : 0));
        args.add(DrainScripts.bytes(settings.deduplicated()));
        args.add(DrainScripts.bytes(settings.maxStored()));
        for (Incoming batch : batches) {
            args.add(batch.key());
            args.add(batch.body());
        }
        return unit.redis().run(DrainScripts.STORE, unit.keys(), args).map(this::outcomes);
    }

    private List<Outcome<Stored>> outcomes(Reply reply) {
        List<Outcome<Stored>> outcomes = new ArrayList<>(reply.size() - 1);
        for (int i = 1; i < reply.size(); i++) {
            outcomes.add(
                    switch (reply.word(i, Answer.class)) {
                        case STORED -> new Outcome.Done<>(Stored.NEW);
                        case KNOWN -> new Outcome.Done<>(Stored.KNOWN);
                        case FULL -> new Outcome.Failed<>(full());
                    });
        }
        return outcomes;
    }

    private OverloadedException full() {
        fullSince.set(System.nanoTime());
        return overloaded();
    }

    OverloadedException overloaded() {
        return new OverloadedException("drain \"" + unit.name() + "\" holds " + settings.maxStored()
                + " batches that are not processed yet; process faster, or raise maxStored");
    }

    private boolean maintenanceIsDue() {
        long now = System.nanoTime();
        long last = maintained.get();
        return now - last >= MAINTENANCE_NANOS && maintained.compareAndSet(last, now);
    }
}
