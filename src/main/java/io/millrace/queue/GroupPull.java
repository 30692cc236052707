package io.millrace.queue;

import io.millrace.queue.Pulls.Pulled;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * One pull from several queues: by turns, then whatever is still wanted from those that may have more. One subscription's, but for its
 * turns, which may be counted over several.
 */
final class GroupPull<T> implements Reading.Pull<T> {

    private static final long AGAIN_MS = 200;

    private final GroupTurns turns;
    private final List<Reading.Pull<T>> queues;

    /** What one round has brought. */
    private static final class Round<T> {

        private final List<T> items = new ArrayList<>();
        private final Set<Integer> exhausted = new HashSet<>();
        private long waitMs = -1;
        private @Nullable Throwable failure;

        /** One that failed is asked again before long, whatever the others say. */
        long soon() {
            return waitMs < 0 ? AGAIN_MS : Math.min(waitMs, AGAIN_MS);
        }

        void add(int queue, int asked, Pulled<T> pulled) {
            items.addAll(pulled.items());
            if (pulled.items().size() < asked) {
                exhausted.add(queue);
                if (pulled.waitMs() >= 0 && (waitMs < 0 || pulled.waitMs() < waitMs)) {
                    waitMs = pulled.waitMs();
                }
            }
        }
    }

    /** @param queues how each is pulled from, in the order of their turns' weights */
    GroupPull(GroupTurns turns, List<Reading.Pull<T>> queues) {
        this.turns = turns;
        this.queues = queues;
    }

    @Override
    public void nudged(Unit unit) {
        queues.forEach(queue -> queue.nudged(unit));
    }

    /** What one queue cannot give does not keep the others' from being handed out; the trouble shows again with the next pull. */
    @Override
    public Mono<Pulled<T>> pull(PullRequest request) {
        return round(request.n(), request.maintain())
                .flatMap(round -> round.failure != null && round.items.isEmpty()
                        ? Mono.error(round.failure)
                        : Mono.just(new Pulled<>(round.items, round.failure == null ? round.waitMs : round.soon())));
    }

    /** As {@link #pull}, for somebody who comes only once: he is told of trouble in any case. */
    Mono<Taken<T>> take(int n) {
        return round(n, false).map(round -> new Taken<>(round.items, round.failure));
    }

    private Mono<Round<T>> round(int n, boolean maintain) {
        return Mono.defer(() -> fill(new Round<>(), n, maintain));
    }

    /** Asks each by its turns; who gave all it was asked for is asked again while something is wanted. */
    private Mono<Round<T>> fill(Round<T> round, int n, boolean maintain) {
        Map<Integer, Integer> quotas = turns.next(n - round.items.size(), round.exhausted);
        return Flux.fromIterable(quotas.entrySet())
                .flatMapSequential(
                        quota -> queues.get(quota.getKey())
                                .pull(PullRequest.alone(quota.getValue(), List.of(), maintain))
                                .doOnNext(pulled -> round.add(quota.getKey(), quota.getValue(), pulled))
                                .onErrorResume(error -> {
                                    round.failure = error;
                                    round.exhausted.add(quota.getKey());
                                    return Mono.empty();
                                }),
                        1,
                        1)
                .then(Mono.defer(() -> round.items.size() < n && round.exhausted.size() < queues.size()
                        ? fill(round, n, maintain)
                        : Mono.just(round)));
    }
}
