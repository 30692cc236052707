package io.millrace.queue;

import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.queue.FairFacet.Item;
import io.millrace.redis.Reply;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Random steps on a queue with policies and on a {@link FairModel} for each of its partitions, compared after each. Partitions are pulled
 * from one at a time: what turns they take is {@link QueueModelIT}'s.
 */
@RedisTest
class FairModelIT {

    private QueueRig rig;
    private FairRun run;
    private FairDeliveries deliveries;
    private FairLeases leases;
    private FairPolicies policies;
    private Random random;

    @ParameterizedTest(name = "seed {0}, {1} partitions")
    @MethodSource("io.millrace.queue.ModelRun#runs")
    @Tag("F27")
    @Tag("S5")
    @Timeout(300)
    @DisplayName("F27 a queue with policies does what its model does, step by step")
    void likeItsModel(long seed, int partitions, RedisServer server, @Namespace String namespace) {
        random = new Random(seed);
        try (QueueRig own = QueueRig.on(server, namespace, partitions)) {
            rig = own;
            run = new FairRun(rig, random);
            deliveries = new FairDeliveries(run);
            leases = new FairLeases(run);
            policies = new FairPolicies(run);
            ModelRun.of(seed, partitions, this::step, this::compare, this::drain);
        }
    }

    private String step() {
        int dice = random.nextInt(200);
        if (dice < 56) {
            return deliveries.deliver();
        } else if (dice < 64) {
            return deliveries.deliverAll();
        } else if (dice < 80) {
            return leases.pull(1 + random.nextInt(4));
        } else if (dice < 110) {
            return leases.lease(1 + random.nextInt(6));
        } else if (dice < 116) {
            return leases.leaseBatch(1 + random.nextInt(6));
        } else if (dice < 117) {
            return leases.expire(1 + random.nextInt(4));
        } else if (dice < 149) {
            return leases.endOne();
        } else if (dice < 155) {
            return leases.endBatch();
        } else if (dice < 163) {
            return deliveries.delay();
        } else if (dice < 168) {
            return leases.due();
        } else if (dice < 174) {
            return leases.deadLetter();
        } else if (dice < 179) {
            return deliveries.limit();
        } else if (dice < 181) {
            return policies.refill();
        } else if (dice < 182) {
            return random.nextBoolean() ? destroy() : examine();
        }
        return policies.change();
    }

    private String examine() {
        assertThat(rig.doctor().findings()).isEmpty();
        return "examine";
    }

    private String destroy() {
        assertThat(rig.queue.destroy().block(SOON)).isEqualTo(run.destroyed());
        deliveries.begin();
        return "destroy";
    }

    private void compare() {
        comparePaid();
        List<String> states = new ArrayList<>();
        for (FacetState state : rig.facets()) {
            states.add(state.facet() + "=" + state.waiting() + "/" + state.inFlight() + "/" + state.later());
        }
        assertThat(states)
                .containsExactlyInAnyOrderElementsOf(run.models.stream()
                        .flatMap(model -> model.states().stream())
                        .toList());
        List<DeadLetter> letters = rig.deadLetters();
        for (FairModel model : run.models) {
            assertThat(letters.stream()
                            .map(DeadLetter::message)
                            .filter(message -> run.model(message.facet()) == model)
                            .map(Message::id)
                            .toList())
                    .isEqualTo(model.dead.stream().map(item -> item.id).toList());
        }
    }

    /** What each has paid counts for a long time: here, to the last bit. */
    private void comparePaid() {
        for (int i = 0; i < run.models.size(); i++) {
            Reply fair = rig.raw("ZRANGE", rig.key(i, "fair"), 0, -1, "WITHSCORES");
            Map<String, Double> paid = new TreeMap<>();
            for (int at = 0; at < fair.size(); at++) {
                Reply one = fair.list(at);
                paid.put(one.text(0).substring(17), Double.parseDouble(one.text(1)));
            }
            assertThat(paid).isEqualTo(run.models.get(i).keys());
            Reply now = rig.raw("HGET", rig.key(i, "policy"), "vt");
            double time = now.size() == 0 || now.isNull(0) ? 0 : Double.parseDouble(now.text(0));
            assertThat(time).isEqualTo(run.models.get(i).time);
        }
    }

    /** Takes all policies away: everything comes, and the queue is a plain one that leaves nothing behind. */
    private void drain() {
        examine();
        policies.none();
        run.held.values().forEach(one -> assertThat(one.ack().block(SOON)).isTrue());
        run.batches.forEach(batch -> assertThat(batch.lease().ack().block(SOON)).isTrue());
        for (FairModel model : run.models) {
            for (Item item : List.copyOf(model.later)) {
                run.dueAgain(item);
            }
        }
        run.models.stream()
                .flatMap(model -> model.admission.delayed.keySet().stream())
                .distinct()
                .forEach(id -> assertThat(rig.queue.cancel(id).block(SOON)).isTrue());
        long waiting = rig.waiting();
        assertThat(rig.queue.pull(1000).count().block(SOON)).isEqualTo(waiting);
        assertThat(rig.pullIds(1)).isEmpty();
        rig.queue
                .layout()
                .now()
                .block(SOON)
                .all()
                .forEach(one ->
                        assertThat(one.pulls().take(1).block(SOON).items()).isEmpty());
        examine();
        assertThat(rig.keys()).allMatch(key -> ModelRun.mayStay(key) || key.contains(":extended"));
    }
}
