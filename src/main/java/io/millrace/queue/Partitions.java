package io.millrace.queue;

import io.millrace.MillraceException;
import io.millrace.redis.Redis;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BiFunction;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;

/** The partitions of one queue: one, unless it was registered with more. */
final class Partitions {

    private static final Logger log = LoggerFactory.getLogger(Partitions.class);

    private static final Duration PAUSE = Duration.ofMillis(200);

    /**
     * All of them, as long as their number stays.
     *
     * @param all in order
     * @param plain how messages are pulled by somebody who comes only once
     */
    record Layout(List<Partition> all, PlainPull plain) {

        int size() {
            return all.size();
        }

        Partition of(String facet) {
            return all.get(Facets.partition(facet, all.size()));
        }
    }

    private final String name;
    private final Redis redis;
    private final Registry registry;
    private volatile @Nullable Layout layout;

    Partitions(String name, Redis redis, Registry registry) {
        this.name = name;
        this.redis = redis;
        this.registry = registry;
        Unit.of(redis.keys(), name, 0); // refuses what is no name
    }

    /** As they are now. */
    Mono<Layout> now() {
        return Mono.defer(() -> registry.partitions(name)).map(this::layout);
    }

    /** In order, from all of them. */
    <T> Flux<T> each(Function<Partition, Flux<T>> use) {
        return now().flatMapMany(now -> now.size() == 1
                ? use.apply(now.all().get(0))
                : Flux.fromIterable(now.all()).concatMap(use));
    }

    /** Of all of them together. */
    Mono<Long> sum(Function<Partition, Mono<Long>> use) {
        return each(partition -> use.apply(partition).flux()).reduce(0L, Long::sum);
    }

    /** Of the one a facet is in. */
    <T> Mono<T> of(String facet, Function<Partition, Mono<T>> use) {
        return now().flatMap(now -> use.apply(now.of(facet)));
    }

    /** How long messages waited, of all partitions. */
    Mono<DwellTimes> dwell() {
        return each(partition -> partition.dwell().times().flux()).reduce(DwellTimes.NONE, DwellTimes::plus);
    }

    /** Adds what was counted of partitions that are known, for the last time. */
    Mono<Void> close() {
        Layout known = layout;
        return known == null
                ? Mono.empty()
                : Flux.fromIterable(known.all())
                        .flatMap(partition -> partition.dwell().add())
                        .then();
    }

    /** As {@link #whileSo(List, BiFunction)}, of this queue alone. */
    <T> Flux<T> whileSo(BiFunction<Layout, Mono<Void>, Flux<T>> read) {
        return whileSo(List.of(this), (now, changed) -> read.apply(now.get(0), changed));
    }

    /**
     * Reads queues for as long as their numbers of partitions stay, then anew; waits while Redis is away.
     *
     * @param read begins to read; ends in good order when it is told that a number has changed
     */
    static <T> Flux<T> whileSo(List<Partitions> queues, BiFunction<List<Layout>, Mono<Void>, Flux<T>> read) {
        return Flux.defer(() -> {
            AtomicBoolean again = new AtomicBoolean();
            return Flux.defer(() -> {
                        again.set(false);
                        return Flux.fromIterable(queues).concatMap(queue -> queue.patiently(), 1);
                    })
                    .collectList()
                    .filter(now -> now.size() == queues.size()) // else Millrace is closed
                    .flatMapMany(now -> {
                        List<Mono<Void>> changes = new ArrayList<>(now.size());
                        for (int i = 0; i < now.size(); i++) {
                            Partitions queue = queues.get(i);
                            changes.add(queue.registry.changed(
                                    queue.name, now.get(i).size()));
                        }
                        return read.apply(
                                now, Mono.firstWithSignal(changes).then(Mono.fromRunnable(() -> again.set(true))));
                    })
                    .repeat(again::get);
        });
    }

    private Mono<Layout> patiently() {
        return untilItWorks(
                        now(),
                        PAUSE,
                        redis.worker(),
                        away -> log.warn(
                                "queue \"{}\" cannot be read for now, trying again: {}", name, away.getMessage()))
                .takeUntilOther(redis.closed());
    }

    /** A loop, not a call within a call: it may go on for days. */
    static <T> Mono<T> untilItWorks(
            Mono<T> asking, Duration pause, Scheduler scheduler, Consumer<? super Throwable> firstTrouble) {
        return Mono.defer(() -> {
            AtomicBoolean told = new AtomicBoolean();
            return asking.onErrorResume(
                            error -> error instanceof MillraceException failure && failure.retryable(), away -> {
                                if (told.compareAndSet(false, true)) {
                                    firstTrouble.accept(away);
                                }
                                return Mono.delay(pause, scheduler).then(Mono.empty());
                            })
                    .repeat()
                    .next();
        });
    }

    private Layout layout(int count) {
        Layout known = layout;
        if (known == null || known.size() != count) {
            List<Partition> all = IntStream.range(0, count)
                    .mapToObj(i -> new Partition(redis, Unit.of(redis.keys(), name, i), count > 1))
                    .toList();
            known = new Layout(all, new PlainPull(all));
            layout = known;
        }
        return known;
    }
}
