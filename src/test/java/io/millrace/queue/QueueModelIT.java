package io.millrace.queue;

import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.queue.QueueModel.Item;
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
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Random steps on a queue and on {@link QueueModel}, compared after each. {@code -Dmodel.seeds=20} for more, {@code -Dmodel.seed=n} for one. */
@RedisTest
class QueueModelIT {

    private static final int STEPS = Integer.getInteger("model.steps", 1_000);
    private static final int ATTEMPTS = 3;
    private static final LeaseOptions LONG =
            LeaseOptions.builder().maxAttempts(ATTEMPTS).build();
    private static final LeaseOptions SHORT =
            LONG.mutate().lease(Duration.ofMillis(100)).build();
    private static final List<String> FACETS = List.of(
            "a", "b", "c", "", "a:b", "1:a/", "{x}", "é\u0000\n\"\\", "😀", "ring", "f:a", "%3a", "a\"}", "[1]");

    private QueueRig rig;
    private Random random;
    private QueueModel model;
    private final Map<String, Delivery> single = new HashMap<>(); // by the names of the model's leases
    private final Map<String, DeliveryBatch> batches = new HashMap<>();
    private final List<Receipt> stale = new ArrayList<>();
    private int names;

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
    @DisplayName("F27 a queue does what its model does, step by step")
    void likeItsModel(long seed, RedisServer server, @Namespace String namespace) {
        random = new Random(seed);
        model = new QueueModel(ATTEMPTS);
        List<String> steps = new ArrayList<>();
        try (QueueRig own = QueueRig.on(server, namespace)) {
            rig = own;
            for (int i = 0; i < STEPS; i++) {
                steps.add("?");
                steps.set(i, step());
                compare();
            }
            drain();
        } catch (RuntimeException | AssertionError e) {
            throw new AssertionError(
                    "-Dmodel.seed=" + seed + ", step " + steps.size() + ", the last ones: "
                            + steps.subList(Math.max(0, steps.size() - 12), steps.size()),
                    e);
        }
    }

    private String step() {
        int dice = random.nextInt(100);
        if (dice < 30) {
            return deliver();
        } else if (dice < 38) {
            return "pull " + pull(1 + random.nextInt(3));
        } else if (dice < 55) {
            return "lease " + lease(1 + random.nextInt(4));
        } else if (dice < 62) {
            return leaseBatch(1 + random.nextInt(5));
        } else if (dice < 92) {
            return endOne();
        } else if (dice < 94) {
            return expire();
        } else if (dice < 97) {
            return due();
        } else if (dice < 99) {
            return stale();
        }
        return registration();
    }

    private String deliver() {
        String facet = FACETS.get(random.nextInt(FACETS.size()));
        String id = "m" + random.nextInt(600);
        Delivered delivered = rig.mill.deliver(QueueRig.event(facet, id)).block(SOON);
        assertThat(delivered.queues()).hasSize(model.registered ? 1 : 0);
        if (model.registered) {
            assertThat(delivered.duplicateIn().isEmpty()).isEqualTo(model.deliver(id, facet));
        }
        return "deliver " + id + " to " + facet;
    }

    private int pull(int n) {
        List<String> got = rig.queue
                .pull(n)
                .map(message -> message.id() + "#" + message.attempt())
                .collectList()
                .block(SOON);
        assertThat(got).isEqualTo(shown(model.take(n)));
        return n;
    }

    private int lease(int n) {
        awaitNextMillisecond();
        List<Delivery> got = rig.lease(n, LONG);
        List<Item> expected = model.take(n);
        assertThat(got.stream().map(one -> shown(one.message())).toList()).isEqualTo(shown(expected));
        for (int i = 0; i < got.size(); i++) {
            String name = "l" + names++;
            single.put(name, got.get(i));
            model.leases.put(name, new ArrayList<>(List.of(expected.get(i))));
        }
        return n;
    }

    private String leaseBatch(int n) {
        List<Item> expected = model.take(n);
        if (!expected.isEmpty()) {
            awaitNextMillisecond();
            DeliveryBatch batch = rig.queue
                    .receiveBatches(LONG.mutate().batchSize(n).build())
                    .take(1)
                    .blockLast(SOON);
            assertThat(batch.messages().stream().map(QueueModelIT::shown).toList())
                    .isEqualTo(shown(expected));
            String name = "b" + names++;
            batches.put(name, batch);
            model.leases.put(name, expected);
        }
        return "lease a batch of " + n;
    }

    private String endOne() {
        if (model.leases.isEmpty()) {
            return "nothing to end";
        }
        List<String> held = new ArrayList<>(model.leases.keySet());
        String name = held.get(random.nextInt(held.size()));
        return (name.startsWith("b") ? endBatch(name) : endSingle(name)) + " " + name;
    }

    private String endSingle(String name) {
        Delivery one = single.get(name);
        int how = random.nextInt(6);
        if (how == 5) {
            stale.add(one.receipt());
            assertThat(one.extend().block(SOON)).isTrue();
            return "extend";
        }
        List<Item> items = model.leases.remove(name);
        single.remove(name);
        stale.add(one.receipt());
        Item item = items.get(0);
        switch (how) {
            case 0, 1 -> assertThat(one.ack().block(SOON)).isTrue();
            case 2 -> {
                model.giveBack(item, true);
                assertThat(one.nack().block(SOON)).isTrue();
            }
            case 3 -> {
                model.giveBackLater(item);
                assertThat(one.nack(Duration.ofHours(1)).block(SOON)).isTrue();
            }
            default -> {
                model.giveBack(item, false);
                assertThat(one.release().block(SOON)).isTrue();
            }
        }
        return List.of("ack", "ack", "nack", "nack later", "release").get(how);
    }

    private String endBatch(String name) {
        DeliveryBatch batch = batches.get(name);
        int how = random.nextInt(5);
        if (how == 4) {
            stale.add(batch.receipt());
            assertThat(batch.extend().block(SOON)).isTrue();
            return "extend";
        }
        List<Item> items = model.leases.remove(name);
        batches.remove(name);
        stale.add(batch.receipt());
        switch (how) {
            case 0 -> assertThat(batch.ack().block(SOON)).isTrue();
            case 1 -> {
                items.forEach(item -> model.giveBack(item, true));
                assertThat(batch.nack(Duration.ZERO).block(SOON)).isTrue();
            }
            case 2 -> {
                items.forEach(item -> model.giveBack(item, false));
                assertThat(batch.release().block(SOON)).isTrue();
            }
            default -> {
                List<Integer> failed = new ArrayList<>();
                for (int i = 0; i < items.size(); i++) {
                    if (random.nextBoolean()) {
                        failed.add(i);
                        model.giveBack(items.get(i), true);
                    }
                }
                assertThat(batch.nack(failed, Duration.ZERO).block(SOON)).isTrue();
            }
        }
        return List.of("ack", "nack", "release", "nack some").get(how);
    }

    /** Leases for the shortest time and lets that pass. */
    private String expire() {
        awaitNextMillisecond();
        List<Delivery> got = rig.lease(1 + random.nextInt(4), SHORT);
        List<Item> items = model.take(got.size());
        assertThat(got.stream().map(one -> shown(one.message())).toList()).isEqualTo(shown(items));
        if (!got.isEmpty()) {
            long last = beginOf(got.get(got.size() - 1).receipt());
            Eventually.await("the end of the lease", SOON, () -> serverMillis() > last + 100);
            got.forEach(one -> stale.add(one.receipt()));
            maintain();
            items.forEach(item -> model.giveBack(item, true));
        }
        return "expire " + got.size();
    }

    /** The time of one that is held back has come. */
    private String due() {
        if (model.later.isEmpty()) {
            return "nothing is held back";
        }
        byte[] member = rig.raw("ZRANGE", rig.key("later"), 0, 0).bytes(0);
        String text = new String(member, StandardCharsets.UTF_8);
        String id = text.replaceAll("(?s).*\"id\":\"(m\\d+)\".*", "$1");
        rig.raw("ZADD", rig.key("later"), 1, member);
        maintain();
        model.due(id);
        return "due " + id;
    }

    /** Receipts of leases that have ended, however that was, are refused. */
    private String stale() {
        if (!stale.isEmpty()) {
            Receipt receipt = stale.get(random.nextInt(stale.size()));
            assertThat(rig.queue.acknowledge(receipt).block(SOON)).isFalse();
        }
        return "stale";
    }

    private String registration() {
        if (model.registered && random.nextInt(3) == 0) {
            single.values().forEach(one -> stale.add(one.receipt()));
            single.clear();
            batches.clear();
            assertThat(rig.queue.destroy().block(SOON)).isEqualTo(model.destroy());
            assertThat(rig.keys()).noneMatch(key -> key.startsWith(rig.key("")));
            return "destroy";
        }
        if (model.registered) {
            assertThat(rig.mill.queues().unregister("q").block(SOON)).isTrue();
        } else {
            rig.mill.queues().register("q", ".*").block(SOON);
        }
        model.registered = !model.registered;
        return "registered: " + model.registered;
    }

    private void compare() {
        List<String> states = new ArrayList<>();
        List<String> rest = new ArrayList<>();
        for (FacetState state : rig.facets()) {
            (state.waiting() > 0 ? states : rest)
                    .add(state.facet() + "=" + state.waiting() + "/" + state.inFlight() + "/" + state.later());
        }
        rest.sort(null);
        states.addAll(rest);
        List<String> expected = model.states();
        List<String> sorted = new ArrayList<>(expected.subList(model.ring.size(), expected.size()));
        sorted.sort(null);
        expected = new ArrayList<>(expected.subList(0, model.ring.size()));
        expected.addAll(sorted);
        assertThat(states).isEqualTo(expected);
        assertThat(rig.queue.peek(40).map(QueueModelIT::shown).collectList().block(SOON))
                .isEqualTo(model.peek(40));
        assertThat(rig.queue
                        .deadLetters()
                        .map(letter -> shown(letter.message()))
                        .collectList()
                        .block(SOON))
                .isEqualTo(model.dead);
    }

    private void drain() {
        assertThat(rig.doctor().findings()).isEmpty();
        while (!model.leases.isEmpty()) {
            endOne();
        }
        while (!model.later.isEmpty()) {
            due();
        }
        pull(256);
        while (!model.ring.isEmpty()) {
            pull(256);
        }
        compare();
        assertThat(rig.doctor().findings()).isEmpty();
        assertThat(rig.keys())
                .allMatch(key -> key.contains("{registry}")
                        || key.endsWith(":dead")
                        || key.contains(":ids")
                        || key.endsWith(":leases")
                        || key.contains(":l:")
                        || (key.startsWith(rig.key("extended")) && rig.number("PTTL", key) > 0));
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

    /** Leases of different kinds in one and the same millisecond have no order between them. */
    private void awaitNextMillisecond() {
        long now = serverMillis();
        Eventually.await("the next millisecond", SOON, () -> serverMillis() > now);
    }

    private long serverMillis() {
        Reply time = rig.raw("TIME");
        return time.number(0) * 1000 + time.number(1) / 1000;
    }

    private static long beginOf(Receipt receipt) {
        return Long.parseLong(receipt.entry().substring(0, receipt.entry().indexOf('-')));
    }

    private static String shown(Message message) {
        return message.id() + "#" + message.attempt();
    }

    private static List<String> shown(List<Item> taken) {
        return taken.stream().map(item -> item.id + "#" + item.used).toList();
    }
}
