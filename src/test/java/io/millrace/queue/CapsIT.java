package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SHORT;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.redis.Reply;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Caps, looked at from Redis: all that is leased counts, also what no handler has yet and what nobody will ever end. */
@RedisTest
class CapsIT {

    /** At one moment, over all partitions: in flight of facet a, of facet b, and of the queue. */
    private static final String IN_FLIGHT = """
            local a, b, all = 0, 0, 0
            for _, unit in ipairs(ARGV) do
              for _, profile in ipairs(redis.call('SMEMBERS', unit .. 'leases')) do
                for _, entry in ipairs(redis.call('XRANGE', unit .. 'l:' .. profile, '-', '+')) do
                  for i = 2, #entry[2], 2 do
                    local facet = cjson.decode(entry[2][i]).environment
                    all = all + 1
                    if facet == 'a' then a = a + 1 elseif facet == 'b' then b = b + 1 end
                  end
                end
              end
            end
            return {a, b, all}
            """;

    private static final int EACH = 120;

    enum Capped {
        EACH_FACET,
        ONE_FACET,
        QUEUE
    }

    static Stream<Arguments> caps() {
        return Stream.of(Capped.values())
                .flatMap(capped -> IntStream.of(1, 4).mapToObj(partitions -> Arguments.of(capped, partitions)));
    }

    @ParameterizedTest(name = "{0}, {1} partitions")
    @MethodSource("caps")
    @Tag("P9")
    @DisplayName("P9 50 pullers, some extend, some die: never more in flight than the cap, at any moment, and as many")
    void neverMore(Capped capped, int partitions, RedisServer server, @Namespace String namespace) {
        try (QueueRig rig = QueueRig.on(server, namespace, partitions)) {
            Policies policies = rig.queue.policies();
            switch (capped) {
                case EACH_FACET -> policies.capEach(Cap.of(2)).block(SOON);
                case ONE_FACET -> policies.cap("a", Cap.of(3)).block(SOON);
                case QUEUE -> policies.cap(Cap.of(8)).block(SOON);
            }
            rig.fill("a", EACH);
            rig.fill("b", EACH);
            List<Object> units = new ArrayList<>(List.of(IN_FLIGHT, 0));
            IntStream.range(0, partitions).forEach(i -> units.add(rig.key(i, "")));
            Set<String> done = ConcurrentHashMap.newKeySet();
            Disposable running = Flux.range(0, 50)
                    .flatMap(
                            i -> rig.queue
                                    .receive(
                                            i % 5 == 0
                                                    ? SHORT.mutate()
                                                            .maxAttempts(0)
                                                            .build()
                                                    : LONG)
                                    .limitRate(3)
                                    .flatMap(one -> end(i, one, done), 3),
                            50)
                    .subscribe();
            long[] most = new long[3];
            Eventually.await("all messages", Duration.ofSeconds(60), () -> {
                for (int look = 0; look < 10; look++) {
                    Reply now = rig.raw("EVAL", units.toArray());
                    IntStream.range(0, 3).forEach(i -> most[i] = Math.max(most[i], now.number(i)));
                }
                return done.size() == 2 * EACH;
            });
            running.dispose();

            // Each of four partitions has two of the eight, and there are two facets.
            long used = partitions == 1
                    ? 8
                    : 2 * Stream.of("a", "b").map(rig::of).distinct().count();
            switch (capped) {
                case EACH_FACET -> assertThat(Math.max(most[0], most[1])).isBetween(1L, 2L);
                case ONE_FACET -> assertThat(most[0]).isBetween(1L, 3L);
                case QUEUE -> assertThat(most[2]).isBetween(1L, used);
            }
            empty(rig);
            for (int i = 0; i < 20; i++) {
                rig.deliver("a", "again a" + i);
                rig.deliver("b", "again b" + i);
            }
            List<Delivery> leased = rig.lease(50, LONG);
            Map<String, Long> held = leased.stream()
                    .collect(Collectors.groupingBy(one -> one.message().facet(), Collectors.counting()));
            switch (capped) {
                case EACH_FACET -> assertThat(held).isEqualTo(Map.of("a", 2L, "b", 2L));
                case ONE_FACET -> assertThat(held).isEqualTo(Map.of("a", 3L, "b", 20L));
                case QUEUE -> assertThat(leased).hasSize((int) used);
            }
            leased.forEach(one -> one.ack().block(SOON));
            empty(rig);
            assertThat(rig.doctor().findings()).isEmpty();
            for (int i = 0; i < partitions; i++) {
                assertThat(rig.number("EXISTS", rig.key(i, "busy"), rig.key(i, "parked")))
                        .isZero();
            }
        }
    }

    /** Takes what is left, as its leases end. */
    private static void empty(QueueRig rig) {
        Eventually.await("what was taken to come back", SOON, () -> {
            rig.lease(50, LONG).forEach(one -> one.ack().block(SOON));
            return rig.facets().isEmpty();
        });
    }

    /** A fifth of them have leases of 100 ms: every third message of these is left to expire, the others are extended. */
    private static Mono<Boolean> end(int puller, Delivery one, Set<String> done) {
        boolean brief = puller % 5 == 0;
        if (brief && one.message().attempt() == 1 && one.message().id().endsWith("3")) {
            return Mono.empty();
        }
        return Mono.delay(Duration.ofMillis(3))
                .then(brief ? one.extend() : Mono.just(true))
                .then(Mono.defer(one::ack))
                .doOnNext(accepted -> {
                    if (accepted) {
                        done.add(one.message().id());
                    }
                });
    }
}
