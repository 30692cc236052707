package io.millrace.queue;

import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisCommandExecutionException;
import io.lettuce.core.api.sync.RedisCommands;
import io.millrace.RedisRefusedException;
import io.millrace.RedisUnavailableException;
import io.millrace.redis.RedisSettings;
import io.millrace.testing.Eventually;
import io.millrace.testing.OwnRedis;
import java.time.Duration;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;

/** The server answers, and says no. */
class RefusedIT {

    private OwnRedis redis;
    private QueueRig admin;
    private QueueRig rig;
    private final Queue<String> handled = new ConcurrentLinkedQueue<>();
    private final Queue<Throwable> ended = new ConcurrentLinkedQueue<>();

    @BeforeEach
    void start() {
        redis = OwnRedis.start();
        admin = QueueRig.on(redis.uri(), "r");
        admin.raw("ACL", "SETUSER", "worker", "on", ">secret", "~*", "&*", "+@all");
        rig = QueueRig.joining(
                RedisSettings.builder(redis.uri().replace("//", "//worker:secret@"))
                        .namespace("r")
                        .build(),
                QueueSettings.defaults());
    }

    @AfterEach
    void stop() {
        rig.close();
        admin.close();
        redis.close();
    }

    private Disposable consume() {
        return rig.queue
                .consume(message -> Mono.fromRunnable(() -> handled.add(message.id())))
                .subscribe(done -> {}, ended::add);
    }

    @Test
    @DisplayName(
            "rights are taken away from a consumer that runs: it waits for them; one that begins then ends with the reason")
    void rightsTakenAway() {
        Disposable running = consume();
        admin.deliver("a", "1");
        Eventually.await(
                "the first", SOON, () -> handled.contains("1") && admin.facets().isEmpty());

        admin.raw("ACL", "SETUSER", "worker", "-evalsha", "-eval");
        admin.deliver("a", "2");
        RedisRefusedException refused = catchThrowableOfType(
                RedisRefusedException.class,
                () -> rig.queue.consume(message -> Mono.empty()).block(SOON));
        assertThat(refused.code()).isEqualTo("NOPERM");
        assertThat(refused.retryable()).isFalse();
        Mono.delay(Duration.ofMillis(500)).block();
        assertThat(handled).containsExactly("1");
        assertThat(ended).isEmpty();

        admin.raw("ACL", "SETUSER", "worker", "+@all");
        Eventually.await("the other", Duration.ofSeconds(2), () -> handled.contains("2"));
        running.dispose();
    }

    @Test
    @DisplayName("the server has as many connections as it may: calls fail, a consumer that begins waits for its own")
    void full() {
        admin.deliver("a", "1");
        long connected = admin.raw("CLIENT", "LIST").text(0).lines().count();
        admin.raw("CONFIG", "SET", "maxclients", connected);
        RedisUnavailableException away = catchThrowableOfType(RedisUnavailableException.class, () -> rig.pullIds(1));
        assertThat(away.indeterminate()).isFalse(); // it hangs up, and its word may be too late to be heard
        Disposable running = consume();
        Mono.delay(Duration.ofMillis(500)).block();
        assertThat(ended).isEmpty();
        admin.raw("CONFIG", "SET", "maxclients", 1_000);
        Eventually.await("the message", SOON, () -> handled.contains("1"));
        running.dispose();
    }

    @Test
    @Tag("F15")
    @DisplayName(
            "F15 a slow script holds the server, then it is a replica for a while: calls say so, a consumer goes on")
    void busyThenReplica() {
        Disposable running = consume();
        admin.deliver("a", "1");
        Eventually.await(
                "the first", SOON, () -> handled.contains("1") && admin.facets().isEmpty());
        admin.raw("CONFIG", "SET", "busy-reply-threshold", 50);
        Disposable slow =
                admin.mill.redis().call("EVAL", "while true do end", 0).subscribe(done -> {}, killed -> {});
        try (RedisClient killer = RedisClient.create(redis.uri());
                var asking = killer.connect()) {
            Eventually.await("a refusal", SOON, () -> busy(asking.sync()));
            Eventually.await(
                    "its word; no answer at all says less",
                    SOON,
                    () -> catchThrowableOfType(RedisUnavailableException.class, () -> rig.pullIds(1))
                            .getMessage()
                            .contains("BUSY"));
            asking.sync().scriptKill();
        }
        slow.dispose();
        admin.deliver("a", "2");
        Eventually.await("the second", SOON, () -> handled.contains("2"));

        admin.raw("REPLICAOF", "127.0.0.1", 1);
        RedisUnavailableException readOnly = catchThrowableOfType(
                RedisUnavailableException.class,
                () -> admin.mill.deliver(event("a", "3")).block(SOON));
        assertThat(readOnly.indeterminate()).isFalse();
        Eventually.await(
                "its end", SOON, () -> !admin.raw("REPLICAOF", "NO", "ONE").isNull(0));
        admin.deliver("a", "4");
        Eventually.await("the last", SOON, () -> handled.contains("4"));
        assertThat(ended).isEmpty();
        running.dispose();
    }

    private static boolean busy(RedisCommands<String, String> commands) {
        try {
            commands.ping();
            return false;
        } catch (RedisCommandExecutionException error) {
            return error.getMessage().startsWith("BUSY");
        }
    }
}
