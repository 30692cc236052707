package io.millrace.queue;

import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.queue.QueueModel.Item;
import io.millrace.redis.RedisSettings;
import io.millrace.redis.Reply;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisClusterFixture;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Random steps on a queue and on a {@link QueueModel} for each of its partitions, compared after each. */
@RedisTest
class QueueModelIT {

    private static final int ATTEMPTS = 3;
    private static final LeaseOptions LONG =
            LeaseOptions.builder().maxAttempts(ATTEMPTS).build();
    private static final LeaseOptions SHORT =
            LONG.mutate().lease(Duration.ofMillis(100)).build();
    private static final List<String> FACETS = List.of(
            "a", "b", "c", "", "a:b", "1:a/", "{x}", "é\u0000\n\"\\", "😀", "ring", "f:a", "%3a", "a\"}", "[1]");

    private QueueRig rig;
    private Random random;
    private List<QueueModel> models;
    private boolean registered = true;
    private final Map<String, Delivery> single = new HashMap<>(); // by the names of the model's leases
    private final Map<String, DeliveryBatch> batches = new HashMap<>();
    private final List<Receipt> stale = new ArrayList<>();
    private int names;

    @ParameterizedTest(name = "seed {0}, {1} partitions")
    @MethodSource("io.millrace.queue.ModelRun#runs")
    @Tag("F27")
    @Tag("S5")
    @Timeout(300)
    @DisplayName("F27 a queue does what its model does, step by step")
    void likeItsModel(long seed, int partitions, RedisServer server, @Namespace String namespace) {
        random = new Random(seed);
        models = Stream.generate(() -> new QueueModel(ATTEMPTS))
                .limit(partitions)
                .toList();
        try (QueueRig own = QueueRig.on(server, namespace, partitions)) {
            rig = own;
            ModelRun.of(seed, partitions, this::step, this::compare, this::drain);
        }
    }

    @Test
    @Tag("F27")
    @Tag("P14")
    @DisplayName("F27 P14 so does one whose four partitions are spread over a cluster of three masters")
    void inACluster() {
        long seed = Long.getLong("model.seed", 1);
        random = new Random(seed);
        models = Stream.generate(() -> new QueueModel(ATTEMPTS)).limit(4).toList();
        try (RedisClusterFixture cluster = RedisClusterFixture.start();
                QueueRig own =
                        QueueRig.on(RedisSettings.of(cluster.uri().replaceFirst("^redis:", "redis-cluster:")), 4)) {
            rig = own;
            ModelRun.fewer(seed, 4, this::step, this::compare, this::drain);
        }
    }

    private QueueModel model(String facet) {
        return models.get(rig.of(facet));
    }

    private long waiting() {
        return models.stream().mapToLong(QueueModel::waiting).sum();
    }

    /** What the models hand out where the queue handed out these: each partition in its order; all there was, or as many as wanted. */
    private List<Item> taken(List<Message> got, int n) {
        assertThat(got).hasSize((int) Math.min(n, waiting()));
        List<Item> taken = got.stream()
                .map(message -> model(message.facet()).take(1).get(0))
                .toList();
        assertThat(got.stream().map(QueueModelIT::shown).toList()).isEqualTo(shown(taken));
        return taken;
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
        assertThat(delivered.queues()).hasSize(registered ? 1 : 0);
        if (registered) {
            assertThat(delivered.duplicateIn().isEmpty()).isEqualTo(deliverToModel(id, facet));
        }
        return "deliver " + id + " to " + facet;
    }

    private boolean deliverToModel(String id, String facet) {
        return model(facet).deliver(id, facet);
    }

    private int pull(int n) {
        taken(rig.queue.pull(n).collectList().block(SOON), n);
        return n;
    }

    private int lease(int n) {
        awaitNextMillisecond();
        List<Delivery> got = rig.lease(n, LONG);
        List<Item> expected = taken(got.stream().map(Delivery::message).toList(), n);
        for (int i = 0; i < got.size(); i++) {
            String name = "l" + names++;
            single.put(name, got.get(i));
            model(expected.get(i).facet).leases.put(name, new ArrayList<>(List.of(expected.get(i))));
        }
        return n;
    }

    private String leaseBatch(int n) {
        if (waiting() > 0) {
            awaitNextMillisecond();
            DeliveryBatch batch = rig.queue
                    .receiveBatches(LONG.mutate().batchSize(n).build())
                    .take(1)
                    .blockLast(SOON);
            QueueModel model = model(batch.messages().get(0).facet()); // a lease is of one partition
            List<Item> expected = model.take(n);
            assertThat(batch.messages().stream().map(QueueModelIT::shown).toList())
                    .isEqualTo(shown(expected));
            String name = "b" + names++;
            batches.put(name, batch);
            model.leases.put(name, expected);
        }
        return "lease a batch of " + n;
    }

    private String endOne() {
        List<String> held =
                models.stream().flatMap(model -> model.leases.keySet().stream()).toList();
        if (held.isEmpty()) {
            return "nothing to end";
        }
        String name = held.get(random.nextInt(held.size()));
        QueueModel model = models.stream()
                .filter(one -> one.leases.containsKey(name))
                .findFirst()
                .orElseThrow();
        return (name.startsWith("b") ? endBatch(model, name) : endSingle(model, name)) + " " + name;
    }

    private String endSingle(QueueModel model, String name) {
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

    private String endBatch(QueueModel model, String name) {
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
        int n = 1 + random.nextInt(4);
        List<Delivery> got = rig.lease(n, SHORT);
        List<Item> items = taken(got.stream().map(Delivery::message).toList(), n);
        if (!got.isEmpty()) {
            long last = beginOf(got.get(got.size() - 1).receipt());
            Eventually.await("the end of the lease", SOON, () -> serverMillis() > last + 100);
            got.forEach(one -> stale.add(one.receipt()));
            ModelRun.maintain(rig, LONG);
            items.forEach(item -> model(item.facet).giveBack(item, true));
        }
        return "expire " + got.size();
    }

    /** The time of one that is held back has come. */
    private String due() {
        for (int i = 0; i < models.size(); i++) {
            if (!models.get(i).later.isEmpty()) {
                byte[] member = rig.raw("ZRANGE", rig.key(i, "later"), 0, 0).bytes(0);
                String text = new String(member, StandardCharsets.UTF_8);
                String id = text.replaceAll("(?s).*\"id\":\"(m\\d+)\".*", "$1");
                rig.raw("ZADD", rig.key(i, "later"), 1, member);
                ModelRun.maintain(rig, LONG);
                models.get(i).due(id);
                return "due " + id;
            }
        }
        return "nothing is held back";
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
        if (registered && random.nextInt(3) == 0) {
            single.values().forEach(one -> stale.add(one.receipt()));
            single.clear();
            batches.clear();
            assertThat(rig.queue.destroy().block(SOON))
                    .isEqualTo(models.stream().mapToLong(QueueModel::destroy).sum());
            registered = false;
            // A reader that has just been stopped may still be on its way out; the number of its lease is forgotten by
            // itself.
            Eventually.await(
                    "no key",
                    SOON,
                    () -> rig.keys().stream()
                            .noneMatch(key -> key.endsWith("{registry}:partitions")
                                    || (key.contains(":queue:{q/")
                                            && !((key.endsWith(":fence") || key.contains(":answer:"))
                                                    && rig.number("PTTL", key) > 0))));
            return "destroy";
        }
        if (registered) {
            assertThat(rig.mill.queues().unregister("q").block(SOON)).isTrue();
        } else {
            QueueOptions options =
                    QueueOptions.builder().partitions(rig.partitions).build();
            assertThat(rig.mill
                            .queues()
                            .register("q", ".*", options)
                            .block(SOON)
                            .partitions())
                    .isEqualTo(rig.partitions);
        }
        registered = !registered;
        return "registered: " + registered;
    }

    private void compare() {
        List<FacetState> seen = rig.facets();
        List<Message> peeked = rig.queue.peek(40).collectList().block(SOON);
        assertThat(peeked).hasSize((int) Math.min(40, waiting()));
        List<DeadLetter> dead = rig.deadLetters();
        for (int i = 0; i < models.size(); i++) {
            int partition = i;
            QueueModel model = models.get(i);
            compare(
                    seen.stream()
                            .filter(state -> state.partition() == partition)
                            .toList(),
                    model);
            List<String> next = peeked.stream()
                    .filter(message -> rig.of(message.facet()) == partition)
                    .map(QueueModelIT::shown)
                    .toList();
            assertThat(next).isEqualTo(model.peek(next.size()));
            assertThat(dead.stream()
                            .map(DeadLetter::message)
                            .filter(message -> rig.of(message.facet()) == partition)
                            .map(QueueModelIT::shown)
                            .toList())
                    .isEqualTo(model.dead);
        }
    }

    private static void compare(List<FacetState> seen, QueueModel model) {
        List<String> states = new ArrayList<>();
        List<String> rest = new ArrayList<>();
        for (FacetState state : seen) {
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
    }

    private void drain() {
        assertThat(rig.doctor().findings()).isEmpty();
        while (models.stream().anyMatch(model -> !model.leases.isEmpty())) {
            endOne();
        }
        while (models.stream().anyMatch(model -> !model.later.isEmpty())) {
            due();
        }
        pull(256);
        while (waiting() > 0) {
            pull(256);
        }
        compare();
        assertThat(rig.doctor().findings()).isEmpty();
        Eventually.await(
                "no key that must not stay",
                SOON,
                () -> rig.keys().stream()
                        .allMatch(key ->
                                ModelRun.mayStay(key) || (key.contains(":extended") && rig.number("PTTL", key) > 0)));
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
