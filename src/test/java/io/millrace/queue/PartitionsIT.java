package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SHORT;
import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.millrace.Event;
import io.millrace.MillraceException;
import io.millrace.redis.RedisSettings;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;

/** Everything a queue does, with its facets in several partitions. */
@RedisTest
class PartitionsIT {

    private static final int PARTITIONS = 4;

    private QueueRig rig;
    private RedisSettings settings;

    @BeforeEach
    void open(RedisServer server, @Namespace String namespace) {
        settings = server.settings(namespace);
        rig = QueueRig.on(settings, PARTITIONS);
    }

    @AfterEach
    void close() {
        rig.close();
    }

    private String facetIn(int partition) {
        return rig.facetsIn(partition, 1).get(0);
    }

    /** Many of each, put in with one call. */
    private void fill(List<String> facets, int each) {
        List<Event> events = new ArrayList<>();
        for (int i = 0; i < each; i++) {
            for (String facet : facets) {
                events.add(event(facet, facet + "-" + i));
            }
        }
        rig.mill.queues().deliverAll(events).block(SOON);
    }

    private static Map<String, Long> byFacet(List<String> facets) {
        return facets.stream().collect(Collectors.groupingBy(Function.identity(), Collectors.counting()));
    }

    private static QueueOptions partitions(int count) {
        return QueueOptions.builder().partitions(count).build();
    }

    @Test
    @DisplayName("each facet is in the partition of its hash, and nowhere else")
    void routing() {
        for (int i = 0; i < PARTITIONS; i++) {
            rig.deliver(facetIn(i), "m" + i);
            assertThat(rig.number("EXISTS", rig.key(i, "f:" + facetIn(i)))).isEqualTo(1);
            assertThat(rig.number("LLEN", rig.key(i, "ring"))).isEqualTo(1);
        }
        assertThat(rig.facets()).extracting(FacetState::partition).containsExactly(0, 1, 2, 3);
        assertThat(rig.mill.queues().registrations().blockLast(SOON).partitions())
                .isEqualTo(PARTITIONS);
        assertThat(rig.queue.length().block(SOON)).isEqualTo(4);
        assertThat(rig.queue.load(2).block(SOON).partitions())
                .containsExactly(IntStream.range(0, PARTITIONS)
                        .mapToObj(i -> new PartitionLoad(i, 1, 1))
                        .toArray(PartitionLoad[]::new));
        DoctorReport report = rig.doctor();
        assertThat(report.findings()).isEmpty();
        assertThat(report.waiting()).isEqualTo(4);
        assertThat(report.partitions()).extracting(DoctorReport::waiting).containsExactly(1L, 1L, 1L, 1L);
    }

    @Test
    @DisplayName("the doctor mends what is wrong in any partition")
    void doctor() {
        rig.deliver(facetIn(3), "1", "2");
        rig.raw("DEL", rig.key(3, "ring"));
        assertThat(rig.doctor().findings())
                .containsExactly(new DoctorReport.Finding(DoctorReport.Kind.MISSING, facetIn(3), 1));
        assertThat(rig.pullIds(9)).containsExactly("1", "2");
    }

    @Test
    @Tag("P11")
    @DisplayName(
            "P11 facets get equal shares although 20 of them are in one partition and one in another, however it is pulled")
    void fairOverUnequalPartitions() {
        List<String> facets = new ArrayList<>(rig.facetsIn(0, 20));
        facets.addAll(rig.facetsIn(1, 1));
        facets.addAll(rig.facetsIn(2, 5));
        fill(facets, 80);

        List<String> pulled = IntStream.range(0, 520)
                .mapToObj(i -> rig.queue.pull().block(SOON).facet())
                .toList();
        // Where each partition stands at first is decided by lot, see Turns: what counts is what follows.
        Map<String, Long> oneByOne = byFacet(pulled.subList(260, 520));
        assertThat(oneByOne).hasSize(26);
        assertThat(oneByOne.values()).as("10 each, %s", oneByOne).allMatch(count -> count >= 8 && count <= 12);

        Map<String, Long> atOnce =
                byFacet(rig.queue.pull(260).map(Message::facet).collectList().block(SOON));
        assertThat(atOnce.values()).as("10 each, %s", atOnce).allMatch(count -> count >= 8 && count <= 12);

        Map<String, Long> received = byFacet(rig.queue
                .receive(LONG.mutate().batchSize(10).build())
                .take(520)
                .map(one -> one.message().facet())
                .collectList()
                .block(SOON));
        assertThat(received.values()).as("20 each, %s", received).allMatch(count -> count >= 17 && count <= 23);
    }

    @Test
    @Tag("Q1")
    @DisplayName("weights hold across partitions: a facet of weight 4 gets four times as much as one elsewhere")
    void weights() {
        rig.queue.policies().weight(facetIn(0), 4).block(SOON);
        List<String> facets = List.of(facetIn(0), facetIn(1), facetIn(2));
        fill(facets, 200);
        List<String> got = new ArrayList<>();
        for (int i = 0; i < 30; i++) {
            got.addAll(rig.queue.pull(6).map(Message::facet).collectList().block(SOON));
        }
        Map<String, Long> shares = byFacet(got.subList(30, 180));
        assertThat(shares.get(facetIn(0))).as("%s", shares).isBetween(85L, 115L);
        assertThat(shares.get(facetIn(1))).as("%s", shares).isBetween(17L, 33L);
    }

    @Test
    @DisplayName("receipts carry their partition: acknowledge, extend, give back, also as text and in another process")
    void receipts() {
        List<String> facets =
                IntStream.range(0, PARTITIONS).mapToObj(this::facetIn).toList();
        fill(facets, 2);
        List<Delivery> taken = rig.lease(8, LONG);
        assertThat(taken).hasSize(8);
        for (Delivery one : taken) {
            assertThat(one.receipt().partition()).isEqualTo(rig.of(one.message().facet()));
            assertThat(Receipt.parse(one.receipt().toString())).isEqualTo(one.receipt());
            Receipt before = one.receipt();
            assertThat(one.extend().block(SOON)).isTrue();
            assertThat(one.receipt().partition()).isEqualTo(before.partition());
            assertThat(rig.queue.acknowledge(before).block(SOON)).isFalse();
        }
        // Leases that partitions give in one millisecond differ by their partition alone: those are others' own.
        Set<Receipt> own = taken.stream().map(Delivery::receipt).collect(Collectors.toSet());
        List<Receipt> nobodys = own.stream()
                .flatMap(one -> IntStream.range(0, PARTITIONS)
                        .mapToObj(partition -> new Receipt(one.profile(), one.entry(), partition)))
                .filter(one -> !own.contains(one))
                .toList();
        assertThat(own).hasSize(8);
        assertThat(nobodys).isNotEmpty();
        try (QueueRig other = QueueRig.joining(settings, QueueSettings.defaults())) {
            for (Receipt elsewhere : nobodys) {
                assertThat(other.queue.acknowledge(elsewhere).block(SOON)).isFalse();
            }
            for (Delivery one : taken.subList(0, 4)) {
                assertThat(other.queue.acknowledge(one.receipt()).block(SOON)).isTrue();
            }
            assertThat(other.queue
                            .acknowledge(new Receipt("30000.20", "1-1", 63))
                            .block(SOON))
                    .isFalse();
        }
        taken.subList(4, 8).forEach(one -> assertThat(one.nack().block(SOON)).isTrue());
        assertThat(rig.lease(8, LONG))
                .extracting(one -> one.message().attempt())
                .containsExactly(2, 2, 2, 2);
        assertThat(Receipt.parse("30000.20.1790000000000-0").partition()).isZero();
        assertThat(new Receipt("30000.20", "1790000000000-0", 7)).hasToString("30000.20.1790000000000-0.7");
        assertThatThrownBy(() -> Receipt.parse("30000.20.1790000000000-0.64")).hasMessageContaining("64");
        assertThatThrownBy(() -> Receipt.parse("30000.20.1790000000000-0.0")).hasMessageContaining("no receipt");
    }

    @Test
    @DisplayName(
            "a registration with another number of partitions is refused and changes nothing, until the queue is destroyed")
    void anotherNumber() {
        for (int other : new int[] {1, 3, 5}) {
            assertThatThrownBy(() -> rig.mill
                            .queues()
                            .register("q", "other.*", partitions(other))
                            .block(SOON))
                    .isInstanceOf(MillraceException.class)
                    .hasMessageContaining("\"q\" has 4 partitions")
                    .hasMessageContaining(String.valueOf(other))
                    .hasMessageContaining("destroy");
        }
        rig.mill.queues().register("q", ".*").block(SOON); // as many as it has
        rig.deliver(facetIn(2), "1");
        assertThat(rig.mill.queues().unregister("q").block(SOON)).isTrue();
        assertThatThrownBy(() ->
                        rig.mill.queues().register("q", ".*", partitions(2)).block(SOON))
                .hasMessageContaining("has 4 partitions");
        assertThat(rig.pullIds(1)).containsExactly("1");
        rig.queue.destroy().block(SOON);
        assertThat(rig.queue.partitions().block(SOON)).isEqualTo(1);
        assertThat(rig.mill
                        .queues()
                        .register("q", ".*", partitions(2))
                        .block(SOON)
                        .partitions())
                .isEqualTo(2);
        for (int wrong : new int[] {0, 65}) {
            assertThatThrownBy(() -> partitions(wrong)).hasMessageContaining("partitions must be 1 to 64");
        }
    }

    @Test
    @DisplayName("a queue of one partition that holds anything, registered or not, gets no more of them")
    void fromOneToMany() {
        rig.mill.queues().register("one", ".*").block(SOON);
        rig.deliver("a", "1");
        assertThatThrownBy(() ->
                        rig.mill.queues().register("one", ".*", partitions(2)).block(SOON))
                .hasMessageContaining("has 1 partition ");
        rig.mill.queues().unregister("one").block(SOON);
        assertThatThrownBy(() ->
                        rig.mill.queues().register("one", ".*", partitions(2)).block(SOON))
                .hasMessageContaining("has 1 partition ");
        rig.mill.queue("one").destroy().block(SOON);
        rig.mill.queues().register("one", ".*", partitions(2)).block(SOON);
        rig.mill.queue("early").policies().weight("a", 2).block(SOON);
        assertThatThrownBy(() ->
                        rig.mill.queues().register("early", ".*", partitions(2)).block(SOON))
                .as("its policies would be in the wrong place")
                .hasMessageContaining("has 1 partition ");
    }

    @Test
    @Tag("S9")
    @DisplayName(
            "S9 destroying leaves no key behind, of any partition, whatever the name; nor do consumers that leave then")
    void destroyed() {
        rig.mill.queues().unregister("q").block(SOON);
        rig.queue.destroy().block(SOON);
        List<String> before = rig.keys();
        for (String name : List.of("x", "{x}/1", "}{", "é%:/", "😀 {registry}", "q/0", "*")) {
            rig.mill.queues().register(name, ".*", partitions(3)).block(SOON);
            FacetQueue queue = rig.mill.queue(name);
            queue.policies().capEach(Cap.of(5)).block(SOON);
            for (int i = 0; i < 12; i++) {
                rig.deliver("f" + i, name + i);
            }
            rig.mill
                    .queues()
                    .deliverAfter(event("f1", "later " + name), Duration.ofHours(1))
                    .block(SOON);
            queue.lease(3, LONG).blockLast(SOON);
            queue.lease(1, LONG).blockFirst(SOON).bury("bad").block(SOON);
            Disposable consumer = queue.consume(message -> Mono.never()).subscribe();
            Eventually.await("shares", SOON, () -> rig.keys().stream().anyMatch(key -> key.endsWith(":owner")));
            assertThat(queue.destroy().block(SOON)).isEqualTo(13);
            consumer.dispose();
            Eventually.await(
                    "no key",
                    SOON,
                    () -> rig.keys().stream()
                            .filter(key -> !before.contains(key))
                            .allMatch(key -> key.endsWith("{registry}:version")
                                    || (key.endsWith(":fence") && rig.number("PTTL", key) > 0)));
        }
    }

    @Test
    @DisplayName(
            "policies of facets go to their partition; of the queue to all, divided so that they are never exceeded")
    void policies() {
        Policies policies = rig.queue.policies();
        List<String> facets =
                IntStream.range(0, PARTITIONS).mapToObj(this::facetIn).toList();
        policies.pause(facets.get(1))
                .then(policies.cap(facets.get(2), Cap.of(1)))
                .then(policies.cap(Cap.of(6)))
                .block(SOON);
        fill(facets, 5);
        List<Delivery> taken = rig.lease(20, LONG);
        assertThat(byFacet(taken.stream().map(one -> one.message().facet()).toList()))
                .isEqualTo(Map.of(facets.get(0), 2L, facets.get(2), 1L, facets.get(3), 1L));
        PolicySettings settings = policies.show().block(SOON);
        assertThat(settings.cap()).isEqualTo(Cap.of(6));
        assertThat(settings.facets()).containsOnlyKeys(facets.get(1), facets.get(2));
        assertThatThrownBy(() -> policies.cap(Cap.of(3)).block(SOON))
                .hasMessageContaining("4 partitions")
                .hasMessageContaining("was 3");
        policies.pause().block(SOON);
        assertThat(rig.lease(20, LONG)).isEmpty();
        policies.resume()
                .then(policies.cap(Cap.NONE))
                .then(policies.resume(facets.get(1)))
                .block(SOON);
        assertThat(rig.lease(20, LONG)).hasSize(3 + 5 + 4);

        policies.rate(new Rate(10, Duration.ofMinutes(10), 2)).block(SOON);
        assertThat(policies.show().block(SOON).rate()).isEqualTo(new Rate(10, Duration.ofMinutes(10), PARTITIONS));
        fill(
                IntStream.range(0, PARTITIONS)
                        .mapToObj(i -> rig.facetsIn(i, 2).get(1))
                        .toList(),
                5);
        assertThat(rig.pullIds(20)).hasSize(4);
        assertThatThrownBy(() -> policies.rate(Rate.perSecond(3)).block(SOON))
                .hasMessageContaining("4 partitions")
                .hasMessageContaining("12 in PT4S");
        policies.rate(Rate.UNLIMITED).block(SOON);
        assertThat(policies.show().block(SOON).rate()).isEqualTo(Rate.UNLIMITED);
    }

    @Test
    @DisplayName(
            "dead letters of all partitions are one list, oldest first; redriven and dropped by entry, by facet, or all")
    void deadLetters() {
        List<String> facets =
                IntStream.range(0, PARTITIONS).mapToObj(this::facetIn).toList();
        fill(facets, 3);
        List<Delivery> taken = rig.lease(12, LONG);
        taken.forEach(one -> one.bury("bad").block(SOON));
        List<DeadLetter> letters = rig.deadLetters();
        assertThat(letters).hasSize(12).isSortedAccordingTo(java.util.Comparator.comparing(DeadLetter::at));
        assertThat(letters).extracting(DeadLetter::entry).doesNotHaveDuplicates();
        List<String> some = letters.stream().limit(5).map(DeadLetter::entry).toList();
        assertThat(rig.queue.redrive(some).block(SOON)).isEqualTo(5);
        assertThat(rig.queue.redrive(some).block(SOON)).isZero();
        assertThat(rig.queue.dropDeadLetters(List.of(letters.get(5).entry())).block(SOON))
                .isEqualTo(1);
        long of3 = rig.deadLetters().stream()
                .filter(letter -> letter.message().facet().equals(facets.get(3)))
                .count();
        assertThat(rig.queue.redriveAll(facets.get(3)).block(SOON)).isEqualTo(of3);
        assertThat(rig.queue.redriveAll().block(SOON)).isEqualTo(6 - of3);
        assertThat(rig.deadLetters()).isEmpty();
        assertThat(rig.queue.length().block(SOON)).isEqualTo(11);
    }

    @Test
    @DisplayName(
            "delayed deliveries come due in any partition and wake an idle reader; any can be taken back by its id")
    void delayed() {
        Queue<String> got = new ConcurrentLinkedQueue<>();
        LeaseOptions rarely = LONG.mutate().pollInterval(Duration.ofMinutes(1)).build();
        Disposable reader = rig.queue
                .receive(rarely)
                .concatMap(
                        one -> one.ack().doOnNext(done -> got.add(one.message().id())))
                .subscribe();
        for (int i = 0; i < PARTITIONS; i++) {
            rig.mill
                    .queues()
                    .deliverAfter(event(facetIn(i), "soon" + i), Duration.ofMillis(300))
                    .block(SOON);
            rig.mill
                    .queues()
                    .deliverAfter(event(facetIn(i), "late" + i), Duration.ofHours(1))
                    .block(SOON);
        }
        Eventually.await("all that is due", SOON, () -> got.size() == PARTITIONS);
        for (int i = 0; i < PARTITIONS; i++) {
            assertThat(rig.queue.cancel("late" + i).block(SOON)).isTrue();
            assertThat(rig.queue.cancel("late" + i).block(SOON)).isFalse();
        }
        reader.dispose();
    }

    @Test
    @DisplayName("an elastic cap holds while others of its own partition wait, whoever waits in another one")
    void elasticCap() {
        List<String> here = rig.facetsIn(0, 2);
        String elsewhere = rig.facetsIn(1, 1).get(0);
        rig.fill(here.get(0), 9);
        rig.fill(elsewhere, 9);
        rig.queue.policies().cap(here.get(0), Cap.of(2).whileOthersWait()).block(SOON);
        Partition own = rig.queue.layout().now().block(SOON).all().get(0);

        assertThat(own.pulls().lease(4, LONG).block(SOON).items()).hasSize(4);
        rig.fill(here.get(1), 9);
        assertThat(own.pulls().lease(4, LONG).block(SOON).items())
                .extracting(one -> one.message().facet())
                .containsOnly(here.get(1));
    }

    @Test
    @DisplayName("leases that end in any partition come again, also to a reader that is idle")
    void expired() {
        List<String> facets =
                IntStream.range(0, PARTITIONS).mapToObj(this::facetIn).toList();
        fill(facets, 1);
        assertThat(rig.lease(4, SHORT)).hasSize(4);
        List<Delivery> again = rig.queue.receive(LONG).take(4).collectList().block(Duration.ofSeconds(8));
        assertThat(again).extracting(one -> one.message().attempt()).containsExactly(2, 2, 2, 2);
    }

    @Test
    @DisplayName("limits to what waits hold in each partition; the result says which queue refused")
    void admission() {
        rig.mill
                .queues()
                .register(
                        "q",
                        ".*",
                        QueueOptions.builder()
                                .admission(Admission.of(2, Admission.Overflow.REJECT))
                                .build())
                .block(SOON);
        List<String> facets =
                IntStream.range(0, PARTITIONS).mapToObj(this::facetIn).toList();
        List<Event> events = new ArrayList<>();
        facets.forEach(facet -> IntStream.range(0, 3).forEach(i -> events.add(event(facet, facet + i))));
        List<Delivered> outcomes = rig.mill.queues().deliverAll(events).block(SOON);
        for (int i = 0; i < events.size(); i++) {
            assertThat(outcomes.get(i).refusedBy()).isEqualTo(i % 3 == 2 ? List.of("q") : List.of());
        }
        assertThat(rig.mill.deliver(events.get(0)).block(SOON).duplicateIn()).containsExactly("q");
    }

    @Test
    @DisplayName(
            "until ends with nothing leased, batches come from one partition each, strict order holds, all is handled once")
    void consuming() {
        rig.queue.policies().order(Order.STRICT).block(SOON);
        List<String> facets = IntStream.range(0, 30).mapToObj(i -> "f" + i).toList();
        fill(facets, 10);
        Queue<String> done = new ConcurrentLinkedQueue<>();
        rig.queue
                .consume(
                        message -> Mono.fromRunnable(() -> done.add(message.id())),
                        ConsumeOptions.builder()
                                .concurrency(32)
                                .until(Mono.defer(() -> Mono.delay(Duration.ofMillis(5)))
                                        .repeat()
                                        .filter(tick -> done.size() >= 300))
                                .build())
                .block(Duration.ofSeconds(30));
        assertThat(done).hasSize(300).doesNotHaveDuplicates();
        for (String facet : facets) {
            assertThat(done.stream().filter(id -> id.startsWith(facet + "-")).toList())
                    .isEqualTo(IntStream.range(0, 10)
                            .mapToObj(i -> facet + "-" + i)
                            .toList());
        }
        assertThat(rig.facets()).isEmpty();

        rig.queue.policies().order(Order.FREE).block(SOON);
        for (int i = 0; i < 100; i++) {
            rig.deliver("f" + i % 30, "b" + i);
        }
        Queue<String> batched = new ConcurrentLinkedQueue<>();
        rig.queue
                .consumeBatches(
                        messages -> Mono.fromRunnable(() -> {
                            assertThat(messages.stream()
                                            .map(one -> rig.of(one.facet()))
                                            .distinct())
                                    .hasSize(1);
                            messages.forEach(one -> batched.add(one.id()));
                        }),
                        ConsumeOptions.builder()
                                .concurrency(3)
                                .lease(LONG.mutate().batchSize(7).build())
                                .until(Mono.defer(() -> Mono.delay(Duration.ofMillis(5)))
                                        .repeat()
                                        .filter(tick -> batched.size() >= 100))
                                .build())
                .block(Duration.ofSeconds(30));
        assertThat(batched).hasSize(100).doesNotHaveDuplicates();
        assertThat(rig.facets()).isEmpty();
        assertThat(rig.doctor().findings()).isEmpty();
    }

    @Test
    @DisplayName("demand is never exceeded; a cancel gives back what was not handed out, in every partition")
    void demand() {
        fill(IntStream.range(0, 12).mapToObj(i -> "f" + i).toList(), 10);
        List<Delivery> got = rig.queue.receive(LONG).take(7).collectList().block(SOON);
        assertThat(got).hasSize(7);
        Eventually.await("what was not handed out to be back", SOON, () -> rig.inFlight() == 7 && rig.waiting() == 113);
        got.forEach(one -> assertThat(one.release().block(SOON)).isTrue());
        assertThat(rig.queue.pull(200).map(Message::attempt).collectList().block(SOON))
                .hasSize(120)
                .containsOnly(1);
    }

    @Test
    @DisplayName("a group of queues reads all partitions of each, by weight")
    void groups() {
        rig.mill.queues().register("plain", ".*").block(SOON);
        fill(IntStream.range(0, 12).mapToObj(i -> "f" + i).toList(), 10);
        QueueGroup group = rig.mill.queues().group(Map.of("q", 3, "plain", 1));
        Map<String, Long> turns =
                byFacet(group.pull(40).map(Message::queue).collectList().block(SOON));
        assertThat(turns).isEqualTo(Map.of("q", 30L, "plain", 10L));
        Queue<String> done = new ConcurrentLinkedQueue<>();
        Disposable consumer = group.consume(
                        message -> Mono.fromRunnable(() -> done.add(message.queue() + message.id())),
                        ConsumeOptions.defaults())
                .subscribe();
        Eventually.await("all", SOON, () -> done.size() == 200);
        rig.deliver(facetIn(3), "more");
        Eventually.await("one that woke it", SOON, () -> done.size() == 202);
        Eventually.await("acknowledged", SOON, () -> rig.facets().isEmpty());
        assertThat(done).doesNotHaveDuplicates();
        consumer.dispose();
    }

    @Test
    @DisplayName(
            "a consumer that began before the queue was registered, or destroyed and registered anew, reads all its partitions")
    void numberChanges() {
        Queue<String> got = new ConcurrentLinkedQueue<>();
        try (QueueRig other = QueueRig.joining(settings, QueueSettings.defaults())) {
            Disposable early = other.mill
                    .queue("new")
                    .consume(message -> Mono.fromRunnable(() -> got.add(message.id())))
                    .subscribe();
            Eventually.await(
                    "a listener",
                    SOON,
                    () -> rig.raw("PUBSUB", "NUMSUB", other.mill.redis().keys().unitText("queue", "new", 0) + "wake")
                                    .number(1)
                            == 1);
            for (int count : new int[] {4, 2, 1, 3}) {
                rig.mill.queues().register("new", ".*", partitions(count)).block(SOON);
                int before = got.size();
                for (int i = 0; i < 20; i++) {
                    rig.deliver("f" + i, count + "-" + i);
                }
                Eventually.await(count + " partitions", SOON, () -> got.size() == before + 20);
                Eventually.await(
                        "done",
                        SOON,
                        () -> rig.mill
                                .queue("new")
                                .facets()
                                .collectList()
                                .block(SOON)
                                .isEmpty());
                rig.mill.queue("new").destroy().block(SOON);
            }
            early.dispose();
        }
        assertThat(got).doesNotHaveDuplicates();
    }
}
