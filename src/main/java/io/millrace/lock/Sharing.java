package io.millrace.lock;

import io.millrace.redis.Detached;
import io.millrace.redis.PubSub;
import io.millrace.redis.Redis;
import io.millrace.redis.WakeUp;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;
import org.reactivestreams.Publisher;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** One member of a {@link Membership}, from joining to leaving. */
final class Sharing<T> {

    private static final Logger log = LoggerFactory.getLogger(Sharing.class);

    private static final Duration PAUSE = Duration.ofMillis(100);

    /** How soon a lock is asked for again that somebody else is about to lose. */
    private static final long SOONEST_MS = 20;

    /** How soon one is asked for again that could not be: its node of a cluster is away. */
    private static final Duration AWAY = Duration.ofMillis(500);

    private final Redis redis;
    private final GroupKeys keys;
    private final List<Lock> locks;
    private final Duration ttl;
    private final Function<Share, ? extends Publisher<T>> work;
    private final String member = Membership.newMember();
    private final WakeUp wake;
    private final Map<Integer, Share> held = new ConcurrentHashMap<>(); // also what is revoked and not yet released
    private final Map<Integer, Long> resting = new ConcurrentHashMap<>(); // until when they are not asked for
    private volatile boolean leaving;
    private long attempts; // this and what follows: touched by the loop only
    private long number;
    private Duration patience = Duration.ZERO;

    /** What one look brought. */
    private record Taken(List<Handed> shares) {}

    /** On its way to its work. A type of its own, so that what work drops of its own shares is not given back for it. */
    private record Handed(Share share) {}

    Sharing(Redis redis, GroupKeys keys, List<Lock> locks, Duration ttl, Function<Share, ? extends Publisher<T>> work) {
        this.redis = redis;
        this.keys = keys;
        this.locks = locks;
        this.ttl = ttl;
        this.work = work;
        this.wake = new WakeUp(redis.worker());
    }

    Flux<T> until(Publisher<?> leave) {
        Mono<T> ending = Flux.from(leave)
                .next()
                .onErrorComplete()
                .then(Mono.fromRunnable(this::revokeAll))
                .then(Mono.defer(this::depart))
                .then(Mono.never()); // the works' end is the end
        Flux<T> all = Flux.using(
                () -> redis.pubSub().attach(keys.members(), false, signal -> Lock.wake(signal, wake)),
                attached -> Mono.defer(this::step)
                        .repeat(() -> !leaving)
                        .flatMapIterable(Taken::shares)
                        .flatMap(handed -> run(handed.share()), Integer.MAX_VALUE, 1),
                PubSub.Attachment::close);
        return Flux.usingWhen(
                Mono.just(this),
                self -> all.takeUntilOther(ending)
                        .takeUntilOther(redis.closed())
                        // Behind everything that may drop a share in the moment of a cancel.
                        .doOnDiscard(Taken.class, this::giveBack)
                        .doOnDiscard(Handed.class, Sharing::giveBack),
                Sharing::depart,
                (self, error) -> self.depart(),
                Sharing::depart);
    }

    private void revokeAll() {
        leaving = true; // before looking at what is held: what is taken in this moment sees it, or is seen here
        held.values().forEach(Share::revoke);
        wake.call();
    }

    private Mono<Void> depart() {
        return heartbeat(0).then().onErrorResume(away -> {
            log.debug("a member of \"{}\" is forgotten when its time is over", keys.name(), away);
            return Mono.empty();
        });
    }

    private Mono<LockScripts.Group> heartbeat(long ms) {
        return redis.run(LockScripts.MEMBER, keys.both(), LockScripts.words(null, member, ms));
    }

    /** Waits for its turn or for news, then looks: what was taken. */
    private Mono<Taken> step() {
        return (patience.isZero() ? Mono.<Void>empty() : wake.await(patience)).then(Mono.defer(this::look));
    }

    private Mono<Taken> look() {
        if (leaving) {
            return Mono.empty();
        }
        wake.clear();
        patience = ttl.dividedBy(3);
        return Detached.run(heartbeat(ttl.toMillis()).flatMap(this::balance), this::giveBack)
                .onErrorResume(Lock::isPassing, away -> {
                    patience = PAUSE;
                    return Mono.empty();
                });
    }

    private Mono<Taken> balance(LockScripts.Group group) {
        int share = share(locks.size(), group);
        patient(group.nextDeadMs());
        List<Share> kept = new ArrayList<>(held.values());
        kept.removeIf(Share::isRevoked);
        kept.sort(Comparator.comparingLong(Share::number));
        for (int i = share; i < kept.size(); i++) {
            kept.get(i).revoke();
        }
        int wanted = share - kept.size();
        return wanted > 0 ? take(wanted, group.rank()) : Mono.just(new Taken(List.of()));
    }

    /** All get the same, and those who came first one of what is left over. */
    static int share(int locks, LockScripts.Group group) {
        return locks / group.members() + (group.rank() < locks % group.members() ? 1 : 0);
    }

    private void patient(long ms) {
        long soon = Math.max(SOONEST_MS, ms + 1);
        if (ms >= 0 && soon < patience.toMillis()) {
            patience = Duration.ofMillis(soon);
        }
    }

    /** Asks for one after another until it has enough; beginning where others do not. Not for long: heartbeats wait meanwhile. */
    private Mono<Taken> take(int wanted, int rank) {
        List<Handed> taken = new ArrayList<>(wanted);
        int first = rank * wanted;
        long until = System.nanoTime() + ttl.toNanos() / 3;
        return Flux.range(0, locks.size())
                .map(i -> (first + i) % locks.size())
                .filter(i -> !held.containsKey(i) && !rests(i))
                .concatMap(
                        i -> taken.size() >= wanted || System.nanoTime() - until >= 0
                                ? Mono.<Void>empty()
                                : attempt(i, taken),
                        1)
                .then()
                .onErrorResume(error -> taken.isEmpty() ? Mono.error(error) : Mono.empty())
                .then(Mono.fromSupplier(() -> new Taken(taken)));
    }

    private boolean rests(int i) {
        Long until = resting.get(i);
        return until != null && System.nanoTime() - until < 0;
    }

    private void rest(int i, Duration time) {
        resting.put(i, System.nanoTime() + time.toNanos());
    }

    /** One lock that cannot be asked for does not keep us from the others. */
    private Mono<Void> attempt(int i, List<Handed> taken) {
        return locks.get(i)
                .attempt(Membership.token(member, attempts++))
                .timeout(ttl.dividedBy(3), redis.worker())
                .doOnNext(got -> {
                    Lease lease = got.lease();
                    if (lease == null) {
                        patient(got.ownerMs());
                        return;
                    }
                    Share share = new Share(i, number++, lease);
                    held.put(i, share);
                    taken.add(new Handed(share));
                    if (leaving) {
                        share.revoke();
                    }
                })
                .onErrorResume(Sharing::isAway, away -> {
                    rest(i, AWAY);
                    patient(AWAY.toMillis());
                    return Mono.empty();
                })
                .then();
    }

    private static boolean isAway(Throwable error) {
        return error instanceof TimeoutException || Lock.isPassing(error);
    }

    private Flux<T> run(Share share) {
        return Flux.usingWhen(
                Mono.just(share),
                one -> Lock.whileKept(one.lease(), lease -> work.apply(one))
                        .doOnComplete(() -> ended(one))
                        .onErrorResume(LeaseLostException.class, lost -> {
                            log.warn("{}; it is taken again when it is free", lost.getMessage());
                            return Flux.empty();
                        })
                        .doOnError(end -> leaving = true), // or its lock were taken anew while it is released
                this::release,
                (one, error) -> release(one),
                this::release);
    }

    /** Work that ends by itself is not begun again at once, over and over. */
    private void ended(Share share) {
        if (!share.isRevoked()) {
            rest(share.index(), ttl.dividedBy(3));
        }
    }

    /** Others hear of it at once; never fails. */
    private Mono<Void> release(Share share) {
        return share.lease()
                .leave()
                .then(Mono.defer(() -> redis.call("PUBLISH", keys.members(), "!")))
                .onErrorResume(away -> Mono.empty())
                .doFinally(end -> {
                    held.remove(share.index(), share);
                    wake.call();
                })
                .then();
    }

    private void giveBack(Taken taken) {
        taken.shares().forEach(Sharing::giveBack);
    }

    private static void giveBack(Handed handed) {
        Lock.giveBack(handed.share().lease());
    }
}
