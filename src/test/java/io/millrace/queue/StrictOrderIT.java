package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/** Strict order inside facets, whatever becomes of the head. */
@RedisTest
class StrictOrderIT {

    private QueueRig rig;

    @BeforeEach
    void open(RedisServer server, @Namespace String namespace) {
        rig = QueueRig.on(server, namespace);
        rig.queue.policies().order(Order.STRICT).block(SOON);
    }

    @AfterEach
    void close() {
        assertThat(rig.doctor().findings()).isEmpty();
        rig.close();
    }

    @Test
    @DisplayName("the lease of a strict head expires: it comes next, before those behind it, and blocks nobody else")
    void expired() {
        rig.fill("a", 3);
        assertThat(rig.lease(9, LONG.mutate().lease(Duration.ofSeconds(2)).build()))
                .hasSize(1);
        assertThat(rig.lease(9, LONG)).isEmpty();
        rig.fill("b", 1);
        assertThat(ids(rig.lease(9, LONG))).containsExactly("b-0");

        Delivery again = rig.next(LONG);

        assertThat(again.message().id()).isEqualTo("a-0");
        assertThat(again.message().attempt()).isEqualTo(2);
        assertThat(rig.lease(9, LONG)).isEmpty();
        assertThat(again.ack().block(SOON)).isTrue();
        assertThat(ids(rig.lease(9, LONG))).containsExactly("a-1");
    }

    @Test
    @DisplayName("strict order with handlers that fail and are tried again later: nothing overtakes in its facet")
    void consumed() {
        rig.fill("a", 12);
        rig.fill("b", 12);
        Map<String, Integer> tries = new ConcurrentHashMap<>();
        Map<String, List<String>> handled = new ConcurrentHashMap<>();
        Sinks.Empty<Void> end = Sinks.empty();

        rig.queue
                .consume(
                        message -> Mono.defer(() -> {
                            int attempt = tries.merge(message.id(), 1, Integer::sum);
                            List<String> mine = handled.computeIfAbsent(message.facet(), facet -> new ArrayList<>());
                            synchronized (mine) {
                                mine.add(message.id());
                            }
                            if (message.id().endsWith("3") && attempt < 3) {
                                return Mono.error(new IllegalStateException("not yet"));
                            }
                            if (handled.values().stream().mapToInt(List::size).sum() == 24 + 4 * 2 - 4) {
                                end.tryEmitEmpty();
                            }
                            return Mono.empty();
                        }),
                        ConsumeOptions.builder()
                                .concurrency(6)
                                .retryDelay(Duration.ofMillis(20), Duration.ofMillis(50))
                                .until(end.asMono())
                                .build())
                .block(SOON);

        for (String facet : List.of("a", "b")) {
            List<String> expected = new ArrayList<>();
            IntStream.range(0, 12).forEach(i -> {
                String id = facet + "-" + i;
                expected.addAll(id.endsWith("3") ? List.of(id, id, id) : List.of(id));
            });
            assertThat(handled.get(facet)).isEqualTo(expected);
        }
    }

    @Test
    @DisplayName("strict order with batches: never two of a facet in flight, and those given back come first")
    void batches() {
        rig.fill("a", 5);
        rig.fill("b", 5);
        List<String> got = new ArrayList<>();
        for (int round = 0; round < 8; round++) {
            DeliveryBatch batch =
                    rig.queue.receiveBatches(LONG.mutate().batchSize(4).build()).blockFirst(SOON);
            assertThat(batch.messages()).extracting(Message::facet).doesNotHaveDuplicates();
            if (round % 3 == 0) {
                assertThat(batch.nack(List.of(0), Duration.ZERO).block(SOON)).isTrue();
                batch.messages().stream().skip(1).map(Message::id).forEach(got::add);
            } else {
                assertThat(batch.ack().block(SOON)).isTrue();
                batch.messages().stream().map(Message::id).forEach(got::add);
            }
        }
        assertThat(got).hasSizeGreaterThan(7);
        for (String facet : List.of("a", "b")) {
            List<String> mine = got.stream().filter(id -> id.startsWith(facet)).toList();
            assertThat(mine)
                    .isEqualTo(IntStream.range(0, mine.size())
                            .mapToObj(i -> facet + "-" + i)
                            .toList());
        }
    }

    @Test
    @Tag("P3")
    @DisplayName("P3 the head of a strict facet is removed by hand, waiting or in flight: the next is served")
    void removedHead() {
        rig.fill("a", 3);
        rig.raw("LPOP", rig.key("f:a"));
        Delivery lost = rig.lease(9, LONG).get(0);
        assertThat(lost.message().id()).isEqualTo("a-1");
        rig.raw("XDEL", rig.key("l:" + LONG.profile()), lost.receipt().entry());
        assertThat(rig.doctor().findings())
                .extracting(DoctorReport.Finding::kind)
                .containsExactly(DoctorReport.Kind.MISCOUNTED);

        assertThat(ids(rig.lease(9, LONG))).containsExactly("a-2");
    }

    @Test
    @DisplayName(
            "two of a facet are held back for different times when order becomes strict: it waits for the longer one")
    void twoHeldBack() {
        rig.queue.policies().order(Order.FREE).block(SOON);
        rig.fill("a", 2);
        List<Delivery> both = rig.lease(2, LONG);
        rig.queue.policies().order(Order.STRICT).block(SOON);
        assertThat(both.get(0).nack(Duration.ofHours(1)).block(SOON)).isTrue();
        assertThat(both.get(1).nack(Duration.ofMillis(100)).block(SOON)).isTrue();

        assertThat(Double.parseDouble(rig.raw("ZSCORE", rig.key("hold"), "a").text(0)))
                .isGreaterThan(rig.mill.redis().clock().millis() + 1_000_000);
        assertThat(rig.lease(2, LONG)).isEmpty();
    }

    private static List<String> ids(List<Delivery> deliveries) {
        return deliveries.stream().map(one -> one.message().id()).toList();
    }
}
