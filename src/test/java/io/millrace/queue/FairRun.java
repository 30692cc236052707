package io.millrace.queue;

import static io.millrace.queue.QueueRig.SOON;

import io.millrace.queue.FairFacet.Item;
import io.millrace.redis.Reply;
import io.millrace.testing.Eventually;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** A queue with policies, a {@link FairModel} for each of its partitions, and what is leased of it. */
final class FairRun {

    static final int ATTEMPTS = 3;
    static final LeaseOptions LONG =
            LeaseOptions.builder().maxAttempts(ATTEMPTS).build();
    static final List<String> FACETS = List.of("a", "b", "c", "", "a:b", "1:a/", "é\u0000\n\"\\", "ring", "w:a", "😀");
    private static final List<String> UNRELATED =
            IntStream.range(0, 12).mapToObj(i -> "unrelated" + i).toList();

    /** A lease of several messages. */
    record Batch(FairModel model, List<Item> items, DeliveryBatch lease) {}

    final QueueRig rig;
    final Policies policies;
    final Random random;
    final FairCosts costs = new FairCosts(this);
    final Map<Item, Delivery> held = new HashMap<>();
    final List<Batch> batches = new ArrayList<>();
    List<FairModel> models = List.of();
    private int dues;

    FairRun(QueueRig rig, Random random) {
        this.rig = rig;
        this.policies = rig.queue.policies();
        this.random = random;
        begin();
    }

    private void begin() {
        models = Stream.generate(() -> new FairModel(ATTEMPTS))
                .limit(rig.partitions)
                .toList();
        unrelated(2); // each partition has a policy: QueueModelIT has the plain queue
    }

    void unrelated(double weight) {
        UNRELATED.forEach(facet -> policies.weight(facet, weight).block(SOON));
    }

    FairModel model(String facet) {
        return models.get(rig.of(facet));
    }

    Partition anyPartition() {
        return rig.queue.layout().now().block(SOON).all().get(random.nextInt(models.size()));
    }

    String anyFacet() {
        return FACETS.get(random.nextInt(FACETS.size()));
    }

    /** Forgets everything: the queue was destroyed. */
    long destroyed() {
        long size = models.stream().mapToLong(FairModel::size).sum();
        held.clear();
        batches.clear();
        rig.mill
                .queues()
                .register(
                        "q",
                        ".*",
                        QueueOptions.builder().partitions(rig.partitions).build())
                .block(SOON);
        begin();
        return size;
    }

    /** Facets that strict order or their rates hold back, of all partitions. */
    List<String> heldFacets() {
        return models.stream().flatMap(model -> model.heldFacets().stream()).toList();
    }

    /** Sets the times of such a facet back. */
    void release(String facet) {
        dues++;
        int partition = rig.of(facet);
        rig.raw("ZREM", rig.key(partition, "hold"), facet);
        rig.raw("ZREM", rig.key(partition, "buckets"), facet);
        rig.raw("ZADD", rig.key(partition, "throttled"), "XX", dues, facet);
        model(facet).dueFacet(facet);
    }

    /** Sets the time back of a message that was held back. */
    void dueAgain(Item item) {
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
    }

    /** What is throttled in one millisecond has no order but its name. */
    void awaitNextMillisecond() {
        long now = serverMillis();
        Eventually.await("the next millisecond", SOON, () -> serverMillis() > now);
    }

    long serverMillis() {
        Reply time = rig.raw("TIME");
        return time.number(0) * 1000 + time.number(1) / 1000;
    }

    static List<String> shown(List<Item> items) {
        return items.stream().map(item -> item.id + "#" + item.used).toList();
    }

    static List<String> shownMessages(List<Message> messages) {
        return messages.stream()
                .map(message -> message.id() + "#" + message.attempt())
                .toList();
    }
}
