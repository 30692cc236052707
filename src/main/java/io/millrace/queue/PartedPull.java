package io.millrace.queue;

import io.millrace.MillraceException;
import io.millrace.queue.Pulls.Pulled;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.function.ToIntFunction;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;

/**
 * Reads the partitions of one queue for one subscription, which is told when something comes. First its own, by turns; then, if it still
 * wants more, those of others that have had something for a while and that nobody has taken: so nobody idles while there is work, and
 * what a dead member held waits for moments only. With none of its own it reads all.
 *
 * <p>A partition that had nothing is not asked again before it is told that something came, or something there is due, or the poll
 * interval has passed; of others' a multiple of it. One that cannot be read is left alone for a while; the others go on.
 */
final class PartedPull<T> implements Reading.Pull<T> {

    /** How a partition is pulled from. */
    interface From<T> {
        Mono<Pulled<T>> pull(Partition partition, PullRequest request);
    }

    private static final Logger log = LoggerFactory.getLogger(PartedPull.class);

    /** How long others are given for what came to them; doubled each time that was enough. */
    private static final long HELP_NANOS = Duration.ofMillis(50).toNanos();

    private static final long LONGEST_HELP_NANOS = Duration.ofSeconds(1).toNanos();
    private static final long FIRST_PAUSE_NANOS = Duration.ofMillis(50).toNanos();
    private static final long LONGEST_PAUSE_NANOS = Duration.ofSeconds(2).toNanos();

    /** A partition as it is known here. What is not volatile is touched by one pull after another. */
    private static final class Seen {

        private final Partition partition;
        private volatile boolean own;
        private volatile boolean news = true;
        private volatile long newsNanos = System.nanoTime();
        private boolean more; // the last look did not see the end of it
        private boolean hasDue;
        private long dueNanos;
        private long lookedNanos = System.nanoTime();
        private long helpNanos = HELP_NANOS;
        private int failures;
        private long pausedNanos;

        Seen(Partition partition) {
            this.partition = partition;
        }

        boolean isDue(long now) {
            return hasDue && now - dueNanos >= 0;
        }

        boolean isPaused(long now) {
            return failures > 0 && now - pausedNanos < 0;
        }

        void tell() {
            if (!news) {
                newsNanos = System.nanoTime();
                news = true;
            }
        }

        void answered(Pulled<?> pulled, int asked, long now) {
            failures = 0;
            boolean full = pulled.items().size() >= asked;
            more = full || pulled.waitMs() == 0;
            hasDue = !full && pulled.waitMs() > 0;
            dueNanos = now + TimeUnit.MILLISECONDS.toNanos(pulled.waitMs() + 1);
            helpNanos = pulled.items().isEmpty() ? Math.min(LONGEST_HELP_NANOS, 2 * helpNanos) : HELP_NANOS;
        }

        void failed(long now) {
            failures++;
            news = true; // what it had is not known
            pausedNanos = now + Math.min(LONGEST_PAUSE_NANOS, FIRST_PAUSE_NANOS << Math.min(failures, 6));
        }
    }

    private final List<Seen> all;
    private final Turns turns;
    private final long pollNanos;
    private final ToIntFunction<T> size;
    private final From<T> from;

    /** @param size how many messages an element is */
    PartedPull(List<Partition> partitions, Duration pollInterval, ToIntFunction<T> size, From<T> from) {
        this.all = partitions.stream().map(Seen::new).toList();
        this.turns = new Turns(partitions.size());
        this.pollNanos = pollInterval.toNanos();
        this.size = size;
        this.from = from;
    }

    /** From now on a partition is this reader's, or not any more. */
    void own(int partition, boolean own) {
        all.get(partition).tell();
        all.get(partition).own = own;
    }

    @Override
    public void nudged(Unit unit) {
        if (unit.partition() < all.size()
                && all.get(unit.partition()).partition.unit().equals(unit)) {
            all.get(unit.partition()).tell();
        }
    }

    @Override
    public Mono<Pulled<T>> pull(PullRequest request) {
        return Mono.defer(() -> {
            long now = System.nanoTime();
            long own = own();
            boolean some = own > 0;
            Map<Integer, List<Receipt>> receipts = new ConcurrentHashMap<>();
            request.acknowledge()
                    .forEach(receipt -> receipts.computeIfAbsent(receipt.partition(), i -> new ArrayList<>())
                            .add(receipt));
            Map<Integer, Boolean> asked = new ConcurrentHashMap<>();
            Haul<T> haul = new Haul<>(request.n(), turns, size, (i, wanted) -> {
                asked.put(i, true);
                List<Receipt> along = receipts.remove(i);
                return ask(all.get(i), wanted, along == null ? List.of() : along, receipts);
            });
            return haul.fill(which(one -> (one.own || !some) && wantsLook(one, now)))
                    .then(Mono.defer(() -> haul.fill(which(one -> some && !one.own && wantsHelp(one, own, now)))))
                    .then(Mono.defer(() -> outcome(haul, asked.size(), receipts)));
        });
    }

    private boolean wantsLook(Seen one, long now) {
        return !one.isPaused(now) && (one.news || one.more || one.isDue(now) || now - one.lookedNanos >= pollNanos);
    }

    private boolean wantsHelp(Seen one, long own, long now) {
        return !one.isPaused(now)
                && (one.more
                        || one.isDue(now)
                        || (one.news && now - one.newsNanos >= one.helpNanos)
                        || now - one.lookedNanos >= netNanos(own));
    }

    private long own() {
        return all.stream().filter(one -> one.own).count();
    }

    /** A net for others' that nobody was told of, and their readers do not look at: about as often as one's own, all together. */
    private long netNanos(long own) {
        return pollNanos * ((all.size() + own - 1) / own);
    }

    private List<Integer> which(Predicate<Seen> wanted) {
        return all.stream().filter(wanted).map(one -> one.partition.index()).toList();
    }

    private Mono<Pulled<T>> ask(Seen one, int n, List<Receipt> along, Map<Integer, List<Receipt>> receipts) {
        return Mono.defer(() -> {
            long began = System.nanoTime();
            boolean due = one.isDue(began);
            one.news = false; // what comes from here on may be news to the answer
            one.lookedNanos = began;
            return from.pull(one.partition, PullRequest.alone(n, along, due))
                    .doOnNext(pulled -> one.answered(pulled, n, System.nanoTime()))
                    .doOnError(error -> {
                        if (!along.isEmpty()) {
                            receipts.put(one.partition.index(), along);
                        }
                        if (one.failures == 0) {
                            log.warn(
                                    "partition {} of queue \"{}\" cannot be read for now, trying again: {}",
                                    one.partition.index(),
                                    one.partition.unit().queue(),
                                    error.getMessage());
                        }
                        one.failed(System.nanoTime());
                    });
        });
    }

    /** It has failed when nothing could be read, or trying again will not help; who acknowledged by it does so again then. */
    private Mono<Pulled<T>> outcome(Haul<T> haul, int asked, Map<Integer, List<Receipt>> receipts) {
        Map<Integer, Throwable> failures = new HashMap<>(haul.failures());
        for (Throwable failure : failures.values()) {
            boolean passes = failure instanceof MillraceException known && known.retryable();
            if (haul.items().isEmpty() && (!passes || failures.size() == asked)) {
                return Mono.error(failure);
            }
        }
        receipts.forEach((i, some) -> some.forEach(all.get(i).partition.leases()::acknowledgeLater));
        return Mono.just(new Pulled<>(haul.items(), haul.isFull() ? -1 : waitMs(System.nanoTime())));
    }

    /** How long until there is reason to look again without being told, -1 if never. */
    private long waitMs(long now) {
        long own = own();
        long least = Long.MAX_VALUE;
        for (Seen one : all) {
            boolean mine = one.own || own == 0;
            least = Math.min(least, wait(one, mine, mine ? pollNanos : netNanos(own), now));
        }
        return least == Long.MAX_VALUE ? -1 : Math.max(0, TimeUnit.NANOSECONDS.toMillis(least + 999_999));
    }

    private long wait(Seen one, boolean own, long lookNanos, long now) {
        if (one.isPaused(now)) {
            return one.pausedNanos - now;
        }
        if (one.more || (own && one.news)) {
            return 0;
        }
        long wait = lookNanos - (now - one.lookedNanos);
        if (one.news) {
            wait = Math.min(wait, one.helpNanos - (now - one.newsNanos));
        }
        return one.hasDue ? Math.min(wait, one.dueNanos - now) : wait;
    }
}
