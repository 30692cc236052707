package io.millrace.queue;

import io.millrace.redis.Redis;

/** One partition of a queue, usually the only one: what runs scripts on its unit. */
final class Partition {

    private final Unit unit;
    private final Leases leases;
    private final Pulls pulls;
    private final Insight insight;
    private final DeadLetters deadLetters;
    private final DwellRecorder dwell;
    private final Lookout lookout;

    Partition(Redis redis, Unit unit, boolean several) {
        this.unit = unit;
        this.dwell = new DwellRecorder(redis, unit);
        this.leases = new Leases(redis, unit);
        this.pulls = new Pulls(redis, unit, leases, several, dwell);
        this.insight = new Insight(redis, unit);
        this.deadLetters = new DeadLetters(redis, unit);
        this.lookout = new Lookout(redis.worker());
    }

    int index() {
        return unit.partition();
    }

    Unit unit() {
        return unit;
    }

    Leases leases() {
        return leases;
    }

    Pulls pulls() {
        return pulls;
    }

    Insight insight() {
        return insight;
    }

    DeadLetters deadLetters() {
        return deadLetters;
    }

    DwellRecorder dwell() {
        return dwell;
    }

    /** Shared by all who read this partition here. */
    Lookout lookout() {
        return lookout;
    }
}
