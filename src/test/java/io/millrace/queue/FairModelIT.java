package io.millrace.queue;

import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.queue.Admission.Overflow;
import io.millrace.queue.FairModel.Item;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Random steps on a queue with policies and on {@link FairModel}, compared after each. {@code -Dmodel.seeds=20} for more,
 * {@code -Dmodel.seed=n} for one.
 */
@RedisTest
class FairModelIT {

    private static final int STEPS = Integer.getInteger("model.steps", 1_000);
    private static final int ATTEMPTS = 3;
    private static final LeaseOptions LONG =
            LeaseOptions.builder().maxAttempts(ATTEMPTS).build();
    private static final List<String> FACETS =
            List.of("a", "b", "c", "", "a:b", "1:a/", "é\u0000\n\"\\", "ring", "w:a", "😀");
    private static final double[] WEIGHTS = {0, 0.25, 0.5, 1, 1, 2, 4}; // sums of their inverses are exact

    private QueueRig rig;
    private Policies policies;
    private Random random;
    private FairModel model;
    private final Map<Item, Delivery> held = new HashMap<>();

    static Stream<Long> seeds() {
        Long only = Long.getLong("model.seed");
        return only != null
                ? Stream.of(only)
                : LongStream.rangeClosed(1, Integer.getInteger("model.seeds", 3))
                        .boxed();
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    @Tag("F27")
    @Tag("S5")
    @Timeout(300)
    @DisplayName("F27 a queue with policies does what its model does, step by step")
    void likeItsModel(long seed, RedisServer server, @Namespace String namespace) {
        random = new Random(seed);
        model = new FairModel(ATTEMPTS);
        List<String> steps = new ArrayList<>();
        try (QueueRig own = QueueRig.on(server, namespace)) {
            rig = own;
            policies = rig.queue.policies();
            policies.weight("unrelated", 2).block(SOON); // QueueModelIT has the plain queue
            for (int i = 0; i < STEPS; i++) {
                steps.add("?");
                steps.set(i, step());
                compare();
            }
            drain();
        } catch (RuntimeException | AssertionError e) {
            throw new AssertionError(
                    "-Dmodel.seed=" + seed + ", step " + steps.size() + ", the last ones: "
                            + steps.subList(Math.max(0, steps.size() - 15), steps.size()),
                    e);
        }
    }

    private String step() {
        int dice = random.nextInt(100);
        if (dice < 35) {
            return deliver();
        } else if (dice < 43) {
            return pull(1 + random.nextInt(4));
        } else if (dice < 60) {
            return lease(1 + random.nextInt(6));
        } else if (dice < 80) {
            return endOne();
        } else if (dice < 85) {
            return delay();
        } else if (dice < 88) {
            return deadLetter();
        } else if (dice < 90) {
            return limit();
        }
        return policy();
    }

    private String deliver() {
        String facet = anyFacet();
        String id = "m" + random.nextInt(800);
        Delivered delivered = rig.mill.deliver(QueueRig.event(facet, id)).block(SOON);
        String expected = model.deliver(id, facet);
        String got = !delivered.duplicateIn().isEmpty()
                ? "duplicate"
                : !delivered.refusedBy().isEmpty()
                        ? "refused"
                        : delivered.displaced().isEmpty()
                                ? "queued"
                                : delivered.displaced().get(0);
        assertThat(got).isEqualTo(expected);
        return "deliver " + id + " to " + facet + ": " + expected;
    }

    private String pull(int n) {
        List<String> got = rig.queue
                .pull(n)
                .map(message -> message.id() + "#" + message.attempt())
                .collectList()
                .block(SOON);
        assertThat(got).isEqualTo(shown(model.take(n, false)));
        return "pull " + n + ": " + got;
    }

    private String lease(int n) {
        List<Delivery> got = rig.lease(n, LONG);
        List<Item> expected = model.take(n, true);
        model.counted(expected);
        assertThat(got.stream()
                        .map(one -> one.message().id() + "#" + one.message().attempt())
                        .toList())
                .isEqualTo(shown(expected));
        for (int i = 0; i < got.size(); i++) {
            held.put(expected.get(i), got.get(i));
        }
        return "lease " + n + ": " + shown(expected);
    }

    private String endOne() {
        if (model.leased.isEmpty()) {
            return "nothing to end";
        }
        Item item = model.leased.get(random.nextInt(model.leased.size()));
        Delivery one = held.get(item);
        int how = random.nextInt(8);
        if (how == 7) {
            assertThat(one.extend().block(SOON)).isTrue();
            return "extend " + item.id;
        }
        held.remove(item);
        switch (how) {
            case 0, 1, 2 -> {
                model.acknowledge(item);
                assertThat(one.ack().block(SOON)).isTrue();
            }
            case 3, 4 -> {
                model.giveBack(item, true);
                assertThat(one.nack().block(SOON)).isTrue();
            }
            case 5 -> {
                model.giveBack(item, false);
                assertThat(one.release().block(SOON)).isTrue();
            }
            default -> {
                model.bury(item);
                assertThat(one.bury("bad").block(SOON)).isTrue();
            }
        }
        return List.of("ack", "ack", "ack", "nack", "nack", "release", "bury").get(how) + " " + item.id;
    }

    private String delay() {
        if (!model.delayed.isEmpty() && random.nextInt(3) > 0) {
            List<String> ids = new ArrayList<>(model.delayed.keySet());
            String id = ids.get(random.nextInt(ids.size()));
            if (random.nextBoolean()) {
                assertThat(rig.queue.cancel(id).block(SOON)).isTrue();
                model.cancel(id);
                return "cancel " + id;
            }
            rig.raw("ZADD", rig.key("later"), 1, "=" + id);
            maintain();
            model.due(id);
            return "due " + id;
        }
        String facet = anyFacet();
        String id = "m" + random.nextInt(800);
        Delivered delivered = rig.mill
                .queues()
                .deliverAfter(QueueRig.event(facet, id), Duration.ofHours(1))
                .block(SOON);
        assertThat(delivered.duplicateIn().isEmpty()).isEqualTo(model.delay(id, facet));
        return "delay " + id + " to " + facet;
    }

    private String deadLetter() {
        if (model.dead.isEmpty()) {
            return "nothing is dead";
        }
        int at = random.nextInt(model.dead.size());
        String entry = rig.deadLetters().get(at).entry();
        Item item = model.dead.get(at);
        if (random.nextBoolean()) {
            assertThat(rig.queue.redrive(List.of(entry)).block(SOON)).isEqualTo(1);
            model.redrive(item);
            return "redrive " + item.id;
        }
        assertThat(rig.queue.dropDeadLetters(List.of(entry)).block(SOON)).isEqualTo(1);
        model.dead.remove(item);
        return "drop " + item.id;
    }

    private String limit() {
        model.limit = random.nextInt(3) == 0 ? 0 : 3 + random.nextInt(5);
        model.dropOldest = random.nextBoolean();
        Admission admission = model.limit == 0
                ? Admission.UNLIMITED
                : Admission.of(model.limit, model.dropOldest ? Overflow.OLDEST : Overflow.REJECT);
        rig.mill.queues().register("q", ".*", admission).block(SOON);
        return "limit " + admission;
    }

    private String policy() {
        String facet = anyFacet();
        switch (random.nextInt(7)) {
            case 0, 1 -> {
                double weight = WEIGHTS[random.nextInt(WEIGHTS.length)];
                policies.weight(facet, weight).block(SOON);
                model.weight(facet, weight);
                return "weight " + facet + " " + weight;
            }
            case 2 -> {
                boolean pause = random.nextInt(3) == 0;
                (pause ? policies.pause(facet) : policies.resume(facet)).block(SOON);
                model.pause(facet, pause);
                return "pause " + facet + " " + pause;
            }
            case 3 -> {
                model.paused = random.nextInt(3) == 0;
                (model.paused ? policies.pause() : policies.resume()).block(SOON);
                return "pause " + model.paused;
            }
            case 4 -> {
                int cap = random.nextInt(3);
                policies.cap(facet, cap == 0 ? Cap.NONE : Cap.of(cap)).block(SOON);
                model.tracked |= cap > 0;
                model.cap(facet, cap);
                return "cap " + facet + " " + cap;
            }
            case 5 -> {
                model.cap = random.nextInt(3) * 6;
                policies.cap(model.cap == 0 ? Cap.NONE : Cap.of(model.cap)).block(SOON);
                model.tracked |= model.cap > 0;
                return "cap " + model.cap;
            }
            default -> {
                int cap = random.nextInt(3);
                policies.capEach(cap == 0 ? Cap.NONE : Cap.of(cap)).block(SOON);
                model.tracked |= cap > 0;
                model.capEach(cap);
                return "cap each " + cap;
            }
        }
    }

    private void compare() {
        List<String> states = new ArrayList<>();
        for (FacetState state : rig.facets()) {
            states.add(state.facet() + "=" + state.waiting() + "/" + state.inFlight() + "/" + state.later());
        }
        assertThat(states).containsExactlyInAnyOrderElementsOf(model.states());
        assertThat(rig.deadLetters().stream()
                        .map(letter -> letter.message().id())
                        .toList())
                .isEqualTo(model.dead.stream().map(item -> item.id).toList());
    }

    /** Takes all policies away: everything comes, and the queue is a plain one that leaves nothing behind. */
    private void drain() {
        assertThat(rig.doctor().findings()).isEmpty();
        policies.weight("unrelated", 1).block(SOON);
        policies.resume()
                .then(policies.cap(Cap.NONE))
                .then(policies.capEach(Cap.NONE))
                .block(SOON);
        for (String facet : FACETS) {
            policies.weight(facet, 1)
                    .then(policies.resume(facet))
                    .then(policies.cap(facet, Cap.NONE))
                    .block(SOON);
        }
        List.copyOf(held.values())
                .forEach(one -> assertThat(one.ack().block(SOON)).isTrue());
        model.delayed
                .keySet()
                .forEach(id -> assertThat(rig.queue.cancel(id).block(SOON)).isTrue());
        long waiting = rig.waiting();
        assertThat(rig.queue.pull(1000).count().block(SOON)).isEqualTo(waiting);
        assertThat(rig.pullIds(1)).isEmpty();
        assertThat(policies.show().block(SOON).isPlain()).isTrue();
        assertThat(rig.doctor().findings()).isEmpty();
        assertThat(rig.keys())
                .allMatch(key -> key.contains("{registry}")
                        || key.endsWith(":dead")
                        || key.contains(":ids")
                        || key.endsWith(":leases")
                        || key.contains(":l:")
                        || key.contains(":extended"));
    }

    private void maintain() {
        rig.mill
                .redis()
                .run(
                        QueueScripts.PULL,
                        List.of(Leases.bytes(rig.key(""))),
                        Stream.of("0", "each", LONG.profile(), "1")
                                .map(Leases::bytes)
                                .toList())
                .block(SOON);
    }

    private String anyFacet() {
        return FACETS.get(random.nextInt(FACETS.size()));
    }

    private static List<String> shown(List<Item> items) {
        return items.stream().map(item -> item.id + "#" + item.used).toList();
    }
}
