package io.millrace.queue;

import io.millrace.queue.Pulls.Pulled;
import io.millrace.redis.Detached;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/**
 * The pulls of one reading: the one whose turn it is to be handed out and at most one behind it, which was sent when all that the first
 * one asked for was here and there was demand for more. So the server works while the client reads what it got. Demand is counted here.
 */
final class PullAhead<T> {

    /** A pull, from when it is made ready to when what it brought is handed out. */
    static final class Out<T> {

        private final int wanted;
        private Mono<Pulled<T>> answer = Mono.never();
        private boolean gaveAll; // guarded by the PullAhead

        private Out(int wanted) {
            this.wanted = wanted;
        }

        int wanted() {
            return wanted;
        }
    }

    /** Makes a pull ready; it is sent when its answer is subscribed to. */
    interface Preparing<T> {
        Mono<Pulled<T>> pull(int wanted, Runnable gaveAll);
    }

    private final Demand demand;
    private final int perPull;
    private final Preparing<T> preparing;
    private final Consumer<Pulled<T>> giveBack;
    private @Nullable Out<T> ahead; // guarded by this
    private boolean over; // no further pull; guarded by this

    /**
     * @param perPull how many elements of demand one pull can meet
     * @param giveBack is given what came when nobody wanted it any more
     */
    PullAhead(Demand demand, int perPull, Preparing<T> preparing, Consumer<Pulled<T>> giveBack) {
        this.demand = demand;
        this.perPull = perPull;
        this.preparing = preparing;
        this.giveBack = giveBack;
    }

    /** Whether one was sent whose turn has not come. */
    synchronized boolean hasOne() {
        return ahead != null;
    }

    /** The one that was sent before its turn, which has come now; null: none was. */
    @Nullable
    Out<T> take() {
        Out<T> sent;
        Out<T> further = null;
        synchronized (this) {
            sent = ahead;
            ahead = null;
            if (sent != null && sent.gaveAll) {
                further = next();
            }
        }
        send(further);
        return sent;
    }

    /** A pull whose turn it is. */
    Out<T> ready(int wanted) {
        Out<T> out = new Out<>(wanted);
        out.answer = preparing.pull(wanted, () -> gaveAll(out)).cache();
        return out;
    }

    /** What it brings, counted as taken; runs to its end even if nobody waits for it. */
    Mono<Pulled<T>> answer(Out<T> out) {
        return Detached.run(out.answer, giveBack)
                .doOnNext(pulled -> settle(out, pulled.items().size()));
    }

    /** No pull is sent any more; one that was comes to its turn. */
    synchronized void stop() {
        over = true;
    }

    /** No turn comes any more: what was sent before its turn is given back. */
    void end() {
        Out<T> left;
        synchronized (this) {
            over = true;
            left = ahead;
            ahead = null;
        }
        if (left != null) {
            Detached.start(left.answer, giveBack);
        }
    }

    /** All that a pull asked for is here, and not read yet. */
    private void gaveAll(Out<T> out) {
        demand.taken(out.wanted);
        Out<T> further = null;
        synchronized (this) {
            out.gaveAll = true;
            if (out != ahead) { // else the one before it is still being handed out
                further = next();
            }
        }
        send(further);
    }

    /** The next pull, if there is demand for it now; this lock is held. */
    private @Nullable Out<T> next() {
        int wanted = over ? 0 : demand.open(perPull);
        ahead = wanted == 0 ? null : ready(wanted);
        return ahead;
    }

    private void send(@Nullable Out<T> out) {
        if (out != null) {
            Detached.start(out.answer, sent -> {}); // it is kept until its turn
        }
    }

    /** What was counted when it came, and could not be read, may be asked for once more. */
    private void settle(Out<T> out, int got) {
        boolean counted;
        synchronized (this) {
            counted = out.gaveAll;
        }
        if (counted) {
            demand.add(out.wanted - got);
        } else {
            demand.taken(got);
        }
    }
}
