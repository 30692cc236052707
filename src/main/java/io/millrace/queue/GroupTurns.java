package io.millrace.queue;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Whose turn it is among the queues of a group, by smooth weighted round robin (as nginx does it): in each cycle of turns, wherever it
 * begins, each queue has as many as its weight says. Thread safe.
 */
final class GroupTurns {

    private final int[] weights;
    private final int[] credits;

    /** @param begun how many turns of a cycle are over already */
    GroupTurns(Collection<Integer> weights, int begun) {
        this.weights = weights.stream().mapToInt(Integer::intValue).toArray();
        this.credits = new int[this.weights.length];
        next(begun, Set.of());
    }

    /** Begins anywhere in a cycle, so that those are fair together who each come for one message. */
    static GroupTurns anywhere(Collection<Integer> weights) {
        int sum = weights.stream().mapToInt(Integer::intValue).sum();
        int divisor = weights.stream().reduce(GroupTurns::commonDivisor).orElse(1);
        return new GroupTurns(weights, ThreadLocalRandom.current().nextInt(sum / divisor));
    }

    private static int commonDivisor(int a, int b) {
        return b == 0 ? a : commonDivisor(b, a % b);
    }

    /** How many of the next turns each queue has, by index, in the order of their first ones; none of those that are out. */
    synchronized Map<Integer, Integer> next(int turns, Set<Integer> out) {
        Map<Integer, Integer> quotas = new LinkedHashMap<>();
        if (out.size() == weights.length) {
            return quotas;
        }
        for (int turn = 0; turn < turns; turn++) {
            int best = -1;
            int gained = 0;
            for (int i = 0; i < weights.length; i++) {
                if (!out.contains(i)) {
                    credits[i] += weights[i];
                    gained += weights[i];
                    best = best < 0 || credits[i] > credits[best] ? i : best;
                }
            }
            credits[best] -= gained;
            quotas.merge(best, 1, Integer::sum);
        }
        return quotas;
    }
}
