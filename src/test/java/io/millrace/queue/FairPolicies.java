package io.millrace.queue;

import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.function.Consumer;

/** Random changes of policies, done to a queue and to its {@link FairRun#models}. */
final class FairPolicies {

    private static final double[] WEIGHTS = {0, 0.25, 0.5, 1, 1, 2, 4}; // sums of their inverses are exact
    private static final Duration DAY = Duration.ofDays(1);

    private final FairRun run;

    FairPolicies(FairRun run) {
        this.run = run;
    }

    String change() {
        return run.random.nextBoolean() ? ofFacet(run.anyFacet()) : ofQueue();
    }

    private int any(int bound) {
        return run.random.nextInt(bound);
    }

    private static Cap cap(int messages, boolean elastic) {
        return messages == 0 ? Cap.NONE : elastic ? Cap.of(messages).whileOthersWait() : Cap.of(messages);
    }

    private Rate rate() {
        return any(2) == 0 ? Rate.UNLIMITED : new Rate(1 + any(2) + 1, DAY, 1 + any(2));
    }

    private String ofFacet(String facet) {
        FairModel model = run.model(facet);
        FairFacet modelled = model.facet(facet);
        switch (any(6)) {
            case 0, 1 -> {
                double weight = WEIGHTS[any(WEIGHTS.length)];
                run.policies.weight(facet, weight).block(SOON);
                double old = modelled.weight;
                set(model, modelled, old != weight, one -> one.weight = weight);
                model.reweigh(modelled, old);
                return "weight " + facet + " " + weight;
            }
            case 2 -> {
                boolean pause = any(3) == 0;
                (pause ? run.policies.pause(facet) : run.policies.resume(facet)).block(SOON);
                boolean wakes = !pause && modelled.weight == 0;
                set(model, modelled, modelled.paused != pause || wakes, one -> {
                    one.paused = pause;
                    one.weight = wakes ? 1 : one.weight;
                });
                return "pause " + facet + " " + pause;
            }
            case 3, 4 -> {
                Cap cap = cap(any(3), any(2) == 0);
                run.policies.cap(facet, cap).block(SOON);
                model.tracked |= cap.messages() > 0;
                set(model, modelled, !modelled.cap.equals(cap), one -> one.cap = cap);
                return "cap " + facet + " " + cap;
            }
            default -> {
                Rate rate = rate();
                run.policies.rate(facet, rate).block(SOON);
                set(model, modelled, !modelled.rate.equals(rate), one -> one.rate = rate);
                return "rate " + facet + " " + rate;
            }
        }
    }

    private static void set(FairModel model, FairFacet facet, boolean changed, Consumer<FairFacet> change) {
        change.accept(facet);
        if (changed) {
            model.judge(facet);
        }
    }

    private String ofQueue() {
        switch (any(6)) {
            case 0 -> {
                boolean pause = any(3) == 0;
                (pause ? run.policies.pause() : run.policies.resume()).block(SOON);
                run.models.forEach(model -> model.paused = pause);
                return "pause " + pause;
            }
            case 1 -> {
                return cap(any(3) * 6);
            }
            case 2 -> {
                return rate(any(2) == 0 ? Rate.UNLIMITED : new Rate(8, DAY, 4 + any(5)));
            }
            case 3 -> {
                boolean strict = any(2) == 0;
                run.policies.order(strict ? Order.STRICT : Order.FREE).block(SOON);
                run.models.forEach(model -> {
                    model.tracked |= strict;
                    model.strict = strict;
                    model.judgeAll();
                });
                return "strict " + strict;
            }
            case 4 -> {
                Cap cap = cap(any(3), any(2) == 0);
                run.policies.capEach(cap).block(SOON);
                run.models.forEach(model -> {
                    model.tracked |= cap.messages() > 0;
                    model.capEach = cap;
                    model.judgeAll();
                });
                return "cap each " + cap;
            }
            default -> {
                return any(2) == 0 ? cost() : rateEach();
            }
        }
    }

    private String cap(int cap) {
        run.policies.cap(cap == 0 ? Cap.NONE : Cap.of(cap)).block(SOON);
        assertThat(run.policies.show().block(SOON).cap().messages()).isEqualTo(cap);
        int partitions = run.models.size();
        for (int i = 0; i < partitions; i++) {
            run.models.get(i).cap = cap / partitions + (i < cap % partitions ? 1 : 0);
            run.models.get(i).tracked |= cap > 0;
        }
        return "cap " + cap;
    }

    private String rate(Rate rate) {
        run.policies.rate(rate).block(SOON);
        assertThat(run.policies.show().block(SOON).rate()).isEqualTo(rate);
        int partitions = run.models.size();
        for (int i = 0; i < partitions; i++) {
            run.models.get(i).burst = rate.burst() / partitions + (i < rate.burst() % partitions ? 1 : 0);
            run.models.get(i).interval = (double) rate.period().toMillis() * partitions / Math.max(1, rate.count());
        }
        return "rate " + rate;
    }

    private String rateEach() {
        Rate rate = rate();
        run.policies.rateEach(rate).block(SOON);
        run.models.forEach(model -> {
            model.rateEach = rate;
            model.judgeAll();
        });
        return "rate each " + rate;
    }

    private String cost() {
        Cost cost = Cost.values()[any(Cost.values().length)];
        run.policies.cost(cost).block(SOON);
        run.models.forEach(model -> {
            model.tracked |= cost == Cost.TIME;
            model.cost = cost;
        });
        return "cost " + cost;
    }

    /** What a rate of the whole queue has let through counts no more. */
    String refill() {
        int partition = any(run.models.size());
        run.rig.raw("HDEL", run.rig.key(partition, "policy"), "tat");
        run.models.get(partition).refill();
        return "refill partition " + partition;
    }

    static String ownLimit(FairRun run, String facet, int own) {
        run.policies.limitWaiting(facet, own).block(SOON);
        FairModel model = run.model(facet);
        FairFacet modelled = model.facet(facet);
        set(model, modelled, modelled.ownLimit != own, one -> one.ownLimit = own);
        return "limit of " + facet + " " + own;
    }

    /** Takes all of them away. */
    void none() {
        run.unrelated(1);
        run.policies
                .resume()
                .then(run.policies.cap(Cap.NONE))
                .then(run.policies.capEach(Cap.NONE))
                .then(run.policies.rate(Rate.UNLIMITED))
                .then(run.policies.rateEach(Rate.UNLIMITED))
                .then(run.policies.cost(Cost.MESSAGES))
                .then(run.policies.order(Order.FREE))
                .block(SOON);
        for (String facet : FairRun.FACETS) {
            run.policies
                    .weight(facet, 1)
                    .then(run.policies.resume(facet))
                    .then(run.policies.cap(facet, Cap.NONE))
                    .then(run.policies.rate(facet, Rate.UNLIMITED))
                    .then(run.policies.limitWaiting(facet, -1))
                    .block(SOON);
        }
        assertThat(run.policies.show().block(SOON).isPlain()).isTrue();
    }
}
