package io.millrace.queue;

import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.lettuce.core.AbstractRedisClient;
import io.lettuce.core.ClientOptions;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisURI;
import io.lettuce.core.TimeoutOptions;
import io.lettuce.core.cluster.ClusterClientOptions;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.cluster.SlotHash;
import io.lettuce.core.event.connection.DisconnectedEvent;
import io.millrace.Event;
import io.millrace.Millrace;
import io.millrace.RedisUnavailableException;
import io.millrace.testing.Eventually;
import io.millrace.testing.FaultProxy;
import io.millrace.testing.OwnRedis;
import io.millrace.testing.RedisClusterFixture;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.util.retry.Retry;

/** A Lettuce client that the application has already, set up as the README says. */
class ReadyMadeClientIT {

    private static final Duration NOTICED = Duration.ofSeconds(10);
    private static final TimeoutOptions TIMEOUTS = TimeoutOptions.enabled(Duration.ofSeconds(1));

    private final Queue<String> consumed = new ConcurrentLinkedQueue<>();
    private final Queue<Event> heard = new ConcurrentLinkedQueue<>();
    private final AtomicInteger disconnected = new AtomicInteger();
    private final Disposable.Composite running = Disposables.composite();

    @AfterEach
    void stop() {
        running.dispose();
    }

    @Test
    @DisplayName(
            "of a single server: deliver, consume, listen; a dead line is noticed within 10 s; only the client stays open")
    void single() {
        try (OwnRedis redis = OwnRedis.start();
                FaultProxy proxy = FaultProxy.to(redis.uri())) {
            RedisClient client = RedisClient.create(proxy.uri());
            client.setOptions(ClientOptions.builder()
                    .disconnectedBehavior(ClientOptions.DisconnectedBehavior.REJECT_COMMANDS)
                    .timeoutOptions(TIMEOUTS)
                    .build());
            Millrace mill = Millrace.with(client, "ready");
            begin(client, mill);
            passes(mill, "1");

            disconnected.set(0);
            proxy.stall();
            Eventually.await("both lines closed", NOTICED, () -> disconnected.get() == 2);
            proxy.pass();
            passes(mill, "2");

            mill.shutdown().block(SOON);
            Eventually.await("no connection left", SOON, () -> proxy.connections() == 0);
            try (var own = client.connect()) {
                assertThat(own.sync().ping()).isEqualTo("PONG");
            }
            running.dispose();
            client.shutdown();
        }
    }

    @Test
    @DisplayName("a master that became a replica: the connection is made anew, to find the present one")
    void demoted() {
        try (OwnRedis redis = OwnRedis.start()) {
            RedisClient client = RedisClient.create(redis.uri());
            Millrace mill = Millrace.with(client, "ready");
            mill.queues().register("q", ".*").block(SOON);
            long before = connection(mill);
            mill.redis().call("REPLICAOF", "127.0.0.1", 1).block(SOON);
            assertThat(catchThrowableOfType(
                            RedisUnavailableException.class,
                            () -> mill.deliver(event("a", "1")).block(SOON)))
                    .isNotNull();
            Eventually.await("another connection", SOON, () -> connection(mill) != before);
            mill.redis().call("REPLICAOF", "NO", "ONE").block(SOON);
            assertThat(mill.deliver(event("a", "2")).block(SOON).queues()).containsExactly("q");
            mill.shutdown().block(SOON);
            running.dispose();
            client.shutdown();
        }
    }

    private static long connection(Millrace mill) {
        return (long) mill.redis().call("CLIENT", "ID").block(SOON);
    }

    @Test
    @DisplayName("of a cluster: the same, when a master hangs")
    void cluster() {
        try (RedisClusterFixture cluster = RedisClusterFixture.start()) {
            RedisClusterClient client = RedisClusterClient.create(
                    cluster.seeds().stream().map(RedisURI::create).toList());
            client.setOptions(ClusterClientOptions.builder()
                    .disconnectedBehavior(ClientOptions.DisconnectedBehavior.REJECT_COMMANDS)
                    .timeoutOptions(TIMEOUTS)
                    .build());
            Millrace mill = Millrace.with(client, "ready");
            begin(client, mill);
            passes(mill, "1");

            byte[] key = mill.redis().keys().unit("queue", "q", 0);
            OwnRedis master = cluster.node(cluster.masterOf(SlotHash.getSlot(new String(key, StandardCharsets.UTF_8))));
            disconnected.set(0);
            master.pause();
            Eventually.await("the line closed", NOTICED, () -> disconnected.get() > 0);
            master.resume();
            passes(mill, "2");

            mill.shutdown().block(SOON);
            try (var own = client.connect()) {
                Eventually.await(
                        "no connection left but this one's",
                        SOON,
                        () -> cluster.seeds().stream().allMatch(node -> connections(node) <= 2));
                assertThat(own.sync().ping()).isEqualTo("PONG");
            }
            running.dispose();
            client.shutdown();
        }
    }

    /** Those that ask now among them. */
    private static long connections(String node) {
        RedisClient asking = RedisClient.create(node);
        try (var open = asking.connect()) {
            return open.sync()
                    .clientList()
                    .lines()
                    .filter(line -> !line.contains("flags=S"))
                    .count();
        } finally {
            asking.shutdown();
        }
    }

    private void begin(AbstractRedisClient client, Millrace mill) {
        running.add(client.getResources()
                .eventBus()
                .get()
                .ofType(DisconnectedEvent.class)
                .subscribe(event -> disconnected.incrementAndGet()));
        mill.queues().register("q", ".*").block(SOON);
        running.add(mill.queue("q")
                .consume(message -> Mono.fromRunnable(() -> consumed.add(message.id())))
                .subscribe());
        running.add(mill.listen("*").subscribe(heard::add));
        Eventually.await("listening", SOON, () -> {
            mill.deliver(event("warm", "up")).block(SOON);
            return !heard.isEmpty();
        });
    }

    /** An event is delivered, consumed, and heard. */
    private void passes(Millrace mill, String id) {
        Mono.defer(() -> mill.deliver(event("a", id)))
                .retryWhen(Retry.fixedDelay(100, Duration.ofMillis(50)))
                .block(SOON);
        Eventually.await("message " + id, SOON, () -> consumed.contains(id));
        Flux.interval(Duration.ofMillis(50))
                .concatMap(tick -> mill.deliver(event("live", id + "-" + tick)).onErrorResume(away -> Mono.empty()))
                .takeUntil(done -> heard.stream()
                        .anyMatch(one ->
                                one.environment().equals("live") && one.id().startsWith(id)))
                .blockLast(SOON);
    }
}
