package io.millrace.stream;

import io.millrace.redis.BlockingReader;
import io.millrace.redis.GroupCommit;
import io.millrace.redis.LuaScript;
import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.time.Duration;
import java.util.List;
import java.util.function.Predicate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.util.retry.Retry;

/**
 * Runs scripts and waits for replicas, both on one connection: {@code WAIT} is about the writes of its own connection only. The server
 * hears nothing of a connection that waits, so one {@code WAIT} is out at a time, for everything that was answered before it was sent,
 * and each asks for a part of the time only: then comes what has arrived behind it.
 *
 * <p>Sent on another line than the script, {@code WAIT} has nothing to wait for and would find all replicas in step: then the script
 * runs again. It finds what it did, and writes a little, so that there is something to wait for.
 */
final class ReplicatedRunner implements Outlet.Runner {

    private static final Logger log = LoggerFactory.getLogger(ReplicatedRunner.class);

    private static final int REPEATS = 4;
    private static final Duration PAUSE = Duration.ofMillis(40);
    private static final Duration PATIENCE = Duration.ofSeconds(2);
    private static final int MOST = 20_000;

    /** How often it is asked until the time is over; so many parts late the last answer may be. */
    private static final int PARTS = 4;

    /** How many replicas have it cannot be told: the line was lost. */
    private static final long UNKNOWN = -1;

    private record Answer(Reply reply, long replicas) {}

    private final ReplicaWait wait;
    private final Scheduler worker;
    private final Mono<BlockingReader> connection;
    private final GroupCommit<Long, Long> waits = new GroupCommit<>(MOST, 1, MOST, this::replicas);

    ReplicatedRunner(Redis redis, ReplicaWait wait) {
        if (redis.isCluster()) {
            throw new IllegalArgumentException(
                    "waiting for replicas is not possible in a cluster: WAIT cannot be sent to the node of a key;"
                            + " set min-replicas-to-write there");
        }
        this.wait = wait;
        this.worker = redis.worker();
        this.connection = redis.dedicated(wait.atMost())
                .cache(open -> Duration.ofDays(36_500), error -> Duration.ZERO, () -> Duration.ZERO);
    }

    @Override
    public Mono<Reply> run(LuaScript<Reply> script, List<byte[]> keys, List<byte[]> args, Predicate<Reply> wrote) {
        return connection.flatMap(open -> {
            long began = System.nanoTime();
            return attempt(open, began, Mono.defer(() -> open.run(script, keys, args)), wrote)
                    .flatMap(this::judged);
        });
    }

    private Mono<Answer> attempt(BlockingReader open, long began, Mono<Reply> call, Predicate<Reply> wrote) {
        long line = open.line();
        return call.retryWhen(Retry.backoff(REPEATS, PAUSE)
                        .filter(error -> Delayer.isPassing(error) && !isLate(began))
                        .onRetryExhaustedThrow((spec, signal) -> signal.failure()))
                .flatMap(reply -> wrote.test(reply)
                        ? confirmed(line, System.nanoTime() + wait.atMost().toNanos())
                                .map(replicas -> new Answer(reply, replicas))
                        : Mono.just(new Answer(reply, wait.replicas())))
                .flatMap(answer -> answer.replicas() == UNKNOWN && !isLate(began)
                        ? Mono.delay(PAUSE, worker).then(Mono.defer(() -> attempt(open, began, call, wrote)))
                        : Mono.just(answer));
    }

    /** By how many replicas, or by less than enough at the deadline; {@link #UNKNOWN} when the line was lost. */
    private Mono<Long> confirmed(long line, long deadline) {
        return waits.submit(line)
                .flatMap(count -> count >= wait.replicas() || count == UNKNOWN || System.nanoTime() - deadline >= 0
                        ? Mono.just(count)
                        : Mono.defer(() -> confirmed(line, deadline)));
    }

    /** After this nothing is repeated. */
    private boolean isLate(long began) {
        return System.nanoTime() - began > wait.atMost().plus(PATIENCE).toNanos();
    }

    /** @param lines on which scripts ran that were answered; they were looked up before those were sent */
    private Mono<List<GroupCommit.Outcome<Long>>> replicas(List<Long> lines) {
        long part = Math.max(1, wait.atMost().toMillis() / PARTS);
        return connection.flatMap(open -> open.call("WAIT", wait.replicas(), part)
                .map(answer -> (Long) answer)
                .onErrorResume(Delayer::isPassing, lost -> Mono.just(UNKNOWN))
                .map(count -> {
                    long now = open.line();
                    return lines.stream()
                            .<GroupCommit.Outcome<Long>>map(
                                    line -> new GroupCommit.Outcome.Done<>(line == now ? count : UNKNOWN))
                            .toList();
                }));
    }

    private Mono<Reply> judged(Answer answer) {
        if (answer.replicas() >= wait.replicas()) {
            return Mono.just(answer.reply());
        }
        String message = "stored, but confirmed by " + Math.max(0, answer.replicas()) + " of " + wait.replicas()
                + " replicas within " + wait.atMost();
        if (wait.failing()) {
            return Mono.error(new NotReplicatedException(message));
        }
        log.warn(message);
        return Mono.just(answer.reply());
    }
}
