package io.millrace.stream;

import io.millrace.redis.PubSub;
import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import io.millrace.redis.WakeUp;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/**
 * One instance among those that read a stream's shards under one name: says every third of a lease that it is there, and is told which
 * shards are its own.
 *
 * <p>The plan is made by {@code stream/balance.lua} in one step whenever somebody comes, leaves or is not heard of any more: everybody
 * gets {@code shards / members} of them, the first {@code shards % members} one more; who has too many gives up the last ones, who has
 * too few gets what is free, all others stay where they are. This is what Kafka calls sticky assignment (KIP-54: first even, then as few
 * moves as possible), with the coordinator being a script and membership being leases that have to be renewed, as the lease table of
 * Amazon's Kinesis Client Library. The plan only says who is to read a shard. Who may is decided by the shard's lock, which its new
 * owner waits for: so that two plans, or a member that has not heard of the newest, never make two active ones.
 *
 * <pre>
 *                      planned for me                    planned for another · stop
 *  NOT MINE ────────────────────────────▶ MINE ───────────────────────────────────▶ GIVING UP ──▶ NOT MINE
 *                          waits for the lock, reads      no more reads, what runs is ended (drain),
 *                                                         commit, release of the lock
 * </pre>
 */
final class Membership {

    private static final Logger log = LoggerFactory.getLogger(Membership.class);

    private static final Duration PAUSE = Duration.ofMillis(100);
    private static final int RANDOM_PART = 12;

    private final Redis redis;
    private final StreamKeys first;
    private final String consumer;
    private final int shards;
    private final Duration lease;
    private final String member = ProcessHandle.current().pid() + "-"
            + UUID.randomUUID().toString().replace("-", "").substring(0, RANDOM_PART);
    private final Sinks.Many<Set<Integer>> mine = Sinks.many().replay().latestOrDefault(Set.of());
    private final AtomicBoolean left = new AtomicBoolean();

    /** @param first the shard in whose slot the plan is kept */
    Membership(Redis redis, StreamKeys first, String consumer, int shards, Duration lease) {
        this.redis = redis;
        this.first = first;
        this.consumer = consumer;
        this.shards = shards;
        this.lease = lease;
    }

    /** Completes when a shard is this member's to read. */
    Mono<Void> given(int shard) {
        return mine.asFlux().filter(own -> own.contains(shard)).next().then();
    }

    /** Completes when a shard is not, or no more, this member's to read. */
    Mono<Void> taken(int shard) {
        return mine.asFlux().filter(own -> !own.contains(shard)).next().then();
    }

    /** Says that it is there, and listens to who else is, until cancelled; keeps what it has while Redis is away. */
    Mono<Void> stay() {
        return Mono.defer(() -> {
            WakeUp wake = new WakeUp(redis.worker());
            return Mono.using(
                    () -> redis.pubSub().attach(channel(), false, signal -> wake.call()),
                    attached -> Mono.fromRunnable(wake::clear)
                            .then(Mono.defer(this::beat))
                            .flatMap(wake::await)
                            .repeat()
                            .then(),
                    PubSub.Attachment::close);
        });
    }

    /** Leaves, once: the others share what it had. Never fails: who is not heard of is gone after a lease. */
    Mono<Void> leave() {
        return Mono.defer(() -> left.getAndSet(true)
                ? Mono.empty()
                : run(Duration.ZERO).then().onErrorResume(error -> {
                    log.debug("a member that is not heard of is gone when its lease ends", error);
                    return Mono.empty();
                }));
    }

    /** @return how long to wait until the next one: until another member may be gone, but no longer than a third of a lease */
    private Mono<Duration> beat() {
        return run(lease)
                .map(reply -> {
                    Set<Integer> own = new HashSet<>();
                    for (int i = 3; i < reply.size(); i++) {
                        own.add((int) reply.number(i));
                    }
                    mine.tryEmitNext(own);
                    long third = lease.toMillis() / 3;
                    return Duration.ofMillis(reply.number(2) < 0 ? third : Math.min(third, reply.number(2) + 1));
                })
                .onErrorResume(Delayer::isPassing, error -> {
                    log.debug("a member of consumer \"{}\" is not heard for now", consumer, error);
                    return Mono.just(PAUSE);
                });
    }

    private Mono<Reply> run(Duration stays) {
        return redis.run(
                StreamScripts.BALANCE,
                List.of(first.unitKey()),
                List.of(
                        StreamKeys.bytes(consumer),
                        StreamKeys.bytes(member),
                        StreamKeys.bytes(stays.toMillis()),
                        StreamKeys.bytes(shards)));
    }

    private byte[] channel() {
        return StreamKeys.bytes(first.unit() + "plan:" + consumer);
    }
}
