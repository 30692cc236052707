package io.millrace.lock;

import io.millrace.redis.Redis;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Locks that the members of a group share among them: of P locks each of n members holds P/n, some one more, never more than
 * {@code ceil(P/n)}, and all are held when there is anybody. Members that are there longer have the greater shares; who comes or goes
 * moves as few locks as can be.
 *
 * <pre>
 *           free, and fewer than our share          work completed · cancelled · lease lost
 *   FREE ──────────────────────────────────▶ HELD ─────────────────────────────────────────▶ FREE
 *                                             │  ▲
 *              more than our share · leaving  ▼  │ runs to its end, renewed all the while
 *                                           REVOKED
 * </pre>
 *
 * A member says by heartbeats, every third of the time to live, that it is there; the server's clock decides who is. Who leaves says so,
 * and what he held is taken over at once; what a dead one held is taken over when its lease ends. Two members may for a moment disagree
 * about who is there, never about who holds a lock. While Redis is away for less than the time to live everything stays as it is.
 *
 * <p>Immutable and thread safe; every subscription is a member of its own.
 */
public final class Membership {

    /** 5 s. */
    public static final Duration DEFAULT_TTL = Lock.DEFAULT_LEASE;

    private static final int RANDOM_PART = 12;
    private static final char SEPARATOR = '.';

    /** How many locks are asked for their owners at a time. */
    private static final int AT_ONCE = 16;

    /**
     * Who takes part.
     *
     * @param name a word of its own for as long as it runs: the number of its process, and something random
     * @param holds which of the locks it holds, from 0, in order
     * @param leaves after what time it counts as gone unless it is heard of again
     */
    public record Member(String name, List<Integer> holds, Duration leaves) {

        /** @param holds which of the locks it holds */
        public Member {
            holds = List.copyOf(holds);
        }
    }

    private final Redis redis;
    private final GroupKeys keys;
    private final List<Lock> locks;
    private final Duration ttl;

    /**
     * Of these locks; their own leases do not matter.
     *
     * @param locks the same, and in the same order, for all members
     */
    public Membership(Redis redis, GroupKeys keys, List<Lock> locks) {
        this(redis, keys, locks, DEFAULT_TTL);
    }

    private Membership(Redis redis, GroupKeys keys, List<Lock> locks, Duration ttl) {
        if (locks.isEmpty()) {
            throw new IllegalArgumentException(
                    "the group \"" + keys.name() + "\" needs something to share; it was given none");
        }
        this.redis = redis;
        this.keys = keys;
        this.locks = locks.stream().map(lock -> lock.lease(ttl)).toList();
        this.ttl = ttl;
    }

    /**
     * The same with another time to live: how long what a member held stays taken after it died.
     *
     * @param newTtl 100 ms to 1 h
     */
    public Membership ttl(Duration newTtl) {
        return new Membership(redis, keys, locks, newTtl);
    }

    /**
     * Joins, and does something with each lock that is this member's share, for as long as it is; until cancelled.
     *
     * <p>The work is called once for each holding. It goes on until {@link Share#revoked()} completes, then finishes what it has under
     * way and completes; if it completes before, the lock is released and taken again after a while. It is cancelled when the lock is lost; that is no error here, the lock is taken again when it is free. A cancel
     * of the whole cancels all work and gives everything back at once.
     *
     * @param work what to do with one lock; its errors end the whole
     * @return what all work emits; fails when it does, or by an error that trying again does not cure
     */
    public <T> Flux<T> share(Function<Share, ? extends Publisher<T>> work) {
        return share(Mono.never(), work);
    }

    /**
     * As {@link #share(Function)}, for somebody who leaves in good order.
     *
     * @param leaving when it signals anything nothing more is taken, and all is revoked; the whole completes with the last work
     */
    public <T> Flux<T> share(Publisher<?> leaving, Function<Share, ? extends Publisher<T>> work) {
        return Flux.defer(() -> new Sharing<T>(redis, keys, locks, ttl, work).until(leaving));
    }

    /** Who takes part now and holds what, by name; to look at, for it may be another the moment after. 1,000 members at the most. */
    public Flux<Member> members() {
        return Flux.defer(() -> redis.run(LockScripts.MEMBERS, List.of(keys.members()), List.of()))
                .next()
                .filter(alive -> !alive.isEmpty())
                .flatMap(alive -> owners().map(owners -> alive.stream()
                        .map(one -> new Member(one.name(), owners.getOrDefault(one.name(), List.of()), one.leaves()))
                        .sorted(Comparator.comparing(Member::name))
                        .toList()))
                .flatMapIterable(all -> all);
    }

    private Mono<Map<String, List<Integer>>> owners() {
        return Flux.range(0, locks.size())
                .flatMapSequential(i -> locks.get(i).owner().map(token -> Map.entry(memberOf(token), i)), AT_ONCE)
                .collect(Collectors.groupingBy(
                        Map.Entry::getKey, Collectors.mapping(Map.Entry::getValue, Collectors.toList())));
    }

    /** A name nobody else has, which tells the process to a person who looks for it. */
    static String newMember() {
        return ProcessHandle.current().pid() + "-"
                + UUID.randomUUID().toString().replace("-", "").substring(0, RANDOM_PART);
    }

    /** Unique to an attempt to take a lock, as tokens have to be. */
    static String token(String member, long attempt) {
        return member + SEPARATOR + attempt;
    }

    private static String memberOf(String token) {
        int end = token.lastIndexOf(SEPARATOR);
        return end < 0 ? token : token.substring(0, end);
    }
}
