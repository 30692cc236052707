package io.millrace.stream;

import io.millrace.MillraceException;
import io.millrace.lock.LeaseLostException;
import io.millrace.redis.Redis;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.util.retry.Retry;

/**
 * Has batches handled: divides them among handlers, tries again, finds the one entry that fails, commits what is done from the
 * beginning on. A handler that is done with its part of a batch goes on with its part of the next one, and no further: a part that is
 * stuck lets one more batch be read at the most.
 */
final class Handling {

    private static final Logger log = LoggerFactory.getLogger(Handling.class);

    /** How long the cause of a dead letter may be. */
    private static final int MAX_CAUSE = 500;

    private static final Duration COMMIT_PAUSE = Duration.ofMillis(100);

    /** So many failed attempts are told one by one; what is tried for longer is told of less and less often. */
    private static final int ALL_TOLD = 20;

    /** How many batches are under way at a time when there are several handlers. */
    private static final int AHEAD = 2;

    /** What is under way of the log, or of the lane of backfills. */
    private static final class Line {

        private final boolean backfill;
        private final Queue<Progress> open = new ConcurrentLinkedQueue<>(); // by batch
        private final List<Mono<Void>> ends; // by handler, of its last part; touched by one batch after the other

        Line(boolean backfill, int handlers) {
            this.backfill = backfill;
            this.ends = new ArrayList<>(Collections.nCopies(handlers, Mono.empty()));
        }

        /** A handler's part of a batch, after its part of the one before; never if that one was cut off. */
        Mono<Void> turn(int handler, Mono<Void> others, Mono<Void> work) {
            Mono<Void> before = ends.get(handler);
            Sinks.Empty<Void> over = Sinks.empty();
            ends.set(handler, over.asMono());
            return Mono.when(before, others).then(work).doOnSuccess(done -> over.tryEmitEmpty());
        }

        /** What can be committed and was not given out before, of one batch; by one caller at a time. */
        Progress.@Nullable Mark advance() {
            Progress first = open.peek();
            Progress.Mark mark = first == null ? null : first.advance();
            if (first != null && first.isOver()) {
                open.remove();
            }
            return mark;
        }
    }

    private final Redis redis;
    private final Session session;
    private final String consumer;
    private final ConsumerOptions options;
    private final Mono<Void> deadline;
    private final Function<? super StreamBatch, ? extends Publisher<?>> handler;
    private final Line live;
    private final Line lane;
    private Mono<Void> before = Mono.empty(); // all batches so far are through; touched by one batch after the other

    /** @param deadline when handlers are cut off */
    Handling(
            Redis redis,
            Session session,
            String consumer,
            ConsumerOptions options,
            Mono<Void> deadline,
            Function<? super StreamBatch, ? extends Publisher<?>> handler) {
        this.redis = redis;
        this.session = session;
        this.consumer = consumer;
        this.options = options;
        this.deadline = deadline;
        this.handler = handler;
        this.live = new Line(false, options.concurrency());
        this.lane = new Line(true, options.concurrency());
    }

    /**
     * Has batches handled, and commits what is done as soon as something is; what follows goes on meanwhile. Ends when everything is
     * handled and committed; or at the deadline, when what is done is committed.
     */
    Flux<Void> handle(Flux<StreamBatch> batches) {
        Flux<Line> done =
                options.concurrency() == 1 ? batches.concatMap(this::parts, 0) : batches.flatMap(this::parts, AHEAD, 1);
        return done.concatMap(this::commit, 1)
                .concatWith(Flux.just(live, lane).concatMap(this::commit)); // of parts that ended at the deadline
    }

    /**
     * One part for each handler: entries of one key stay together and in order. Tells of each that is done. Ends not before the
     * batches before have ended: else a part that is stuck would not keep what its handler has no part of from being read.
     */
    private Flux<Line> parts(StreamBatch batch) {
        return Flux.defer(() -> {
            Line line = batch.backfill() ? lane : live;
            // A record may be another handler's there: what is in the other line comes first.
            Mono<Void> others =
                    Mono.when(List.copyOf((line == lane ? live : lane).ends)).cache();
            Progress progress = new Progress(batch.entries());
            line.open.add(progress);
            List<Mono<Void>> turns = new ArrayList<>();
            List<List<StreamEntry>> parts = divide(batch);
            for (int i = 0; i < parts.size(); i++) {
                if (!parts.get(i).isEmpty()) {
                    turns.add(line.turn(i, others, work(batch.with(parts.get(i)), progress, 1, true)));
                }
            }
            Mono<Void> earlier = before;
            Sinks.Empty<Void> through = Sinks.empty();
            before = through.asMono();
            return Flux.fromIterable(turns)
                    .flatMap(turn -> turn.takeUntilOther(deadline).thenReturn(line), turns.size(), 1)
                    .concatWith(earlier.cast(Line.class))
                    .doOnComplete(through::tryEmitEmpty);
        });
    }

    private List<List<StreamEntry>> divide(StreamBatch batch) {
        if (options.concurrency() == 1) {
            return List.of(batch.entries());
        }
        List<List<StreamEntry>> parts = new ArrayList<>();
        for (int i = 0; i < options.concurrency(); i++) {
            parts.add(new ArrayList<>());
        }
        for (StreamEntry entry : batch.entries()) {
            parts.get(Math.floorMod(spread(hash(entry)), parts.size())).add(entry);
        }
        return parts;
    }

    /** What has no key that can be read is handled all the same, and fails there. */
    private int hash(StreamEntry entry) {
        try {
            return String.valueOf(options.key().apply(entry)).hashCode();
        } catch (RuntimeException e) {
            return 0;
        }
    }

    private static int spread(int hash) {
        return hash ^ (hash >>> 16);
    }

    /**
     * Handles a part; never fails because of its handler. A loop, not a call within a call: what passes may take long to.
     *
     * @param whole whether it may be tried again as it is; its halves are tried once
     */
    private Mono<Void> work(StreamBatch part, Progress progress, int firstAttempt, boolean whole) {
        return Mono.defer(() -> {
            AtomicInteger attempts = new AtomicInteger(firstAttempt);
            return Mono.defer(() -> limited(part)
                            .then(Mono.fromSupplier(() -> {
                                progress.done(part.entries());
                                return true;
                            }))
                            .onErrorResume(error -> failed(part, progress, attempts.getAndIncrement(), whole, error)))
                    .repeat()
                    .next()
                    .then();
        });
    }

    /** Empty: it is to be tried again. */
    private Mono<Boolean> failed(StreamBatch part, Progress progress, int attempt, boolean whole, Throwable error) {
        if (options.mayRetry(whole ? attempt : Integer.MAX_VALUE, error)) {
            if (attempt <= ALL_TOLD || Integer.bitCount(attempt) == 1) {
                log.warn(
                        "attempt {} of {} entries of stream \"{}\" from {} on failed in consumer \"{}\": {}",
                        attempt,
                        part.size(),
                        part.stream(),
                        part.entries().get(0).id(),
                        consumer,
                        error.toString());
            }
            return Mono.delay(
                            options.delayAfter(
                                    attempt, ThreadLocalRandom.current().nextDouble()),
                            redis.worker())
                    .then(Mono.empty());
        }
        if (part.size() == 1) {
            StreamEntry entry = part.entries().get(0);
            log.error(
                    "entry {} of stream \"{}\" is a dead letter of consumer \"{}\" after {} attempts: {}",
                    entry.id(),
                    part.stream(),
                    consumer,
                    attempt,
                    error.toString());
            progress.parked(new Session.Parked(entry, attempt, cause(error)));
            return Mono.just(true);
        }
        int middle = part.size() / 2;
        StreamBatch first = part.with(part.entries().subList(0, middle));
        StreamBatch second = part.with(part.entries().subList(middle, part.size()));
        return work(first, progress, attempt + 1, false)
                .then(Mono.defer(() -> work(second, progress, attempt + 1, false)))
                .thenReturn(true);
    }

    /** The time begins with the call, not while a thread is waited for. */
    private Mono<Void> limited(StreamBatch part) {
        Duration timeout = options.handlerTimeout();
        if (timeout == null) {
            return Mono.defer(() -> called(part)).subscribeOn(options.scheduler());
        }
        return Mono.defer(() -> {
            Sinks.Empty<Void> begun = Sinks.empty();
            return Mono.defer(() -> {
                        begun.tryEmitEmpty();
                        return called(part);
                    })
                    .subscribeOn(options.scheduler())
                    .timeout(
                            begun.asMono().then(Mono.delay(timeout, redis.worker())),
                            Mono.error(() -> new TimeoutException("its handler took longer than " + timeout)));
        });
    }

    /** Reactor takes these errors for the end of the process and lets them pass; here they are a handler's that failed. */
    private Mono<Void> called(StreamBatch part) {
        try {
            return Mono.when(handler.apply(part));
        } catch (LinkageError | StackOverflowError e) {
            return Mono.error(new MillraceException("its handler failed: " + e, false, e));
        }
    }

    /** Goes on trying while Redis is away: until the lease ends, nobody else handles these entries. */
    private Mono<Void> commit(Line line) {
        return Flux.<Progress.Mark>generate(sink -> {
                    Progress.Mark mark = line.advance();
                    if (mark == null) {
                        sink.complete();
                    } else {
                        sink.next(mark);
                    }
                })
                .concatMap(
                        mark -> session.commit(line.backfill, mark.upTo(), mark.parked())
                                .retryWhen(Retry.fixedDelay(Long.MAX_VALUE, COMMIT_PAUSE)
                                        .filter(error ->
                                                Delayer.isPassing(error) && !(error instanceof LeaseLostException))),
                        0)
                .then();
    }

    private static String cause(Throwable error) {
        String text = error.toString();
        return text.length() > MAX_CAUSE ? text.substring(0, MAX_CAUSE) : text;
    }
}
