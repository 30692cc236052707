package io.millrace.stream;

import io.millrace.redis.BlockingReader;
import io.millrace.redis.LuaScript;
import io.millrace.redis.Redis;
import java.time.Duration;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;
import reactor.util.retry.Retry;

/** Runs scripts and waits for replicas, both on one connection: {@code WAIT} is about the writes of its own connection only. */
final class ReplicatedRunner implements Outlet.Runner {

    private static final Logger log = LoggerFactory.getLogger(ReplicatedRunner.class);

    private static final int REPEATS = 4;
    private static final Duration PAUSE = Duration.ofMillis(40);

    private final ReplicaWait wait;
    private final Mono<BlockingReader> connection;

    ReplicatedRunner(Redis redis, ReplicaWait wait) {
        if (redis.isCluster()) {
            throw new IllegalArgumentException(
                    "waiting for replicas is not possible in a cluster: WAIT cannot be sent to the node of a key;"
                            + " set min-replicas-to-write there");
        }
        this.wait = wait;
        this.connection = redis.dedicated(wait.atMost())
                .cache(open -> Duration.ofDays(36_500), error -> Duration.ZERO, () -> Duration.ZERO);
    }

    @Override
    public <T> Mono<T> run(LuaScript<T> script, List<byte[]> keys, List<byte[]> args) {
        return connection.flatMap(open -> open.run(script, keys, args)
                .retryWhen(Retry.backoff(REPEATS, PAUSE)
                        .filter(Delayer::isPassing)
                        .onRetryExhaustedThrow((spec, signal) -> signal.failure()))
                .delayUntil(written -> confirmed(open)));
    }

    private Mono<Void> confirmed(BlockingReader open) {
        return open.call("WAIT", wait.replicas(), wait.atMost().toMillis()).flatMap(answer -> {
            long count = (Long) answer;
            if (count >= wait.replicas()) {
                return Mono.empty();
            }
            String message = "stored, but confirmed by " + count + " of " + wait.replicas() + " replicas within "
                    + wait.atMost();
            if (wait.failing()) {
                return Mono.error(new NotReplicatedException(message));
            }
            log.warn(message);
            return Mono.empty();
        });
    }
}
