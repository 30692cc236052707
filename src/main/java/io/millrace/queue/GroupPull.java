package io.millrace.queue;

import io.millrace.queue.Pulls.Pulled;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * One pull from several queues: turns by smooth weighted round robin (as nginx does it), then whatever is still wanted from those that
 * may have more. One subscription's.
 */
final class GroupPull<T> implements Reading.Pull<T> {

    private static final long AGAIN_MS = 200;

    private final List<Member<T>> members = new ArrayList<>();
    private final int total;

    /** A queue and its turn; touched by one pull after another. */
    private static final class Member<T> {

        private final Reading.Pull<T> queue;
        private final int weight;
        private int credit;

        Member(Reading.Pull<T> queue, int weight) {
            this.queue = queue;
            this.weight = weight;
        }
    }

    /** What one round has brought. */
    private static final class Round<T> {

        private final List<T> items = new ArrayList<>();
        private final List<Member<T>> exhausted = new ArrayList<>();
        private long waitMs = -1;
        private @Nullable Throwable failure;

        /** One that failed is asked again before long, whatever the others say. */
        long soon() {
            return waitMs < 0 ? AGAIN_MS : Math.min(waitMs, AGAIN_MS);
        }

        void add(Member<T> member, int asked, Pulled<T> pulled) {
            items.addAll(pulled.items());
            if (pulled.items().size() < asked) {
                exhausted.add(member);
                if (pulled.waitMs() >= 0 && (waitMs < 0 || pulled.waitMs() < waitMs)) {
                    waitMs = pulled.waitMs();
                }
            }
        }
    }

    /** @param weights of each queue, by how it is pulled from */
    GroupPull(Map<Reading.Pull<T>, Integer> weights) {
        weights.forEach((queue, weight) -> members.add(new Member<>(queue, weight)));
        this.total = weights.values().stream().mapToInt(Integer::intValue).sum();
    }

    @Override
    public void nudged(Unit unit) {
        members.forEach(member -> member.queue.nudged(unit));
    }

    /** What one queue cannot give does not keep the others' from being handed out; the trouble shows again with the next pull. */
    @Override
    public Mono<Pulled<T>> pull(Reading.Request request) {
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
        Map<Member<T>, Integer> quotas = quotas(n - round.items.size(), round.exhausted);
        return Flux.fromIterable(quotas.entrySet())
                .flatMapSequential(
                        quota -> quota.getKey()
                                .queue
                                .pull(new Reading.Request(quota.getValue(), List.of(), maintain, () -> {}))
                                .doOnNext(pulled -> round.add(quota.getKey(), quota.getValue(), pulled))
                                .onErrorResume(error -> {
                                    round.failure = error;
                                    round.exhausted.add(quota.getKey());
                                    return Mono.empty();
                                }),
                        1,
                        1)
                .then(Mono.defer(() -> round.items.size() < n && round.exhausted.size() < members.size()
                        ? fill(round, n, maintain)
                        : Mono.just(round)));
    }

    private Map<Member<T>, Integer> quotas(int n, List<Member<T>> exhausted) {
        Map<Member<T>, Integer> quotas = new LinkedHashMap<>();
        for (int i = 0; i < n; i++) {
            Member<T> best = null;
            for (Member<T> member : members) {
                if (!exhausted.contains(member)) {
                    member.credit += member.weight;
                    if (best == null || member.credit > best.credit) {
                        best = member;
                    }
                }
            }
            if (best == null) {
                break;
            }
            best.credit -= total(exhausted);
            quotas.merge(best, 1, Integer::sum);
        }
        return quotas;
    }

    private int total(List<Member<T>> exhausted) {
        int sum = total;
        for (Member<T> member : exhausted) {
            sum -= member.weight;
        }
        return sum;
    }
}
