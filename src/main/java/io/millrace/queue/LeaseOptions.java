package io.millrace.queue;

import java.time.Duration;
import java.util.Objects;

/** How messages are leased. Immutable. */
public final class LeaseOptions {

    /** 30 s. */
    public static final Duration DEFAULT_LEASE = Duration.ofSeconds(30);

    /** {@value}. */
    public static final int DEFAULT_MAX_ATTEMPTS = 20;

    /** {@value} messages. */
    public static final int DEFAULT_BATCH_SIZE = 100;

    /** 5 s. */
    public static final Duration DEFAULT_POLL_INTERVAL = Duration.ofSeconds(5);

    /** How many messages one round trip takes at most. */
    public static final int MAX_BATCH_SIZE = 256;

    private static final LeaseOptions DEFAULTS = builder().build();

    static final int MOST_ATTEMPTS = 1_000_000;

    private final Duration lease;
    private final int maxAttempts;
    private final int batchSize;
    private final Duration pollInterval;

    private LeaseOptions(Builder builder) {
        this.lease = builder.lease;
        this.maxAttempts = builder.maxAttempts;
        this.batchSize = builder.batchSize;
        this.pollInterval = builder.pollInterval;
    }

    /** Everything by default. */
    public static LeaseOptions defaults() {
        return DEFAULTS;
    }

    /** A builder with everything by default. */
    public static Builder builder() {
        return new Builder();
    }

    /** A builder with these values. */
    public Builder mutate() {
        return builder()
                .lease(lease)
                .maxAttempts(maxAttempts)
                .batchSize(batchSize)
                .pollInterval(pollInterval);
    }

    /** How long a message stays with whom it was handed to. */
    public Duration lease() {
        return lease;
    }

    /** How often a message is handed out before it becomes a dead letter; 0: for ever. */
    public int maxAttempts() {
        return maxAttempts;
    }

    /** How many messages one round trip takes at most. */
    public int batchSize() {
        return batchSize;
    }

    /** How long an idle reader waits at most before it looks by itself. */
    public Duration pollInterval() {
        return pollInterval;
    }

    /** Lease time and attempts as scripts name them. */
    String profile() {
        return rounded(lease.toMillis()) + "." + maxAttempts;
    }

    /** Up to two significant digits: there are few kinds of leases, however many are asked for. */
    private static long rounded(long ms) {
        long unit = 1;
        while (ms / unit >= 100) {
            unit *= 10;
        }
        return (ms + unit - 1) / unit * unit;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof LeaseOptions that
                && lease.equals(that.lease)
                && maxAttempts == that.maxAttempts
                && batchSize == that.batchSize
                && pollInterval.equals(that.pollInterval);
    }

    @Override
    public int hashCode() {
        return Objects.hash(lease, maxAttempts, batchSize, pollInterval);
    }

    @Override
    public String toString() {
        return "LeaseOptions[lease=" + lease + ", maxAttempts=" + maxAttempts + ", batchSize=" + batchSize
                + ", pollInterval=" + pollInterval + "]";
    }

    /** Collects options; each setter checks its own value. */
    public static final class Builder {

        private Duration lease = DEFAULT_LEASE;
        private int maxAttempts = DEFAULT_MAX_ATTEMPTS;
        private int batchSize = DEFAULT_BATCH_SIZE;
        private Duration pollInterval = DEFAULT_POLL_INTERVAL;

        private Builder() {}

        /**
         * How long a message stays with whom it was handed to. Defaults to 30 s. Longer delays the return of what a crash left behind;
         * shorter makes slow work run twice, unless it extends its lease.
         *
         * @param lease 100 ms to 12 h; rounded up to two significant digits: 1234 ms are 1.3 s
         */
        public Builder lease(Duration lease) {
            this.lease = Check.between("lease", lease, Duration.ofMillis(100), Duration.ofHours(12));
            return this;
        }

        /** How often a message is handed out before it becomes a dead letter. Defaults to {@value #DEFAULT_MAX_ATTEMPTS}; 0: for ever. */
        public Builder maxAttempts(int maxAttempts) {
            this.maxAttempts = Check.between("maxAttempts", maxAttempts, 0, MOST_ATTEMPTS);
            return this;
        }

        /** How many messages one round trip takes at most. Defaults to {@value #DEFAULT_BATCH_SIZE}; 1 to {@value #MAX_BATCH_SIZE}. */
        public Builder batchSize(int batchSize) {
            this.batchSize = Check.between("batchSize", batchSize, 1, MAX_BATCH_SIZE);
            return this;
        }

        /**
         * How long an idle reader waits at most before it looks by itself: the net under wake-ups that were lost. Defaults to 5 s.
         *
         * @param pollInterval 100 ms to 1 h
         */
        public Builder pollInterval(Duration pollInterval) {
            this.pollInterval =
                    Check.between("pollInterval", pollInterval, Duration.ofMillis(100), Duration.ofHours(1));
            return this;
        }

        /** The options. */
        public LeaseOptions build() {
            return new LeaseOptions(this);
        }
    }
}
