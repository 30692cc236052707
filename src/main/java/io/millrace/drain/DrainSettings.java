package io.millrace.drain;

import java.time.Duration;

/** Bounds and times of a drain. Immutable; {@link #mutate()} makes a changed copy. */
public final class DrainSettings {

    /** {@value}: what the protocol allows. */
    public static final int DEFAULT_MAX_EVENTS = 10_000;

    /** {@value} bytes. */
    public static final int DEFAULT_MAX_BODY_BYTES = 1 << 20;

    /** {@value} requests. */
    public static final int DEFAULT_MAX_IN_FLIGHT = 1_024;

    /** {@value} bytes. */
    public static final long DEFAULT_MAX_BUFFERED_BYTES = 64L << 20;

    /** 10 s. */
    public static final Duration DEFAULT_BODY_TIMEOUT = Duration.ofSeconds(10);

    /** 1 h. */
    public static final Duration DEFAULT_MAX_AHEAD = Duration.ofHours(1);

    /** {@value} batches. */
    public static final int DEFAULT_MAX_STORED = 50_000;

    /** 15 min. */
    public static final Duration DEFAULT_DEDUPLICATION_WINDOW = Duration.ofMinutes(15);

    /** {@value} batches. */
    public static final int DEFAULT_DEDUPLICATED = 500_000;

    /** 24 h. */
    public static final Duration DEFAULT_FILTER_MEMORY = Duration.ofHours(24);

    /** 30 s. */
    public static final Duration DEFAULT_LEASE = Duration.ofSeconds(30);

    /** 5 min. */
    public static final Duration DEFAULT_MAX_RETRY_DELAY = Duration.ofMinutes(5);

    /** {@value} batches. */
    public static final int DEFAULT_CONCURRENCY = 8;

    private static final DrainSettings DEFAULTS = builder().build();

    private final int maxEvents;
    private final int maxBodyBytes;
    private final int maxInFlight;
    private final long maxBufferedBytes;
    private final Duration bodyTimeout;
    private final Duration maxAhead;
    private final int maxStored;
    private final Duration deduplicationWindow;
    private final int deduplicated;
    private final Duration filterMemory;
    private final Duration lease;
    private final Duration maxRetryDelay;
    private final int concurrency;

    private DrainSettings(Builder builder) {
        this.maxEvents = builder.maxEvents;
        this.maxBodyBytes = builder.maxBodyBytes;
        this.maxInFlight = builder.maxInFlight;
        this.maxBufferedBytes = builder.maxBufferedBytes;
        this.bodyTimeout = builder.bodyTimeout;
        this.maxAhead = builder.maxAhead;
        this.maxStored = builder.maxStored;
        this.deduplicationWindow = builder.deduplicationWindow;
        this.deduplicated = builder.deduplicated;
        this.filterMemory = builder.filterMemory;
        this.lease = builder.lease;
        this.maxRetryDelay = builder.maxRetryDelay;
        this.concurrency = builder.concurrency;
    }

    /** Everything by default. */
    public static DrainSettings defaults() {
        return DEFAULTS;
    }

    /** A builder with everything by default. */
    public static Builder builder() {
        return new Builder();
    }

    /** A builder with these values. */
    public Builder mutate() {
        return builder()
                .maxEvents(maxEvents)
                .maxBodyBytes(maxBodyBytes)
                .maxInFlight(maxInFlight)
                .maxBufferedBytes(maxBufferedBytes)
                .bodyTimeout(bodyTimeout)
                .maxAhead(maxAhead)
                .maxStored(maxStored)
                .deduplicate(deduplicationWindow, deduplicated)
                .filterMemory(filterMemory)
                .lease(lease)
                .maxRetryDelay(maxRetryDelay)
                .concurrency(concurrency);
    }

    /** How many events a batch may have. */
    public int maxEvents() {
        return maxEvents;
    }

    /** How large a body may be. */
    public int maxBodyBytes() {
        return maxBodyBytes;
    }

    /** How many requests may be under way. */
    public int maxInFlight() {
        return maxInFlight;
    }

    /** How many bytes of bodies may be held for requests under way. */
    public long maxBufferedBytes() {
        return maxBufferedBytes;
    }

    /** How long a body may take to arrive. */
    public Duration bodyTimeout() {
        return bodyTimeout;
    }

    /** How far an event's time may be ahead of this machine's. */
    public Duration maxAhead() {
        return maxAhead;
    }

    /** How many batches may be stored. */
    public int maxStored() {
        return maxStored;
    }

    /** For how long at least a batch is known as one that arrived already. */
    public Duration deduplicationWindow() {
        return deduplicationWindow;
    }

    /** How many batches are known at least, before the window is cut short. */
    public int deduplicated() {
        return deduplicated;
    }

    /** For how long at least the filter remembers an entity. */
    public Duration filterMemory() {
        return filterMemory;
    }

    /** How long a batch stays with the process that took it. */
    public Duration lease() {
        return lease;
    }

    /** How long a batch that keeps failing waits at most. */
    public Duration maxRetryDelay() {
        return maxRetryDelay;
    }

    /** How many batches a process works on at a time. */
    public int concurrency() {
        return concurrency;
    }

    /** Collects settings; each setter checks its own value. */
    public static final class Builder {

        private int maxEvents = DEFAULT_MAX_EVENTS;
        private int maxBodyBytes = DEFAULT_MAX_BODY_BYTES;
        private int maxInFlight = DEFAULT_MAX_IN_FLIGHT;
        private long maxBufferedBytes = DEFAULT_MAX_BUFFERED_BYTES;
        private Duration bodyTimeout = DEFAULT_BODY_TIMEOUT;
        private Duration maxAhead = DEFAULT_MAX_AHEAD;
        private int maxStored = DEFAULT_MAX_STORED;
        private Duration deduplicationWindow = DEFAULT_DEDUPLICATION_WINDOW;
        private int deduplicated = DEFAULT_DEDUPLICATED;
        private Duration filterMemory = DEFAULT_FILTER_MEMORY;
        private Duration lease = DEFAULT_LEASE;
        private Duration maxRetryDelay = DEFAULT_MAX_RETRY_DELAY;
        private int concurrency = DEFAULT_CONCURRENCY;

        private Builder() {}

        /** How many events a batch may have; more get 400. Defaults to {@value #DEFAULT_MAX_EVENTS}; 1 to 100,000. */
        public Builder maxEvents(int maxEvents) {
            this.maxEvents = (int) between("maxEvents", maxEvents, 1, 100_000);
            return this;
        }

        /** How large a body may be; larger ones get 413. Defaults to 1 MiB; 1 KiB to 64 MiB. */
        public Builder maxBodyBytes(int maxBodyBytes) {
            this.maxBodyBytes = (int) between("maxBodyBytes", maxBodyBytes, 1 << 10, 64 << 20);
            return this;
        }

        /** How many requests may be under way; more get 503. Defaults to {@value #DEFAULT_MAX_IN_FLIGHT}; 1 to 100,000. */
        public Builder maxInFlight(int maxInFlight) {
            this.maxInFlight = (int) between("maxInFlight", maxInFlight, 1, 100_000);
            return this;
        }

        /**
         * How many bytes of bodies may be held for requests under way; those beyond get 503. Defaults to 64 MiB; 64 KiB to 16 GiB. One
         * body is held whatever its size.
         */
        public Builder maxBufferedBytes(long maxBufferedBytes) {
            this.maxBufferedBytes = between("maxBufferedBytes", maxBufferedBytes, 64 << 10, 16L << 30);
            return this;
        }

        /** How long a body may take to arrive; slower ones get 408. Defaults to 10 s; 100 ms to 5 min. */
        public Builder bodyTimeout(Duration bodyTimeout) {
            this.bodyTimeout = between("bodyTimeout", bodyTimeout, Duration.ofMillis(100), Duration.ofMinutes(5));
            return this;
        }

        /**
         * How far an event's time may be ahead of this machine's; a batch with one beyond gets 400, since nothing older would ever pass
         * the filter again. Defaults to 1 h; 1 s to 10,000 days.
         */
        public Builder maxAhead(Duration maxAhead) {
            this.maxAhead = between("maxAhead", maxAhead, Duration.ofSeconds(1), Duration.ofDays(10_000));
            return this;
        }

        /** How many batches may be stored; while there are as many, new ones get 503. Defaults to 50,000; 1 to 10,000,000. */
        public Builder maxStored(int maxStored) {
            this.maxStored = (int) between("maxStored", maxStored, 1, 10_000_000);
            return this;
        }

        /**
         * For how long at least, and of how many batches at most, it is known that they arrived already.
         *
         * @param window defaults to 15 min; 1 s to 24 h. Keep it above 10 min with signed webhooks: replays are accepted for so long
         * @param atMost defaults to 500,000; 100 to 10,000,000. About 60 bytes each, twice; when there are as many the window ends early
         */
        public Builder deduplicate(Duration window, int atMost) {
            this.deduplicationWindow =
                    between("deduplication window", window, Duration.ofSeconds(1), Duration.ofHours(24));
            this.deduplicated = (int) between("deduplicated batches", atMost, 100, 10_000_000);
            return this;
        }

        /** For how long at least the filter remembers an entity, at most twice that. Defaults to 24 h; 100 ms to 90 days. */
        public Builder filterMemory(Duration filterMemory) {
            this.filterMemory = between("filterMemory", filterMemory, Duration.ofMillis(100), Duration.ofDays(90));
            return this;
        }

        /**
         * How long a batch stays with the process that took it; extended while it works. Defaults to 30 s; 100 ms to 1 h. What a crash
         * left behind is processed after that time.
         */
        public Builder lease(Duration lease) {
            this.lease = between("lease", lease, Duration.ofMillis(100), Duration.ofHours(1));
            return this;
        }

        /** How long a batch that keeps failing waits at most before it is tried again. Defaults to 5 min; 10 ms to 1 day. */
        public Builder maxRetryDelay(Duration maxRetryDelay) {
            this.maxRetryDelay = between("maxRetryDelay", maxRetryDelay, Duration.ofMillis(10), Duration.ofDays(1));
            return this;
        }

        /** How many batches a process works on at a time; with 1 they come in their order. Defaults to 8; 1 to 1,024. */
        public Builder concurrency(int concurrency) {
            this.concurrency = (int) between("concurrency", concurrency, 1, 1_024);
            return this;
        }

        /** The settings. */
        public DrainSettings build() {
            return new DrainSettings(this);
        }

        private static long between(String name, long value, long least, long most) {
            if (value < least || value > most) {
                throw new IllegalArgumentException(name + " must be " + least + " to " + most + ", was " + value);
            }
            return value;
        }

        private static Duration between(String name, Duration value, Duration least, Duration most) {
            if (value.compareTo(least) < 0 || value.compareTo(most) > 0) {
                throw new IllegalArgumentException(name + " must be " + least + " to " + most + ", was " + value);
            }
            return value;
        }
    }
}
