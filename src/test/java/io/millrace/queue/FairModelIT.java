package io.millrace.queue;

import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.queue.Admission.Overflow;
import io.millrace.queue.FairModel.Item;
import io.millrace.redis.Reply;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
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

    private static final int ATTEMPTS = 3;
    private static final LeaseOptions LONG =
            LeaseOptions.builder().maxAttempts(ATTEMPTS).build();
    private static final List<String> FACETS =
            List.of("a", "b", "c", "", "a:b", "1:a/", "é\u0000\n\"\\", "ring", "w:a", "😀");
    private static final List<String> UNRELATED =
            IntStream.range(0, 12).mapToObj(i -> "unrelated" + i).toList();
    private static final double[] WEIGHTS = {0, 0.25, 0.5, 1, 1, 2, 4}; // sums of their inverses are exact

    private QueueRig rig;
    private Policies policies;
    private Random random;
    private List<FairModel> models;
    private final Map<Item, Delivery> held = new HashMap<>();
    private final List<Batch> batches = new ArrayList<>();
    private int delays;
    private int dues;

    private record Batch(FairModel model, List<Item> items, DeliveryBatch lease) {}

    @ParameterizedTest(name = "seed {0}, {1} partitions")
    @MethodSource("io.millrace.queue.ModelRun#runs")
    @Tag("F27")
    @Tag("S5")
    @Timeout(300)
    @DisplayName("F27 a queue with policies does what its model does, step by step")
    void likeItsModel(long seed, int partitions, RedisServer server, @Namespace String namespace) {
        random = new Random(seed);
        models =
                Stream.generate(() -> new FairModel(ATTEMPTS)).limit(partitions).toList();
        try (QueueRig own = QueueRig.on(server, namespace, partitions)) {
            rig = own;
            policies = rig.queue.policies();
            UNRELATED.forEach(facet -> policies.weight(facet, 2).block(SOON)); // QueueModelIT has the plain queue
            assertThat(UNRELATED.stream().map(rig::of).distinct()).hasSize(partitions);
            ModelRun.of(seed, partitions, this::step, this::compare, this::drain);
        }
    }

    private FairModel model(String facet) {
        return models.get(rig.of(facet));
    }

    private Partition any() {
        return rig.queue.layout().now().block(SOON).all().get(random.nextInt(models.size()));
    }

    private String step() {
        int dice = random.nextInt(100);
        if (dice < 35) {
            return deliver();
        } else if (dice < 43) {
            return pull(1 + random.nextInt(4));
        } else if (dice < 57) {
            return lease(1 + random.nextInt(6));
        } else if (dice < 60) {
            return leaseBatch(1 + random.nextInt(6));
        } else if (dice < 61) {
            return expire(1 + random.nextInt(4));
        } else if (dice < 77) {
            return endOne();
        } else if (dice < 80) {
            return endBatch();
        } else if (dice < 84) {
            return delay();
        } else if (dice < 86) {
            return due();
        } else if (dice < 89) {
            return deadLetter();
        } else if (dice < 91) {
            return limit();
        }
        return policy();
    }

    private String deliver() {
        String facet = anyFacet();
        String id = "m" + random.nextInt(800);
        Delivered delivered = rig.mill.deliver(QueueRig.event(facet, id)).block(SOON);
        String expected = model(facet).deliver(id, facet);
        assertThat(outcome(delivered)).isEqualTo(expected);
        return "deliver " + id + " to " + facet + ": " + expected;
    }

    private String pull(int n) {
        Partition from = any();
        List<String> peeked = from.insight().peek(n).block(SOON).messages().stream()
                .map(message -> message.id() + "#" + message.attempt())
                .toList();
        List<String> got = from.pulls().take(n).block(SOON).items().stream()
                .map(message -> message.id() + "#" + message.attempt())
                .toList();
        assertThat(got).isEqualTo(shown(models.get(from.index()).take(n, false)));
        assertThat(peeked).isEqualTo(got);
        return "pull " + n + ": " + got;
    }

    private String lease(int n) {
        Partition from = any();
        FairModel model = models.get(from.index());
        List<Delivery> got = from.pulls().lease(n, LONG).block(SOON).items();
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
        List<Item> leased = models.stream()
                .flatMap(each -> each.leased.stream())
                .filter(held::containsKey)
                .toList();
        if (leased.isEmpty()) {
            return "nothing to end";
        }
        Item item = leased.get(random.nextInt(leased.size()));
        FairModel model = model(item.facet);
        Delivery one = held.get(item);
        int how = random.nextInt(9);
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
            case 6 -> {
                model.bury(item);
                assertThat(one.bury("bad").block(SOON)).isTrue();
            }
            default -> {
                model.giveBackLater(item);
                assertThat(one.nack(Duration.ofHours(1).plusSeconds(10L * delays++))
                                .block(SOON))
                        .isTrue();
            }
        }
        return List.of("ack", "ack", "ack", "nack", "nack", "release", "bury", "", "nack later")
                        .get(how) + " " + item.id;
    }

    private String leaseBatch(int n) {
        Partition from = any();
        FairModel model = models.get(from.index());
        List<DeliveryBatch> got = from.pulls()
                .batch(n, LONG.mutate().batchSize(n).build(), List.of(), false)
                .block(SOON)
                .items();
        List<Item> expected = model.take(n, true);
        model.counted(expected);
        assertThat(got.stream()
                        .flatMap(batch -> batch.messages().stream())
                        .map(message -> message.id() + "#" + message.attempt())
                        .toList())
                .isEqualTo(shown(expected));
        got.forEach(batch -> batches.add(new Batch(model, expected, batch)));
        return "batch " + n + ": " + shown(expected);
    }

    private String endBatch() {
        if (batches.isEmpty()) {
            return "no batch to end";
        }
        Batch batch = batches.remove(random.nextInt(batches.size()));
        List<Integer> places = IntStream.range(0, batch.items().size())
                .filter(i -> random.nextBoolean())
                .boxed()
                .toList();
        List<Item> again = places.stream().map(batch.items()::get).toList();
        batch.model().endBatch(batch.items(), again);
        assertThat((places.isEmpty() ? batch.lease().ack() : batch.lease().nack(places, Duration.ZERO)).block(SOON))
                .isTrue();
        return "batch " + shown(batch.items()) + ", again " + shown(again);
    }

    /** Leases that nobody ends: one step, for real time passes. */
    private String expire(int n) {
        Partition from = any();
        FairModel model = models.get(from.index());
        LeaseOptions brief = LONG.mutate().lease(Duration.ofMillis(100)).build();
        int got = from.pulls().lease(n, brief).block(SOON).items().size();
        List<Item> expected = model.take(n, true);
        model.counted(expected);
        assertThat(got).isEqualTo(expected.size());
        Eventually.await("the leases to end", SOON, () -> {
            ModelRun.maintain(rig, LONG);
            return rig.number("XLEN", rig.key(from.index(), "l:" + brief.profile())) == 0;
        });
        model.expire(expected);
        return "expire " + shown(expected);
    }

    /** What was held back comes: messages that stepped aside, and facets in strict order. */
    private String due() {
        List<Item> later = models.stream().flatMap(each -> each.later.stream()).toList();
        if (!later.isEmpty()) {
            Item item = later.get(random.nextInt(later.size()));
            String key = rig.key(rig.of(item.facet), "later");
            Reply members = rig.raw("ZRANGE", key, 0, -1);
            byte[] member = IntStream.range(0, members.size())
                    .mapToObj(members::bytes)
                    .filter(bytes -> new String(bytes, StandardCharsets.UTF_8).contains("\"id\":\"" + item.id + "\""))
                    .findFirst()
                    .orElseThrow();
            rig.raw("ZADD", key, 1, member);
            ModelRun.maintain(rig, LONG);
            model(item.facet).dueAgain(item);
            return "due again " + item.id;
        }
        List<String> facets =
                models.stream().flatMap(each -> each.heldFacets().stream()).toList();
        if (facets.isEmpty()) {
            return "nothing is held back";
        }
        String facet = facets.get(random.nextInt(facets.size()));
        dues++;
        rig.raw("ZADD", rig.key(rig.of(facet), "hold"), dues, facet);
        rig.raw("ZADD", rig.key(rig.of(facet), "throttled"), "XX", dues, facet);
        model(facet).dueFacet(facet);
        return "due facet " + facet;
    }

    private String delay() {
        List<Item> delayed =
                models.stream().flatMap(each -> each.delayed.values().stream()).toList();
        if (!delayed.isEmpty() && random.nextInt(3) > 0) {
            Item item = delayed.get(random.nextInt(delayed.size()));
            boolean single =
                    delayed.stream().filter(one -> one.id.equals(item.id)).count() == 1; // facets may share an id
            if (single && random.nextBoolean()) {
                assertThat(rig.queue.cancel(item.id).block(SOON)).isTrue();
                model(item.facet).cancel(item.id);
                return "cancel " + item.id;
            }
            rig.raw("ZADD", rig.key(rig.of(item.facet), "later"), 1, "=" + item.id);
            ModelRun.maintain(rig, LONG);
            model(item.facet).due(item.id);
            return "due " + item.id;
        }
        String facet = anyFacet();
        String id = "m" + random.nextInt(800);
        Delivered delivered = rig.mill
                .queues()
                .deliverAfter(QueueRig.event(facet, id), Duration.ofHours(1))
                .block(SOON);
        String expected = model(facet).delay(id, facet);
        assertThat(outcome(delivered)).isEqualTo(expected);
        return "delay " + id + " to " + facet + ": " + expected;
    }

    private static String outcome(Delivered delivered) {
        return !delivered.duplicateIn().isEmpty()
                ? "duplicate"
                : !delivered.refusedBy().isEmpty()
                        ? "refused"
                        : delivered.displaced().isEmpty()
                                ? "queued"
                                : delivered.displaced().get(0);
    }

    private String deadLetter() {
        List<DeadLetter> letters = rig.deadLetters();
        if (letters.isEmpty()) {
            return "nothing is dead";
        }
        if (random.nextInt(4) == 0) {
            return allDeadLetters(letters.size());
        }
        DeadLetter letter = letters.get(random.nextInt(letters.size()));
        String entry = letter.entry();
        FairModel model = model(letter.message().facet());
        Item item = model.dead.get((int) letters.stream()
                .takeWhile(before -> !before.entry().equals(entry))
                .filter(before -> model(before.message().facet()) == model)
                .count());
        if (random.nextBoolean()) {
            assertThat(rig.queue.redrive(List.of(entry)).block(SOON)).isEqualTo(1);
            model.redrive(item);
            return "redrive " + item.id;
        }
        assertThat(rig.queue.dropDeadLetters(List.of(entry)).block(SOON)).isEqualTo(1);
        model.dead.remove(item);
        return "drop " + item.id;
    }

    private String allDeadLetters(int count) {
        if (random.nextInt(3) > 0) {
            assertThat(rig.queue.redriveAll().block(SOON)).isEqualTo(count);
            models.forEach(model -> List.copyOf(model.dead).forEach(model::redrive));
            return "redrive all";
        }
        String facet = anyFacet();
        List<Item> dead = model(facet).dead.stream()
                .filter(item -> item.facet.equals(facet))
                .toList();
        assertThat(rig.queue.dropAllDeadLetters(facet).block(SOON)).isEqualTo(dead.size());
        model(facet).dead.removeAll(dead);
        return "drop all of " + facet;
    }

    private String limit() {
        if (random.nextBoolean()) {
            String facet = anyFacet();
            int own = random.nextInt(6) - 1;
            policies.limitWaiting(facet, own).block(SOON);
            model(facet).ownLimit(facet, own);
            return "limit of " + facet + " " + own;
        }
        int limit = random.nextInt(3) == 0 ? 0 : 3 + random.nextInt(5);
        boolean dropOldest = random.nextBoolean();
        models.forEach(model -> {
            model.limit = limit;
            model.dropOldest = dropOldest;
        });
        Admission admission =
                limit == 0 ? Admission.UNLIMITED : Admission.of(limit, dropOldest ? Overflow.OLDEST : Overflow.REJECT);
        rig.mill.queues().register("q", ".*", admission).block(SOON);
        return "limit " + admission;
    }

    private String policy() {
        String facet = anyFacet();
        switch (random.nextInt(8)) {
            case 0, 1 -> {
                double weight = WEIGHTS[random.nextInt(WEIGHTS.length)];
                policies.weight(facet, weight).block(SOON);
                model(facet).weight(facet, weight);
                return "weight " + facet + " " + weight;
            }
            case 2 -> {
                boolean pause = random.nextInt(3) == 0;
                (pause ? policies.pause(facet) : policies.resume(facet)).block(SOON);
                model(facet).pause(facet, pause);
                return "pause " + facet + " " + pause;
            }
            case 3 -> {
                boolean pause = random.nextInt(3) == 0;
                (pause ? policies.pause() : policies.resume()).block(SOON);
                models.forEach(model -> model.paused = pause);
                return "pause " + pause;
            }
            case 4 -> {
                int cap = random.nextInt(3);
                policies.cap(facet, cap == 0 ? Cap.NONE : Cap.of(cap)).block(SOON);
                model(facet).tracked |= cap > 0;
                model(facet).cap(facet, cap);
                return "cap " + facet + " " + cap;
            }
            case 5 -> {
                int cap = random.nextInt(3) * 6;
                policies.cap(cap == 0 ? Cap.NONE : Cap.of(cap)).block(SOON);
                assertThat(policies.show().block(SOON).cap().messages()).isEqualTo(cap);
                for (int i = 0; i < models.size(); i++) {
                    models.get(i).cap = cap / models.size() + (i < cap % models.size() ? 1 : 0);
                    models.get(i).tracked |= cap > 0;
                }
                return "cap " + cap;
            }
            case 6 -> {
                boolean strict = random.nextBoolean();
                policies.order(strict ? Order.STRICT : Order.FREE).block(SOON);
                models.forEach(model -> {
                    model.tracked |= strict;
                    model.order(strict);
                });
                return "strict " + strict;
            }
            default -> {
                int cap = random.nextInt(3);
                policies.capEach(cap == 0 ? Cap.NONE : Cap.of(cap)).block(SOON);
                models.forEach(model -> {
                    model.tracked |= cap > 0;
                    model.capEach(cap);
                });
                return "cap each " + cap;
            }
        }
    }

    private void compare() {
        List<String> states = new ArrayList<>();
        for (FacetState state : rig.facets()) {
            states.add(state.facet() + "=" + state.waiting() + "/" + state.inFlight() + "/" + state.later());
        }
        assertThat(states)
                .containsExactlyInAnyOrderElementsOf(models.stream()
                        .flatMap(model -> model.states().stream())
                        .toList());
        List<DeadLetter> letters = rig.deadLetters();
        for (FairModel model : models) {
            assertThat(letters.stream()
                            .map(DeadLetter::message)
                            .filter(message -> model(message.facet()) == model)
                            .map(Message::id)
                            .toList())
                    .isEqualTo(model.dead.stream().map(item -> item.id).toList());
        }
    }

    /** Takes all policies away: everything comes, and the queue is a plain one that leaves nothing behind. */
    private void drain() {
        assertThat(rig.doctor().findings()).isEmpty();
        UNRELATED.forEach(facet -> policies.weight(facet, 1).block(SOON));
        policies.resume()
                .then(policies.cap(Cap.NONE))
                .then(policies.capEach(Cap.NONE))
                .then(policies.order(Order.FREE))
                .block(SOON);
        for (String facet : FACETS) {
            policies.weight(facet, 1)
                    .then(policies.resume(facet))
                    .then(policies.cap(facet, Cap.NONE))
                    .then(policies.limitWaiting(facet, -1))
                    .block(SOON);
        }
        List.copyOf(held.values())
                .forEach(one -> assertThat(one.ack().block(SOON)).isTrue());
        batches.forEach(batch -> assertThat(batch.lease().ack().block(SOON)).isTrue());
        while (models.stream().anyMatch(model -> !model.later.isEmpty())) {
            due();
        }
        models.stream()
                .flatMap(model -> model.delayed.keySet().stream())
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
        assertThat(policies.show().block(SOON).isPlain()).isTrue();
        assertThat(rig.doctor().findings()).isEmpty();
        assertThat(rig.keys()).allMatch(key -> ModelRun.mayStay(key) || key.contains(":extended"));
    }

    private String anyFacet() {
        return FACETS.get(random.nextInt(FACETS.size()));
    }

    private static List<String> shown(List<Item> items) {
        return items.stream().map(item -> item.id + "#" + item.used).toList();
    }
}
