package io.millrace.queue;

import io.millrace.queue.Pulls.Pulled;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * What one pull from several partitions brings together: each is asked for its turns, all at the same time, and what they give is laid
 * out in the order of the turns. Used for one pull.
 */
final class Haul<T> {

    /** Asks one partition. */
    interface Ask<T> {
        Mono<Pulled<T>> ask(int partition, int n);
    }

    private final int wanted;
    private final Turns turns;
    private final ToIntFunction<T> size;
    private final Ask<T> ask;
    private final List<T> items = new ArrayList<>();
    private final Set<Integer> exhausted = new HashSet<>();
    private final Map<Integer, Throwable> failures = new HashMap<>();

    /** @param size how many messages an element is */
    Haul(int wanted, Turns turns, ToIntFunction<T> size, Ask<T> ask) {
        this.wanted = wanted;
        this.turns = turns;
        this.size = size;
        this.ask = ask;
    }

    List<T> items() {
        return items;
    }

    boolean isFull() {
        return items.size() >= wanted;
    }

    /** By partition; what the others gave is there all the same. */
    Map<Integer, Throwable> failures() {
        return failures;
    }

    void failed(int partition, Throwable failure) {
        note(partition, failure);
    }

    @Nullable
    Throwable anyFailure() {
        return failures.isEmpty() ? null : failures.values().iterator().next();
    }

    /** Asks these, until enough is there or none of them has more. */
    Mono<Void> fill(List<Integer> among) {
        List<Integer> left = among.stream().filter(i -> !exhausted.contains(i)).toList();
        if (isFull() || left.isEmpty()) {
            return Mono.empty();
        }
        int[] plan = turns.plan(wanted - items.size(), left);
        Map<Integer, Pulled<T>> got = new ConcurrentHashMap<>(); // they answer at the same time
        return Flux.fromStream(Arrays.stream(plan).distinct().boxed())
                .flatMap(
                        i -> pull(i, count(plan, i)).doOnNext(pulled -> got.put(i, pulled)),
                        QueueOptions.MAX_PARTITIONS,
                        1)
                .then(Mono.fromRunnable(() -> layOut(plan, got)))
                .then(Mono.defer(() -> fill(left)));
    }

    private Mono<Pulled<T>> pull(int partition, int n) {
        return ask.ask(partition, n)
                .doOnNext(pulled -> {
                    boolean more = pulled.items().size() >= n || pulled.waitMs() == 0;
                    turns.share(partition, pulled.active());
                    turns.settle(
                            partition, n, pulled.items().stream().mapToInt(size).sum(), more);
                    if (pulled.items().size() < n) {
                        note(partition, null);
                    }
                })
                .onErrorResume(error -> {
                    turns.settle(partition, n, 0, true);
                    note(partition, error);
                    return Mono.empty();
                });
    }

    private synchronized void note(int partition, @Nullable Throwable failure) {
        exhausted.add(partition);
        if (failure != null) {
            failures.put(partition, failure);
        }
    }

    private void layOut(int[] plan, Map<Integer, Pulled<T>> got) {
        Map<Integer, Integer> next = new HashMap<>();
        for (int partition : plan) {
            Pulled<T> pulled = got.get(partition);
            int at = next.merge(partition, 1, Integer::sum) - 1;
            if (pulled != null && at < pulled.items().size()) {
                items.add(pulled.items().get(at));
            }
        }
    }

    private static int count(int[] plan, int partition) {
        return (int) Arrays.stream(plan).filter(i -> i == partition).count();
    }
}
