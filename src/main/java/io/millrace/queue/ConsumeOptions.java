package io.millrace.queue;

import java.time.Duration;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;

/** How {@link FacetQueue#consume} works. Immutable. */
public final class ConsumeOptions {

    /** {@value} messages at a time. */
    public static final int DEFAULT_CONCURRENCY = 16;

    /** 1 s. */
    public static final Duration DEFAULT_RETRY_DELAY = Duration.ofSeconds(1);

    /** 5 min. */
    public static final Duration DEFAULT_MAX_RETRY_DELAY = Duration.ofMinutes(5);

    private final LeaseOptions lease;
    private final int concurrency;
    private final int prefetch;
    private final Duration retryDelay;
    private final Duration maxRetryDelay;
    private final boolean extend;
    private final @Nullable Duration handlerTimeout;
    private final Scheduler scheduler;
    private final Publisher<?> until;

    private ConsumeOptions(Builder builder) {
        this.lease = builder.lease;
        this.concurrency = builder.concurrency;
        this.prefetch = builder.prefetch;
        this.retryDelay = builder.retryDelay;
        this.maxRetryDelay = builder.maxRetryDelay;
        this.extend = builder.extend;
        this.handlerTimeout = builder.handlerTimeout;
        this.scheduler = builder.scheduler;
        this.until = builder.until;
    }

    /** Everything by default. */
    public static ConsumeOptions defaults() {
        return builder().build();
    }

    /** A builder with everything by default. */
    public static Builder builder() {
        return new Builder();
    }

    /** A builder with these values. */
    public Builder mutate() {
        Builder builder = builder()
                .lease(lease)
                .concurrency(concurrency)
                .prefetch(prefetch)
                .retryDelay(retryDelay, maxRetryDelay)
                .extendLeases(extend)
                .scheduler(scheduler)
                .until(until);
        return handlerTimeout == null ? builder : builder.handlerTimeout(handlerTimeout);
    }

    /** How messages are leased. */
    public LeaseOptions lease() {
        return lease;
    }

    /** How many messages are handled at a time. */
    public int concurrency() {
        return concurrency;
    }

    /** How many messages, or batches, are leased beyond those that are handled. */
    public int prefetch() {
        return prefetch;
    }

    /** Whether leases are extended while their handler runs. */
    public boolean extendLeases() {
        return extend;
    }

    /** How long a handler may take; {@code null}: as long as it likes. */
    public @Nullable Duration handlerTimeout() {
        return handlerTimeout;
    }

    /** Where handlers are called. */
    public Scheduler scheduler() {
        return scheduler;
    }

    /** Ends consuming: what runs is finished, nothing more is taken. */
    public Publisher<?> until() {
        return until;
    }

    /**
     * How long a message is held back after a failed attempt: {@code retryDelay · 2^(attempt-1)}, at most {@code maxRetryDelay}, of
     * which a random part of up to a fifth is taken off, so that what failed together does not come back together.
     *
     * @param attempt 1 or more
     * @param random 0 to 1
     */
    public Duration delayAfter(int attempt, double random) {
        double ms = Math.min(
                retryDelay.toMillis() * Math.pow(2, Math.min(attempt - 1, 40)), (double) maxRetryDelay.toMillis());
        return Duration.ofMillis((long) (ms * (1 - 0.2 * random)));
    }

    /** Collects options; each setter checks its own value. */
    public static final class Builder {

        private LeaseOptions lease = LeaseOptions.defaults();
        private int concurrency = DEFAULT_CONCURRENCY;
        private int prefetch;
        private Duration retryDelay = DEFAULT_RETRY_DELAY;
        private Duration maxRetryDelay = DEFAULT_MAX_RETRY_DELAY;
        private boolean extend = true;
        private @Nullable Duration handlerTimeout;
        private Scheduler scheduler = Schedulers.boundedElastic();
        private Publisher<?> until = Mono.never();

        private Builder() {}

        /** How messages are leased. Defaults to {@link LeaseOptions#defaults()}. */
        public Builder lease(LeaseOptions lease) {
            this.lease = lease;
            return this;
        }

        /**
         * How many messages, or batches, are handled at a time, and, but for {@link #prefetch}, leased. Defaults to
         * {@value #DEFAULT_CONCURRENCY}; 1 to 10,000.
         */
        public Builder concurrency(int concurrency) {
            this.concurrency = Check.between("concurrency", concurrency, 1, 10_000);
            return this;
        }

        /**
         * How many messages, or batches, are leased beyond those that are handled, so that handlers need not wait for the next: two
         * batches let the server work while the client does. What waits is in flight, so no idle consumer can have it; its lease
         * is extended with the others, and when that fails it is not handled here. A cancel, and {@link #until}, give it back as
         * if it had never been taken. Defaults to 0; up to 10,000.
         */
        public Builder prefetch(int prefetch) {
            this.prefetch = Check.between("prefetch", prefetch, 0, 10_000);
            return this;
        }

        /**
         * How long a message is held back after a failed attempt: doubled each time. Defaults to 1 s up to 5 min.
         *
         * @param first 0 to 1 h; 0 hands it out again at once
         * @param most {@code first} to 24 h
         */
        public Builder retryDelay(Duration first, Duration most) {
            this.retryDelay = Check.between("retryDelay", first, Duration.ZERO, Duration.ofHours(1));
            this.maxRetryDelay = Check.between("maxRetryDelay", most, first, Duration.ofHours(24));
            return this;
        }

        /** Whether leases are extended, every third of their time, while their handler runs. Defaults to true. */
        public Builder extendLeases(boolean extend) {
            this.extend = extend;
            return this;
        }

        /** How long a handler may take before it counts as failed. Without it a handler that hangs holds its message for ever. */
        public Builder handlerTimeout(Duration timeout) {
            this.handlerTimeout = Check.between("handlerTimeout", timeout, Duration.ofMillis(1), Duration.ofDays(7));
            return this;
        }

        /**
         * Where handlers are called. Defaults to {@link Schedulers#boundedElastic()}, where they may block; for handlers that never
         * do, {@link Schedulers#immediate()} saves a thread switch a message.
         */
        public Builder scheduler(Scheduler scheduler) {
            this.scheduler = scheduler;
            return this;
        }

        /**
         * Ends consuming when it emits or completes: what runs, or is on its way here, is finished, nothing more is taken; what was
         * leased ahead is given back. Nothing is left leased then. Defaults to never.
         */
        public Builder until(Publisher<?> until) {
            this.until = until;
            return this;
        }

        /** The options. */
        public ConsumeOptions build() {
            return new ConsumeOptions(this);
        }
    }
}
