package io.millrace.queue;

import io.millrace.queue.Pulls.Pulled;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.stream.IntStream;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Pulls from a queue for somebody who is not told when something comes: looks at all partitions before it says that there is nothing.
 * Turns are counted over all calls, so that who pulls one message at a time is fair too. Thread safe.
 */
final class PlainPull {

    /** What was seen of a partition is good for so long while others have messages. */
    private static final long GOOD_NANOS = Duration.ofMillis(200).toNanos();

    /** Pulls from one partition. */
    interface From<T> {
        Mono<Pulled<T>> pull(Partition partition, int n);
    }

    private final List<Partition> partitions;
    private final Turns turns;
    private final AtomicLongArray looked; // when, by nanoTime
    private final AtomicLongArray some; // 1: there was something

    PlainPull(List<Partition> partitions) {
        this.partitions = partitions;
        this.turns = new Turns(partitions.size());
        this.looked = new AtomicLongArray(partitions.size());
        this.some = new AtomicLongArray(partitions.size());
        long before = System.nanoTime() - GOOD_NANOS;
        IntStream.range(0, partitions.size()).forEach(i -> looked.set(i, before));
    }

    /** Fewer than n only if there are no more. What was taken is answered also when a partition failed, with that failure. */
    <T> Mono<Taken<T>> pull(int n, From<T> from) {
        if (partitions.size() == 1) {
            return from.pull(partitions.get(0), n).map(pulled -> new Taken<>(pulled.items(), null));
        }
        return Mono.defer(() -> {
            Haul<T> haul = new Haul<>(n, turns, each -> 1, (i, some) -> pull(i, some, from));
            List<Integer> old = where(i -> System.nanoTime() - looked.get(i) >= GOOD_NANOS);
            List<Integer> rest = where(i -> !old.contains(i));
            return look(old, haul)
                    .then(Mono.defer(() -> haul.fill(withSome(haul))))
                    .then(Mono.defer(() -> haul.isFull()
                            ? Mono.<Void>empty()
                            : look(rest, haul).then(Mono.defer(() -> haul.fill(withSome(haul))))))
                    .then(Mono.fromSupplier(() -> new Taken<>(haul.items(), haul.anyFailure())));
        });
    }

    private Mono<Void> look(List<Integer> which, Haul<?> haul) {
        return Flux.fromIterable(which)
                .flatMap(
                        i -> partitions
                                .get(i)
                                .pulls()
                                .look()
                                .doOnNext(seen -> {
                                    turns.share(i, seen.active());
                                    saw(i, seen.active());
                                })
                                .onErrorResume(error -> {
                                    haul.failed(i, error);
                                    return Mono.empty();
                                }),
                        QueueOptions.MAX_PARTITIONS)
                .then();
    }

    private <T> Mono<Pulled<T>> pull(int i, int n, From<T> from) {
        return from.pull(partitions.get(i), n)
                .doOnNext(pulled -> saw(i, pulled.items().size() < n ? 0 : pulled.active()));
    }

    private void saw(int i, double active) {
        some.set(i, active > 0 ? 1 : 0);
        looked.set(i, System.nanoTime());
    }

    private List<Integer> withSome(Haul<?> haul) {
        return where(i -> some.get(i) == 1 && !haul.failures().containsKey(i));
    }

    private List<Integer> where(java.util.function.IntPredicate which) {
        return IntStream.range(0, partitions.size()).filter(which).boxed().toList();
    }
}
