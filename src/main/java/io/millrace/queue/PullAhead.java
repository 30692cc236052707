package io.millrace.queue;

import io.millrace.queue.Pulls.Pulled;
import io.millrace.redis.Detached;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/**
 * The pulls of one reading: the one whose turn it is, and those that were sent before their turn. When a pull gave all it was asked for,
 * the next is sent before the answer is read; when two in a row did, a further one while that is still at the server, which finds it there
 * when it is done. Two at the most wait for their turns, which are in the order of sending. Demand is counted here: a pull takes its part
 * when it is sent, and what it did not bring is open again when its turn has come.
 */
final class PullAhead<T> {

    /** How many may be sent before their turn. */
    private static final int MOST_AHEAD = 2;

    /** After so many pulls in a row that gave all there will be more; one message after another does not look like that. */
    private static final int MUCH = 2;

    /** How many may be without an answer. */
    private static final int MOST_UNANSWERED = 2;

    /** A pull, from when it is made ready to when what it brought is handed out. */
    static final class Out<T> {

        private final int wanted;
        private final boolean inTurn;
        private Mono<Pulled<T>> answer = Mono.never();
        private boolean early;
        private boolean answered; // guarded by the PullAhead

        private Out(int wanted, boolean inTurn) {
            this.wanted = wanted;
            this.inTurn = inTurn;
        }

        int wanted() {
            return wanted;
        }
    }

    /** Makes a pull ready; it is sent when its answer is subscribed to. */
    interface Preparing<T> {

        /**
         * One pull, not sent yet.
         *
         * @param inTurn whether others may be sent behind it before its answer is here: then it must not be sent a second time, for that
         *     would be after them
         * @param gaveAll is run when all it asked for is here, and not read yet
         */
        Mono<Pulled<T>> pull(int wanted, boolean inTurn, Runnable gaveAll);

        /** The answer to one that was sent before its turn: it may be here already, and comes where answers arrive all the same. */
        default Mono<Pulled<T>> earlier(Mono<Pulled<T>> answer) {
            return answer;
        }
    }

    private final Demand demand;
    private final int perPull;
    private final boolean overlapping;
    private final Preparing<T> preparing;
    private final Consumer<Pulled<T>> giveBack;
    private final Queue<Out<T>> toSend = new ConcurrentLinkedQueue<>();
    private final AtomicInteger sending = new AtomicInteger();
    // Guarded by this.
    private final Deque<Out<T>> ahead = new ArrayDeque<>(MOST_AHEAD);
    private @Nullable Out<T> turn;
    private boolean turnIsSent; // else nothing may be sent: it would be before the one whose turn it is
    private @Nullable Out<T> last; // the one sent last
    private int unanswered;
    private int plenty; // how many of the last answers were all that was asked for
    private boolean over; // no further pull

    /**
     * @param perPull how many elements of demand one pull can meet
     * @param overlapping whether pulls run in the order of sending, so that one may be sent while another is at the server
     * @param giveBack is given what came when nobody wanted it any more
     */
    PullAhead(Demand demand, int perPull, boolean overlapping, Preparing<T> preparing, Consumer<Pulled<T>> giveBack) {
        this.demand = demand;
        this.perPull = perPull;
        this.overlapping = overlapping;
        this.preparing = preparing;
        this.giveBack = giveBack;
    }

    /** Whether one was sent whose turn has not come. */
    synchronized boolean hasOne() {
        return !ahead.isEmpty();
    }

    /** The next turn of one that was sent before it; null: none was. */
    @Nullable
    Out<T> take() {
        Out<T> next;
        synchronized (this) {
            next = ahead.poll();
            turn = next;
            turnIsSent = true;
            prepareFurther();
        }
        send();
        return next;
    }

    /**
     * A pull whose turn it is now; null: nothing is asked for. Only when none was sent before its turn. It is sent by who asks for its
     * answer, who thus never gets that on his own thread.
     */
    synchronized @Nullable Out<T> next() {
        turnIsSent = false;
        turn = prepare(1);
        return turn;
    }

    /** There is more demand. */
    void asked() {
        synchronized (this) {
            prepareFurther();
        }
        send();
    }

    /** What it brings; runs to its end even if nobody waits for it. */
    Mono<Pulled<T>> answer(Out<T> out) {
        return Detached.run(out.early ? preparing.earlier(out.answer) : out.answer, giveBack)
                .doOnNext(pulled -> demand.add(out.wanted - pulled.items().size()))
                .doOnError(error -> demand.add(out.wanted));
    }

    /** No pull is sent any more; those that were come to their turn. */
    synchronized void stop() {
        over = true;
    }

    /** No turn comes any more: what was sent before its turn is given back. */
    void end() {
        for (Out<T> left = stopAndPoll(); left != null; left = stopAndPoll()) {
            Detached.start(left.answer, giveBack);
        }
    }

    private synchronized @Nullable Out<T> stopAndPoll() {
        over = true;
        return ahead.poll();
    }

    private void prepareFurther() {
        while (plenty > 0 && turn != null && turnIsSent && ahead.size() < MOST_AHEAD) {
            Out<T> further = null;
            if (unanswered == 0) {
                further = prepare(1);
            } else if (overlapping && last != null && last.inTurn && unanswered < MOST_UNANSWERED) {
                further = prepare(last.wanted); // a smaller one can wait and become larger
            }
            if (further == null) {
                return;
            }
            further.early = true;
            ahead.add(further);
            toSend.add(further);
        }
    }

    /** One for what is asked for now, if that is enough; this lock is held. */
    private @Nullable Out<T> prepare(int least) {
        int wanted = over ? 0 : demand.open(perPull);
        if (wanted < least) {
            return null;
        }
        demand.taken(wanted);
        Out<T> out = new Out<>(wanted, overlapping && plenty >= MUCH);
        Mono<Pulled<T>> pull =
                preparing.pull(wanted, out.inTurn, () -> answered(out, true)).doOnTerminate(() -> answered(out, false));
        out.answer = Detached.telling(pull, () -> sent(out)).cache();
        unanswered++;
        last = out;
        return out;
    }

    /** Now others may be sent behind it. */
    private void sent(Out<T> out) {
        synchronized (this) {
            turnIsSent |= out == turn;
            prepareFurther();
        }
        send();
    }

    private void answered(Out<T> out, boolean gaveAll) {
        synchronized (this) {
            if (out.answered) {
                return;
            }
            out.answered = true;
            unanswered--;
            plenty = gaveAll ? Math.min(plenty + 1, MUCH) : 0;
            prepareFurther();
        }
        send();
    }

    /** One after another in the order of turns, whoever made them ready; without the lock, for the driver has locks of its own. */
    private void send() {
        if (sending.getAndIncrement() > 0) {
            return; // somebody is at it
        }
        do {
            for (Out<T> out = toSend.poll(); out != null; out = toSend.poll()) {
                Detached.start(out.answer, sent -> {}); // it is kept until its turn
            }
        } while (sending.decrementAndGet() > 0);
    }
}
