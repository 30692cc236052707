package io.millrace.redis;

import io.millrace.OverloadedException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;

/**
 * Lets concurrent callers share round trips. What arrives while as many calls as allowed are out waits and goes with the next one;
 * a lone caller is never kept waiting: there is no timer. Each caller gets a result or an error of its own.
 *
 * <p>Known as natural batching or group commit; the bound on calls in flight makes batches grow with the load.
 *
 * <p>A cancel before the item was sent withdraws it; after that it only stops listening. Thread safe. This is one of the few places
 * that subscribe: the calls belong to all who wait for them, so that one caller's cancel must not end them; each call's end,
 * whichever it is, is handed to everyone in it.
 *
 * @param <I> what is asked for
 * @param <O> what comes back for it
 */
public final class GroupCommit<I, O> {

    /** One item's outcome: a value, or an error that is its alone. */
    public sealed interface Outcome<O> {

        /** It worked. */
        record Done<O>(O value) implements Outcome<O> {}

        /** It alone did not. */
        record Failed<O>(Throwable error) implements Outcome<O> {}
    }

    private static final Logger log = LoggerFactory.getLogger(GroupCommit.class);

    private final int maxBatch;
    private final int maxInFlight;
    private final int maxWaiting;
    private final Function<List<I>, Mono<List<Outcome<O>>>> call;
    private final @Nullable Function<I, Object> lane;
    private final ToIntFunction<I> weight;

    private final Queue<Waiting<I, O>> waiting = new ConcurrentLinkedQueue<>();
    private final AtomicInteger waitingCount = new AtomicInteger();
    private final AtomicInteger inFlight = new AtomicInteger();
    private final AtomicInteger draining = new AtomicInteger();
    private final Queue<List<Waiting<I, O>>> ended = new ConcurrentLinkedQueue<>();

    // Touched while draining only, which one thread does at a time.
    private final Set<Object> busy = new HashSet<>(); // lanes of what is out
    private final Map<Object, Queue<Waiting<I, O>>> held = new HashMap<>(); // waits for its lane
    private final Queue<Object> free = new ArrayDeque<>(); // lanes that are not busy any more and hold something

    /**
     * @param maxBatch how many items one call carries at most
     * @param maxInFlight how many calls are out at most
     * @param maxWaiting how many items wait at most; more are refused with {@link OverloadedException}
     * @param call sends a batch; must answer with one outcome an item, in their order
     */
    public GroupCommit(int maxBatch, int maxInFlight, int maxWaiting, Function<List<I>, Mono<List<Outcome<O>>>> call) {
        this(maxBatch, maxInFlight, maxWaiting, null, item -> 1, call);
    }

    /**
     * As above, keeping the order inside lanes: while an item is out, later ones of its lane wait. Calls that are out at the same time
     * may overtake each other when one of them is tried again.
     *
     * @param lane what an item must keep its place in
     */
    public static <I, O> GroupCommit<I, O> inLanes(
            int maxBatch,
            int maxInFlight,
            int maxWaiting,
            Function<I, Object> lane,
            Function<List<I>, Mono<List<Outcome<O>>>> call) {
        return new GroupCommit<>(maxBatch, maxInFlight, maxWaiting, lane, item -> 1, call);
    }

    /**
     * For items of unequal weight.
     *
     * @param maxBatch how much weight one call carries; it is exceeded by its last item at most
     * @param weight of an item, 1 or more
     */
    public static <I, O> GroupCommit<I, O> weighed(
            int maxBatch,
            int maxInFlight,
            int maxWaiting,
            ToIntFunction<I> weight,
            Function<List<I>, Mono<List<Outcome<O>>>> call) {
        return new GroupCommit<>(maxBatch, maxInFlight, maxWaiting, null, weight, call);
    }

    private GroupCommit(
            int maxBatch,
            int maxInFlight,
            int maxWaiting,
            @Nullable Function<I, Object> lane,
            ToIntFunction<I> weight,
            Function<List<I>, Mono<List<Outcome<O>>>> call) {
        this.lane = lane;
        this.weight = weight;
        this.maxBatch = maxBatch;
        this.maxInFlight = maxInFlight;
        this.maxWaiting = maxWaiting;
        this.call = call;
    }

    /** Sends an item with the next call; cold: each subscription sends it once. */
    public Mono<O> submit(I item) {
        return Mono.create(sink -> {
            if (waitingCount.incrementAndGet() > maxWaiting) {
                waitingCount.decrementAndGet();
                sink.error(new OverloadedException("already " + maxWaiting
                        + " calls wait for Redis in this process; slow down, or raise requestQueueSize"));
                return;
            }
            Waiting<I, O> entry = new Waiting<>(item, sink);
            sink.onCancel(entry::cancel);
            waiting.add(entry);
            drain();
        });
    }

    /**
     * Sends an item with the next call although nobody waits for its result: what was taken and is not wanted goes back this way.
     * Bounded by what was taken, so it is never refused.
     *
     * @param onError told when it failed
     */
    public void post(I item, Consumer<? super Throwable> onError) {
        waitingCount.incrementAndGet();
        Mono.<O>create(sink -> {
                    waiting.add(new Waiting<>(item, sink));
                    drain();
                })
                .subscribe(done -> {}, onError);
    }

    /** How many items wait to be sent. */
    public int waiting() {
        return waitingCount.get();
    }

    private void drain() {
        if (draining.getAndIncrement() != 0) {
            return;
        }
        int missed = 1;
        do {
            while (inFlight.get() < maxInFlight) {
                List<Waiting<I, O>> batch = next();
                if (batch.isEmpty()) {
                    break;
                }
                inFlight.incrementAndGet();
                send(batch);
            }
            missed = draining.addAndGet(-missed);
        } while (missed != 0);
    }

    private List<Waiting<I, O>> next() {
        List<Waiting<I, O>> batch = new ArrayList<>();
        if (lane == null) {
            int carried = 0;
            while (carried < maxBatch && take(waiting.poll(), batch)) {
                carried = batch.isEmpty() ? 0 : carried + weight.applyAsInt(batch.get(batch.size() - 1).item);
            }
            return batch;
        }
        freeLanes();
        while (batch.size() < maxBatch && !free.isEmpty()) {
            Object one = free.poll();
            Queue<Waiting<I, O>> inLane = Objects.requireNonNull(held.get(one));
            while (batch.size() < maxBatch && take(inLane.poll(), batch)) {
                // on to the next
            }
            if (inLane.isEmpty()) {
                held.remove(one);
            }
        }
        while (batch.size() < maxBatch) {
            Waiting<I, O> entry = waiting.poll();
            if (entry == null) {
                break;
            }
            Object one = lane.apply(entry.item);
            if (busy.contains(one) || held.containsKey(one)) {
                held.computeIfAbsent(one, key -> new ArrayDeque<>()).add(entry);
            } else {
                take(entry, batch);
            }
        }
        batch.forEach(entry -> busy.add(lane.apply(entry.item)));
        return batch;
    }

    private void freeLanes() {
        for (List<Waiting<I, O>> batch = ended.poll(); batch != null; batch = ended.poll()) {
            for (Waiting<I, O> entry : batch) {
                Object one = Objects.requireNonNull(lane).apply(entry.item);
                if (busy.remove(one) && held.containsKey(one)) {
                    free.add(one);
                }
            }
        }
    }

    /** False: there was nothing. What was withdrawn is left out. */
    private boolean take(@Nullable Waiting<I, O> entry, List<Waiting<I, O>> batch) {
        if (entry == null) {
            return false;
        }
        waitingCount.decrementAndGet();
        if (!entry.cancelled()) {
            batch.add(entry);
        }
        return true;
    }

    private void send(List<Waiting<I, O>> batch) {
        List<I> items = new ArrayList<>(batch.size());
        for (Waiting<I, O> entry : batch) {
            items.add(entry.item);
        }
        AtomicBoolean done = new AtomicBoolean();
        Mono.defer(() -> call.apply(items))
                .subscribe(
                        outcomes -> {
                            if (done.compareAndSet(false, true)) {
                                free(batch);
                                finish(batch, outcomes);
                            }
                        },
                        error -> {
                            if (done.compareAndSet(false, true)) {
                                free(batch);
                                batch.forEach(entry -> hand(entry, new Outcome.Failed<>(error)));
                            }
                        },
                        () -> {
                            if (done.compareAndSet(false, true)) {
                                free(batch);
                                finish(batch, List.of());
                            }
                        });
    }

    /** The next call goes out before the results are handed over: callers may take their time with them. */
    private void free(List<Waiting<I, O>> batch) {
        if (lane != null) {
            ended.add(batch);
        }
        inFlight.decrementAndGet();
        drain();
    }

    private static <I, O> void finish(List<Waiting<I, O>> batch, List<Outcome<O>> outcomes) {
        for (int i = 0; i < batch.size(); i++) {
            hand(
                    batch.get(i),
                    i < outcomes.size()
                            ? outcomes.get(i)
                            : new Outcome.Failed<>(new IllegalStateException("a call of " + batch.size()
                                    + " items answered with " + outcomes.size() + " outcomes")));
        }
    }

    /** What a caller's own code throws must not keep the others in the batch from their results; Reactor lets fatal errors pass. */
    private static <I, O> void hand(Waiting<I, O> entry, Outcome<O> outcome) {
        try {
            if (outcome instanceof Outcome.Done<O> done) {
                entry.sink.success(done.value());
            } else if (outcome instanceof Outcome.Failed<O> failed) {
                entry.sink.error(failed.error());
            }
        } catch (Throwable thrown) {
            log.error("a caller failed while it was given the result of its call", thrown);
        }
    }

    private static final class Waiting<I, O> {

        private final I item;
        private final MonoSink<O> sink;
        private volatile boolean cancelled;

        Waiting(I item, MonoSink<O> sink) {
            this.item = item;
            this.sink = sink;
        }

        void cancel() {
            cancelled = true;
        }

        boolean cancelled() {
            return cancelled;
        }
    }
}
