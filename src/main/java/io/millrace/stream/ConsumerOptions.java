package io.millrace.stream;

import io.millrace.MalformedEventException;
import io.millrace.lock.Lock;
import java.time.Duration;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;

/** How a {@link StreamConsumer} works. Immutable. */
public final class ConsumerOptions {

    /** {@value} entries. */
    public static final int DEFAULT_BATCH_SIZE = 1_000;

    /** {@value} entries. */
    public static final int MAX_BATCH_SIZE = 10_000;

    /** {@value} attempts. */
    public static final int DEFAULT_ATTEMPTS = 8;

    /** 200 ms. */
    public static final Duration DEFAULT_RETRY_DELAY = Duration.ofMillis(200);

    /** 30 s. */
    public static final Duration DEFAULT_MAX_RETRY_DELAY = Duration.ofSeconds(30);

    /** 10 s. */
    public static final Duration DEFAULT_DRAIN = Duration.ofSeconds(10);

    private final Builder values;

    private ConsumerOptions(Builder values) {
        this.values = values;
    }

    /** Everything by default. */
    public static ConsumerOptions defaults() {
        return builder().build();
    }

    /** A builder with everything by default. */
    public static Builder builder() {
        return new Builder();
    }

    /** A builder with these values. */
    public Builder mutate() {
        return new Builder(values);
    }

    /** How many entries a batch has at most. */
    public int batchSize() {
        return values.batchSize;
    }

    /** How many handlers run at a time. */
    public int concurrency() {
        return values.concurrency;
    }

    /** Entries of one key are handled one after the other. */
    public Function<? super StreamEntry, ?> key() {
        return values.key;
    }

    /** How long the active instance's lease is. */
    public Duration lease() {
        return values.lease;
    }

    /** Where handlers are called. */
    public Scheduler scheduler() {
        return values.scheduler;
    }

    /** How long a handler may take; {@code null}: as long as it likes. */
    public @Nullable Duration handlerTimeout() {
        return values.handlerTimeout;
    }

    /** Ends consuming. */
    public Publisher<?> until() {
        return values.until;
    }

    /** How long what runs may go on after {@link #until}. */
    public Duration drain() {
        return values.drain;
    }

    /** Where a consumer begins that is not registered yet. */
    public EntryId beginAfter() {
        return values.beginAfter;
    }

    /** Told about what is missing. */
    public Function<? super Gap, ? extends Publisher<?>> onGap() {
        return values.onGap;
    }

    /** Whether another attempt is made after this many, before the batch is divided. */
    boolean mayRetry(int attempts, Throwable error) {
        return values.transientErrors.test(error)
                || (attempts < values.attempts && !(error instanceof MalformedEventException));
    }

    /** The pause after an attempt, of which a random fifth is taken off. */
    Duration delayAfter(int attempt, double random) {
        double ms = Math.min(values.retryDelay.toMillis() * Math.pow(2, Math.min(attempt - 1, 40)), (double)
                values.maxRetryDelay.toMillis());
        return Duration.ofMillis((long) (ms * (1 - 0.2 * random)));
    }

    /** Collects options; each setter checks its own value. */
    public static final class Builder {

        private int batchSize = DEFAULT_BATCH_SIZE;
        private int concurrency = 1;
        private Function<? super StreamEntry, ?> key = StreamEntry::key;
        private int attempts = DEFAULT_ATTEMPTS;
        private Duration retryDelay = DEFAULT_RETRY_DELAY;
        private Duration maxRetryDelay = DEFAULT_MAX_RETRY_DELAY;
        private Predicate<? super Throwable> transientErrors = error -> false;
        private Duration lease = Lock.DEFAULT_LEASE;
        private Scheduler scheduler = Schedulers.boundedElastic();
        private @Nullable Duration handlerTimeout;
        private Publisher<?> until = Mono.never();
        private Duration drain = DEFAULT_DRAIN;
        private EntryId beginAfter = EntryId.ZERO;
        private Function<? super Gap, ? extends Publisher<?>> onGap = gap -> Mono.empty();

        private Builder() {}

        private Builder(Builder other) {
            this.batchSize = other.batchSize;
            this.concurrency = other.concurrency;
            this.key = other.key;
            this.attempts = other.attempts;
            this.retryDelay = other.retryDelay;
            this.maxRetryDelay = other.maxRetryDelay;
            this.transientErrors = other.transientErrors;
            this.lease = other.lease;
            this.scheduler = other.scheduler;
            this.handlerTimeout = other.handlerTimeout;
            this.until = other.until;
            this.drain = other.drain;
            this.beginAfter = other.beginAfter;
            this.onGap = other.onGap;
        }

        /** How many entries a batch has at most. Defaults to {@value #DEFAULT_BATCH_SIZE}; 1 to {@value #MAX_BATCH_SIZE}. */
        public Builder batchSize(int size) {
            this.batchSize = Check.between("batchSize", size, 1, MAX_BATCH_SIZE);
            return this;
        }

        /**
         * How many handlers run at a time, each with its own part of a batch. Who is done with it goes on with its part of the next
         * batch; a third one is read when all are done with the first. Defaults to 1; 1 to 1,000.
         */
        public Builder concurrency(int handlers) {
            this.concurrency = Check.between("concurrency", handlers, 1, 1_000);
            return this;
        }

        /** Entries of one key are handled one after the other, in order. Defaults to {@link StreamEntry#key()}. */
        public Builder keyedBy(Function<? super StreamEntry, ?> newKey) {
            this.key = newKey;
            return this;
        }

        /**
         * How often a batch is tried as a whole before it is divided to find the entry that fails. Defaults to {@value
         * #DEFAULT_ATTEMPTS}; 1 to 1,000.
         */
        public Builder attempts(int most) {
            this.attempts = Check.between("attempts", most, 1, 1_000);
            return this;
        }

        /**
         * The pause before another attempt, doubled each time. Defaults to 200 ms up to 30 s.
         *
         * @param first 0 to 1 h
         * @param most {@code first} to 24 h
         */
        public Builder retryDelay(Duration first, Duration most) {
            this.retryDelay = Check.between("retryDelay", first, Duration.ZERO, Duration.ofHours(1));
            this.maxRetryDelay = Check.between("maxRetryDelay", most, first, Duration.ofHours(24));
            return this;
        }

        /**
         * Which failures say nothing about the entries, such as that the secondary store is away: those are retried for as long as they
         * last. Defaults to none, so that an outage longer than all attempts makes dead letters of what was tried.
         */
        public Builder transientErrors(Predicate<? super Throwable> test) {
            this.transientErrors = test;
            return this;
        }

        /** How long an instance that died stays the active one. Defaults to 5 s; 100 ms to 1 h. */
        public Builder lease(Duration duration) {
            this.lease = Check.between("lease", duration, Duration.ofMillis(100), Duration.ofHours(1));
            return this;
        }

        /** Where handlers are called. Defaults to {@link Schedulers#boundedElastic()}, where they may block. */
        public Builder scheduler(Scheduler newScheduler) {
            this.scheduler = newScheduler;
            return this;
        }

        /** How long a handler may take before it counts as failed. Without it a handler that hangs stops its consumer. */
        public Builder handlerTimeout(Duration timeout) {
            this.handlerTimeout = Check.between("handlerTimeout", timeout, Duration.ofMillis(1), Duration.ofDays(7));
            return this;
        }

        /** Ends consuming when it emits or completes: nothing more is read, what runs is finished and committed. Defaults to never. */
        public Builder until(Publisher<?> end) {
            this.until = end;
            return this;
        }

        /** How long what runs may go on after the end; then it is cancelled and what is done is committed. Defaults to 10 s. */
        public Builder drain(Duration atMost) {
            this.drain = Check.between("drain", atMost, Duration.ZERO, Duration.ofHours(1));
            return this;
        }

        /** Where a consumer begins that is not registered yet: after this id, at most at the end. Defaults to {@link EntryId#ZERO}, the beginning. */
        public Builder beginAfter(EntryId id) {
            this.beginAfter = id;
            return this;
        }

        /**
         * Told when entries are missing, before any later ones are handled; reading waits for its end. By default it is only logged. When
         * it fails it is told again.
         */
        public Builder onGap(Function<? super Gap, ? extends Publisher<?>> listener) {
            this.onGap = listener;
            return this;
        }

        /** The options. */
        public ConsumerOptions build() {
            return new ConsumerOptions(new Builder(this));
        }
    }
}
