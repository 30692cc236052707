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

    /** A pull from one of them. */
    interface From<T> {
        Mono<Pulled<T>> pull(FacetQueue queue, int n, boolean maintain);
    }

    private final From<T> from;
    private final List<Member> members = new ArrayList<>();
    private final int total;

    /** A queue and its turn; touched by one pull after another. */
    private static final class Member {

        private final FacetQueue queue;
        private final int weight;
        private int credit;

        Member(FacetQueue queue, int weight) {
            this.queue = queue;
            this.weight = weight;
        }
    }

    /** What one round has brought. */
    private static final class Haul<T> {

        private final List<T> items = new ArrayList<>();
        private final List<Member> exhausted = new ArrayList<>();
        private long waitMs = -1;
        private @Nullable Throwable failure;

        void add(Member member, int asked, Pulled<T> pulled) {
            items.addAll(pulled.items());
            if (pulled.items().size() < asked) {
                exhausted.add(member);
                if (pulled.waitMs() >= 0 && (waitMs < 0 || pulled.waitMs() < waitMs)) {
                    waitMs = pulled.waitMs();
                }
            }
        }
    }

    GroupPull(Map<FacetQueue, Integer> weights, From<T> from) {
        this.from = from;
        weights.forEach((queue, weight) -> members.add(new Member(queue, weight)));
        this.total = weights.values().stream().mapToInt(Integer::intValue).sum();
    }

    @Override
    public Mono<Pulled<T>> pull(int n, List<Receipt> acknowledge, boolean maintain) {
        return Mono.defer(() -> round(new Haul<>(), n, maintain))
                .flatMap(haul -> haul.failure != null && haul.items.isEmpty()
                        ? Mono.error(haul.failure)
                        : Mono.just(new Pulled<>(haul.items, haul.waitMs, 0)));
    }

    /** Asks each by its turns; who gave all it was asked for is asked again while something is wanted. */
    private Mono<Haul<T>> round(Haul<T> haul, int n, boolean maintain) {
        Map<Member, Integer> quotas = quotas(n - haul.items.size(), haul.exhausted);
        return Flux.fromIterable(quotas.entrySet())
                .flatMapSequential(
                        quota -> from.pull(quota.getKey().queue, quota.getValue(), maintain)
                                .doOnNext(pulled -> haul.add(quota.getKey(), quota.getValue(), pulled))
                                .onErrorResume(error -> {
                                    // What the others gave is handed out; the trouble shows again with the next pull.
                                    haul.failure = error;
                                    haul.exhausted.add(quota.getKey());
                                    return Mono.empty();
                                }),
                        1,
                        1)
                .then(Mono.defer(() -> haul.items.size() < n && haul.exhausted.size() < members.size()
                        ? round(haul, n, maintain)
                        : Mono.just(haul)));
    }

    private Map<Member, Integer> quotas(int n, List<Member> exhausted) {
        Map<Member, Integer> quotas = new LinkedHashMap<>();
        for (int i = 0; i < n; i++) {
            Member best = null;
            for (Member member : members) {
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

    private int total(List<Member> exhausted) {
        int sum = total;
        for (Member member : exhausted) {
            sum -= member.weight;
        }
        return sum;
    }
}
