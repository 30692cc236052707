package io.millrace.drain;

import io.millrace.redis.Detached;
import io.millrace.redis.GroupCommit;
import io.millrace.redis.GroupCommit.Outcome;
import io.millrace.redis.Reply;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import org.reactivestreams.Publisher;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** One sweep of a dirty map. */
final class Sweep {

    private static final Logger log = LoggerFactory.getLogger(Sweep.class);

    private enum Found {
        TAKEN,
        NONE,
        BUSY
    }

    private enum Left {
        CLEAN,
        DIRTY,
        HELD,
        GONE
    }

    /** What a look for a URL found; url and token are empty unless it is taken. */
    private record Taken(Found found, String url, String token) {}

    /** What a cleaner said. */
    private record Verdict(boolean clean, Swept otherwise) {}

    private final DrainUnit unit;
    private final Function<? super String, ? extends Publisher<Boolean>> cleaner;
    private final SweepOptions options;
    private final GroupCommit<Taken, Left> returns;
    private final AtomicLong left;
    private final AtomicLong after = new AtomicLong(); // the latest mark that was taken
    private volatile String until = ""; // marks made later belong to the next sweep
    private volatile boolean ended;

    Sweep(DrainUnit unit, Function<? super String, ? extends Publisher<Boolean>> cleaner, SweepOptions options) {
        this.unit = unit;
        this.cleaner = cleaner;
        this.options = options;
        this.returns = new GroupCommit<>(
                1,
                options.concurrency(),
                Integer.MAX_VALUE,
                one -> settle(one.get(0), "dirty").map(done -> List.of(new Outcome.Done<>(done))));
        this.left = new AtomicLong(options.limit());
    }

    Flux<Swept> all() {
        int workers = (int) Math.min(options.concurrency(), options.limit());
        return Flux.range(0, workers).flatMap(i -> worker(), workers, 1);
    }

    Mono<Boolean> one(String url) {
        return take("one", url, "")
                .flatMap(taken -> taken.found() == Found.TAKEN
                        ? clean(taken).map(Swept::clean)
                        : Mono.just(taken.found() == Found.NONE));
    }

    private Flux<Swept> worker() {
        return Flux.<Integer>generate(sink -> {
                    if (ended || left.getAndDecrement() <= 0) {
                        sink.complete();
                    } else {
                        sink.next(1);
                    }
                })
                .concatMap(turn -> next(), 0);
    }

    private Mono<Swept> next() {
        return Mono.defer(() -> take("next", Long.toString(after.get()), until))
                .doOnNext(taken -> {
                    if (taken.found() == Found.NONE) {
                        ended = true;
                    }
                })
                .filter(taken -> taken.found() == Found.TAKEN)
                .flatMap(this::clean);
    }

    private Mono<Taken> take(String mode, String which, String limit) {
        Mono<Taken> taking = unit.redis()
                .run(
                        DrainScripts.SWEEP,
                        unit.keys(),
                        DrainScripts.args(options.lease().toMillis(), mode, which, limit))
                .map(this::taken);
        return Detached.run(taking, this::giveBack).doOnDiscard(Taken.class, this::giveBack);
    }

    private Taken taken(Reply reply) {
        Found found = reply.status(Found.class);
        if (until.isEmpty()) {
            until = reply.text(1);
        }
        if (found != Found.TAKEN) {
            return new Taken(found, "", "");
        }
        after.accumulateAndGet(reply.number(3), Math::max);
        return new Taken(found, reply.text(2), reply.text(4));
    }

    private Mono<Swept> clean(Taken taken) {
        AtomicBoolean settled = new AtomicBoolean();
        return Pipeline.<Boolean>called(() -> cleaner.apply(taken.url()))
                .subscribeOn(options.scheduler())
                .takeUntilOther(renewals(taken))
                .map(clean -> new Verdict(clean, new Swept(taken.url(), false, null)))
                .defaultIfEmpty(new Verdict(false, new Swept(taken.url(), false, null)))
                .onErrorResume(error -> Mono.just(new Verdict(false, new Swept(taken.url(), false, error))))
                .flatMap(verdict -> {
                    settled.set(true);
                    return settle(taken, verdict.clean() ? "clean" : "dirty")
                            .map(state ->
                                    state == Left.CLEAN ? new Swept(taken.url(), true, null) : verdict.otherwise());
                })
                .doFinally(end -> {
                    if (settled.compareAndSet(false, true)) {
                        giveBack(taken);
                    }
                });
    }

    private Mono<Left> settle(Taken taken, String what) {
        return unit.redis()
                .run(DrainScripts.CLEAN, unit.keys(), DrainScripts.args(taken.url(), taken.token(), what))
                .map(reply -> reply.status(Left.class));
    }

    /** Extends the lease every third of it; ends never. */
    private Mono<Void> renewals(Taken taken) {
        long lease = options.lease().toMillis();
        return Flux.interval(options.lease().dividedBy(3), unit.redis().worker())
                .onBackpressureDrop()
                .concatMap(tick -> settle(taken, "extend " + lease).onErrorResume(away -> Mono.empty()), 1)
                .then();
    }

    /** For the next sweep; nobody waits for it. */
    private void giveBack(Taken taken) {
        if (taken.found() == Found.TAKEN) {
            returns.post(
                    taken,
                    away -> log.warn(
                            "a URL of dirty map \"{}\" comes back when its lease ends: {}",
                            unit.name(),
                            away.getMessage()));
        }
    }
}
