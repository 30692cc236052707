package io.millrace.queue;

import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Event;
import io.millrace.queue.QueueModel.Item;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.reactivestreams.Subscription;
import reactor.core.publisher.BaseSubscriber;

/**
 * Random steps on three queues that are read as one, by who comes once and by one who stays, compared with a {@link QueueModel} of each and
 * with {@link GroupModel}s. What becomes of partitions is for {@link CrowdIT}.
 */
@RedisTest
class GroupModelIT {

    private static final List<String> QUEUES = List.of("high", "low", "rare");
    private static final List<String> FACETS = List.of("a", "b", "c", "");
    private static final Map<String, Integer> STAYING = weights("rare", 1, "high", 5, "low", 2);
    private static final LeaseOptions LEASE =
            LeaseOptions.builder().maxAttempts(3).build();

    private final Map<String, QueueModel> models = new HashMap<>();
    private final Set<String> paused = new LinkedHashSet<>();
    private final Map<Item, Delivery> held = new HashMap<>();
    private final Map<Item, String> queueOf = new HashMap<>();
    private QueueRig rig;
    private Random random;
    private Staying staying;
    private int ids;

    /** One whose turns go on where they were, however long he waits. */
    private final class Staying extends BaseSubscriber<Delivery> {

        private final Queue<Delivery> got = new ConcurrentLinkedQueue<>();
        private final GroupModel turns = new GroupModel(STAYING, 3);

        @Override
        protected void hookOnSubscribe(Subscription subscription) {}

        @Override
        protected void hookOnNext(Delivery delivery) {
            got.add(delivery);
        }
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("io.millrace.queue.ModelRun#seeds")
    @Tag("F27")
    @Timeout(120)
    @DisplayName("F27 several queues read as one do what their model does, turn by turn")
    void likeItsModel(long seed, RedisServer server, @Namespace String namespace) {
        random = new Random(seed);
        try (QueueRig own = QueueRig.on(server, namespace)) {
            rig = own;
            rig.mill.queues().unregister("q").block(SOON);
            for (String queue : QUEUES) {
                rig.mill.queues().register(queue, ".*:" + queue + ":.*").block(SOON);
                models.put(queue, new QueueModel(3));
            }
            staying = new Staying();
            rig.mill
                    .queues()
                    .group(STAYING, each -> new GroupTurns(each, 3))
                    .receive(LEASE)
                    .subscribe(staying);
            ModelRun.fewer(seed, 1, this::step, this::compare, this::drain);
            staying.cancel();
        }
    }

    private static Map<String, Integer> weights(Object... pairs) {
        Map<String, Integer> weights = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            weights.put((String) pairs[i], (Integer) pairs[i + 1]);
        }
        return weights;
    }

    /** Some of the queues in any order. */
    private Map<String, Integer> anyWeights() {
        List<String> some = new ArrayList<>(QUEUES);
        Collections.shuffle(some, random);
        Map<String, Integer> weights = new LinkedHashMap<>();
        some.subList(0, 1 + random.nextInt(QUEUES.size())).forEach(queue -> weights.put(queue, 1 + random.nextInt(5)));
        return weights;
    }

    private String anyQueue() {
        return QUEUES.get(random.nextInt(QUEUES.size()));
    }

    private List<Item> taken(String queue, int n) {
        List<Item> items =
                paused.contains(queue) ? List.of() : models.get(queue).take(n);
        items.forEach(item -> queueOf.put(item, queue));
        return items;
    }

    private String step() {
        int dice = random.nextInt(100);
        if (dice < 38) {
            return deliver();
        } else if (dice < 48) {
            return pull(1 + random.nextInt(9));
        } else if (dice < 58) {
            return lease(1 + random.nextInt(9));
        } else if (dice < 74) {
            return receive(1 + random.nextInt(9));
        } else if (dice < 97) {
            return endOne();
        }
        return pause(anyQueue());
    }

    private String deliver() {
        String queue = anyQueue();
        List<Event> events = new ArrayList<>();
        for (int i = random.nextInt(8); i >= 0; i--) {
            String facet = FACETS.get(random.nextInt(FACETS.size()));
            String id = "m" + ids++;
            events.add(Event.of(facet, queue, id).withId(id));
            models.get(queue).deliver(id, facet);
        }
        rig.mill.queues().deliverAll(events).block(SOON);
        return "deliver " + events.size() + " to " + queue;
    }

    private String pull(int n) {
        Map<String, Integer> weights = anyWeights();
        int begun = random.nextInt(9);
        QueueGroup group = rig.mill.queues().group(weights, each -> new GroupTurns(each, begun));
        GroupModel model = new GroupModel(weights, begun);
        compare(group.pull(n).collectList().block(SOON), model.take(n, this::taken));
        compare(group.pull(1).collectList().block(SOON), model.take(1, this::taken)); // its turns go on
        return "pull " + n + " and 1 of " + weights;
    }

    private String lease(int n) {
        Map<String, Integer> weights = anyWeights();
        int begun = random.nextInt(9);
        List<Delivery> got = rig.mill
                .queues()
                .group(weights, each -> new GroupTurns(each, begun))
                .lease(n, LEASE)
                .collectList()
                .block(SOON);
        hold(got, new GroupModel(weights, begun).take(n, this::taken));
        return "lease " + n + " of " + weights;
    }

    /** Never more than there is: who has to wait looks again now and then, and nobody knows how often. */
    private String receive(int most) {
        int n = (int) Math.min(most, available());
        if (n > 0) {
            staying.request(n);
            Eventually.await("as many as are asked for", SOON, () -> staying.got.size() >= n);
            hold(List.copyOf(staying.got), staying.turns.take(n, this::taken));
            staying.got.clear();
        }
        return "receive " + n;
    }

    private long available() {
        return QUEUES.stream()
                .filter(queue -> !paused.contains(queue))
                .mapToLong(queue -> models.get(queue).waiting())
                .sum();
    }

    private void hold(List<Delivery> got, List<Item> expected) {
        compare(got.stream().map(Delivery::message).toList(), expected);
        for (int i = 0; i < got.size(); i++) {
            held.put(expected.get(i), got.get(i));
        }
    }

    private void compare(List<Message> got, List<Item> expected) {
        assertThat(got.stream()
                        .map(message -> message.queue() + "/" + message.id() + "#" + message.attempt())
                        .toList())
                .isEqualTo(expected.stream()
                        .map(item -> queueOf.get(item) + "/" + item.id + "#" + item.used)
                        .toList());
    }

    private String endOne() {
        if (held.isEmpty()) {
            return "nothing to end";
        }
        List<Item> items = new ArrayList<>(held.keySet());
        items.sort(Comparator.comparing(item -> item.id));
        Item item = items.get(random.nextInt(items.size()));
        Delivery one = held.remove(item);
        QueueModel model = models.get(queueOf.get(item));
        int how = random.nextInt(4);
        if (how == 2) {
            model.giveBack(item, true);
        } else if (how == 3) {
            model.giveBack(item, false);
        }
        assertThat((how == 2 ? one.nack() : how == 3 ? one.release() : one.ack()).block(SOON))
                .isTrue();
        return (how == 2 ? "nack " : how == 3 ? "release " : "ack ") + item.id;
    }

    private String pause(String queue) {
        Policies policies = rig.mill.queue(queue).policies();
        if (paused.remove(queue)) {
            policies.resume().block(SOON);
            return "resume " + queue;
        }
        paused.add(queue);
        policies.pause().block(SOON);
        return "pause " + queue;
    }

    private void compare() {
        for (String queue : QUEUES) {
            FacetQueue one = rig.mill.queue(queue);
            assertThat(one.length().block(SOON)).isEqualTo(models.get(queue).waiting());
            if (!paused.contains(queue)) {
                assertThat(one.peek(20)
                                .map(message -> message.id() + "#" + message.attempt())
                                .collectList()
                                .block(SOON))
                        .isEqualTo(models.get(queue).peek(20));
            }
        }
    }

    private void drain() {
        while (!held.isEmpty()) {
            endOne();
        }
        List.copyOf(paused).forEach(this::pause);
        while (available() > 0) {
            receive(9);
        }
        held.values().forEach(one -> assertThat(one.ack().block(SOON)).isTrue());
        for (String queue : QUEUES) {
            assertThat(rig.mill.queue(queue).facets().collectList().block(SOON)).isEmpty();
            assertThat(rig.mill.queue(queue).doctor().block(SOON).findings()).isEmpty();
        }
    }
}
