package io.millrace.queue;

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Whose turn it is among the partitions of a queue, so that their facets get equal shares however they hash: self-clocked fair
 * queueing, as it is done among facets, with the weight of a partition being the weights of its active facets in all. Who was away
 * gains nothing by it. Thread safe.
 */
final class Turns {

    private final double[] paid; // virtual time up to which each has had its turns
    private final double[] share; // 0: not known yet
    private final boolean[] away;
    private double now;

    Turns(int partitions) {
        this.paid = new double[partitions];
        this.share = new double[partitions];
        this.away = new boolean[partitions];
    }

    /** How much a partition is due. The first time a lot decides where it stands, so that short lived readers are fair together. */
    synchronized void share(int partition, double weight) {
        if (share[partition] == 0 && weight > 0) {
            double lot = -Math.log(1 - ThreadLocalRandom.current().nextDouble());
            paid[partition] = now + (lot - 1) / weight;
        }
        if (weight > 0) {
            share[partition] = weight;
        }
    }

    /** The next turns, in order; nobody's if there is none to give them to. */
    synchronized int[] plan(int turns, List<Integer> among) {
        if (among.isEmpty()) {
            return new int[0];
        }
        for (int partition : among) {
            if (away[partition]) {
                away[partition] = false;
                paid[partition] = Math.max(paid[partition], now);
            }
        }
        int[] plan = new int[turns];
        for (int turn = 0; turn < turns; turn++) {
            int best = among.get(0);
            for (int partition : among) {
                if (tag(partition) < tag(best)) {
                    best = partition;
                }
            }
            now = Math.max(now, tag(best));
            paid[best] = tag(best);
            plan[turn] = best;
        }
        return plan;
    }

    /** What came of turns: nobody pays for more, or less, than it got. */
    synchronized void settle(int partition, int planned, int got, boolean more) {
        paid[partition] += (got - planned) / weight(partition);
        away[partition] = !more;
    }

    /** When its next message would be done. */
    private double tag(int partition) {
        return paid[partition] + 1 / weight(partition);
    }

    private double weight(int partition) {
        return share[partition] == 0 ? 1 : share[partition];
    }

    @Override
    public synchronized String toString() {
        return "Turns[" + Arrays.toString(share) + "]";
    }
}
