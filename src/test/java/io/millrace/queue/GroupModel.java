package io.millrace.queue;

import io.millrace.queue.QueueModel.Item;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiFunction;

/**
 * Who has which turns where several queues are read as one, as plainly as it can be said: for each turn everybody still in the running
 * gains its weight, the richest has the turn, the first of several, and pays what all have gained. Who has less than its turns is
 * out of the running for this time.
 */
final class GroupModel {

    private final Map<String, Integer> weights;
    private final Map<String, Integer> credits = new HashMap<>();

    /**
     * @param weights of the queues, in their order
     * @param begun how many turns are over
     */
    GroupModel(Map<String, Integer> weights, int begun) {
        this.weights = weights;
        weights.keySet().forEach(queue -> credits.put(queue, 0));
        turns(begun, weights.keySet());
    }

    /** @param queue takes so many from a queue, or fewer */
    List<Item> take(int n, BiFunction<String, Integer, List<Item>> queue) {
        List<Item> taken = new ArrayList<>();
        Set<String> running = new HashSet<>(weights.keySet());
        while (taken.size() < n && !running.isEmpty()) {
            turns(n - taken.size(), running).forEach((name, turns) -> {
                List<Item> got = queue.apply(name, turns);
                taken.addAll(got);
                if (got.size() < turns) {
                    running.remove(name);
                }
            });
        }
        return taken;
    }

    /** How many turns each has, in the order of their first ones. */
    private Map<String, Integer> turns(int n, Set<String> running) {
        Map<String, Integer> turns = new LinkedHashMap<>();
        int all = running.stream().mapToInt(weights::get).sum();
        for (int i = 0; i < n; i++) {
            running.forEach(name -> credits.merge(name, weights.get(name), Integer::sum));
            int most = running.stream().mapToInt(credits::get).max().orElseThrow();
            String next = weights.keySet().stream()
                    .filter(name -> running.contains(name) && credits.get(name) == most)
                    .findFirst()
                    .orElseThrow();
            credits.merge(next, -all, Integer::sum);
            turns.merge(next, 1, Integer::sum);
        }
        return turns;
    }
}
