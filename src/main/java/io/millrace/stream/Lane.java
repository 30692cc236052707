package io.millrace.stream;

import io.millrace.lock.Lease;
import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import io.millrace.stream.LaneParts.Part;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/**
 * The lane of backfills beside a shard's log, as one holding of a consumer's lock reads it.
 *
 * <p>Every entry of the lane knows the last id the log had given when it was added ({@code after}). It is handled when the log was read
 * up to there, so never before what was added before it; and left out when the log has brought an entry of the same record behind
 * there: that one is newer, and was or will be handled. For this the records of the log's entries are remembered from the first waiting
 * entry's {@code after} on, as long as anything waits; who takes the lock over reads them again, the {@link Trimmer} leaves them for it.
 * What is remembered is bounded: at {@value #MOST_REMEMBERED} records the lane goes first until less are needed.
 */
final class Lane {

    /** One batch in so many is the lane's while the log has enough for all of them. */
    static final int SHARE = 10;

    private static final int MOST_REMEMBERED = 100_000;
    private static final int PAGE = 1_000;

    private final Redis redis;
    private final StreamKeys keys;
    private final String consumer;
    private final Lease lease;

    // Touched by the loop only.
    private @Nullable EntryId position; // in the lane
    private int turn;
    private final Map<String, EntryId> overtaking =
            new LinkedHashMap<>(); // record to its last entry in the log, in that order
    private boolean open;

    private volatile boolean more; // something waits that may not have been looked at
    private final LaneParts parts = new LaneParts();

    Lane(Redis redis, StreamKeys keys, String consumer, Lease lease) {
        this.redis = redis;
        this.keys = keys;
        this.consumer = consumer;
        this.lease = lease;
    }

    /** Whether there may be something in it. */
    boolean isOpen() {
        return open;
    }

    /** Whether the next batch is to come from here although the log may have one. */
    boolean goesFirst() {
        return turn >= SHARE - 1 || overtaking.size() >= MOST_REMEMBERED;
    }

    /** The log has brought these. */
    void overtakenBy(List<StreamEntry> entries) {
        if (open) {
            turn++;
            entries.forEach(this::remember);
        }
    }

    private void remember(StreamEntry entry) {
        String key = keyOrNull(entry);
        if (key != null) {
            overtaking.remove(key);
            overtaking.put(key, entry.id());
        }
    }

    private static @Nullable String keyOrNull(StreamEntry entry) {
        try {
            return entry.key().toString(); // as Change.key() has it
        } catch (RuntimeException e) {
            return null; // it has no record that could be told; it becomes a dead letter
        }
    }

    /** Whether something has come to this lane while it was closed: what the log brings from then on is to be remembered. */
    boolean isToBeLookedAt() {
        return more && !open;
    }

    /**
     * Finds out whether something waits here.
     *
     * @param logPosition up to where the log was read
     */
    Mono<Void> look(EntryId logPosition) {
        return commitLeading().then(Mono.defer(() -> open ? Mono.empty() : opened(logPosition)));
    }

    private Mono<Void> opened(EntryId logPosition) {
        more = false;
        return read(1, logPosition).flatMap(reply -> {
            position = EntryId.parse(reply.text(1));
            if (isEmpty(reply)) {
                return Mono.empty();
            }
            overtaking.clear();
            turn = 0;
            return remember(firstAfter(reply), logPosition).then(Mono.<Void>fromRunnable(() -> open = true));
        });
    }

    private static boolean isEmpty(Reply reply) {
        return reply.text(4).isEmpty();
    }

    /** The last id the log had given when the first one was added that waits. */
    private static EntryId firstAfter(Reply reply) {
        return EntryId.parse(reply.text(4));
    }

    /** What the log has brought between two ids. */
    private Mono<Void> remember(EntryId after, EntryId upTo) {
        EntryId[] from = {after};
        return Mono.defer(
                        () -> Calls.call(redis, "XRANGE", keys.logKey(), "(" + from[0], upTo.toString(), "COUNT", PAGE))
                .map(page -> StreamEntry.of(Reply.of(page)))
                .doOnNext(page -> {
                    page.forEach(this::remember);
                    from[0] = page.isEmpty() ? upTo : page.get(page.size() - 1).id();
                })
                .repeat(() -> upTo.isAfter(from[0]))
                .takeUntil(page -> page.size() < PAGE)
                .then();
    }

    /**
     * The next entries to be handled, if there are any that may be; what is to be left out before them is committed.
     *
     * @param logPosition up to where the log was read
     */
    Mono<List<StreamEntry>> next(int most, EntryId logPosition) {
        return read(most, logPosition).flatMap(reply -> {
            turn = 0;
            if (isEmpty(reply)) {
                open = false;
                overtaking.clear();
                return Mono.empty();
            }
            forget(firstAfter(reply));
            boolean cancelled = reply.number(2) == 1;
            List<StreamEntry> kept = new ArrayList<>();
            EntryId last = null;
            long skipped = 0;
            for (int i = 5; i < reply.size(); i += 3) {
                StreamEntry entry = new StreamEntry(EntryId.parse(reply.text(i)), reply.bytes(i + 2));
                last = entry.id();
                boolean overtaken = !cancelled && isOvertaken(entry, EntryId.parse(reply.text(i + 1)));
                skipped += overtaken ? 1 : 0;
                if (!cancelled && !overtaken) {
                    kept.add(entry);
                }
            }
            if (last == null) {
                return Mono.empty();
            }
            position = last;
            Part part = new Part(reply.text(3), last, skipped);
            if (kept.isEmpty()) { // committed at once, unless something before it is still being handled
                parts.leftOut(part);
                return commitLeading().then(Mono.empty());
            }
            parts.handedOut(kept.get(kept.size() - 1).id(), part);
            return Mono.just(kept);
        });
    }

    private boolean isOvertaken(StreamEntry entry, EntryId after) {
        String key = keyOrNull(entry);
        EntryId newer = key == null ? null : overtaking.get(key);
        return newer != null && newer.isAfter(after);
    }

    /** Entries of the log up to an id overtake nothing that waits. */
    private void forget(EntryId upTo) {
        Iterator<EntryId> oldest = overtaking.values().iterator();
        while (oldest.hasNext() && !oldest.next().isAfter(upTo)) {
            oldest.remove();
        }
    }

    /**
     * Everything handed out up to an id is handled.
     *
     * @return what came of it
     */
    Mono<StreamScripts.LaneCommitted> commit(EntryId upTo, List<Session.Parked> parked) {
        return Mono.defer(() -> commit(parts.upTo(upTo), parked))
                // What was left out meanwhile. Failing, it is committed with the next look: the commit asked for is
                // done.
                .delayUntil(done -> commitLeading().onErrorResume(Delayer::isPassing, away -> Mono.empty()));
    }

    /** Whoever else commits as well, or has taken the lock: what of these parts is committed stays so. */
    private Mono<Void> commitLeading() {
        return Mono.defer(() -> {
            List<Part> leading = parts.leading();
            return leading.isEmpty() ? Mono.empty() : commit(leading, List.of()).then();
        });
    }

    private Mono<StreamScripts.LaneCommitted> commit(List<Part> some, List<Session.Parked> parked) {
        List<byte[]> args = new ArrayList<>(4 + 2 * some.size() + 4 * parked.size());
        args.add(StreamKeys.bytes(consumer));
        args.add(StreamKeys.bytes(lease.token()));
        args.add(StreamKeys.bytes(lease.fence()));
        args.add(StreamKeys.bytes(some.size()));
        for (Part part : some) {
            args.add(StreamKeys.bytes(part.last().toString()));
            args.add(StreamKeys.bytes(part.skipped()));
        }
        parked.forEach(one -> one.addTo(args));
        return redis.run(
                        StreamScripts.LANE_COMMIT,
                        List.of(
                                keys.unitKey(),
                                keys.lock(consumer).lock(),
                                keys.lock(consumer).fence()),
                        args)
                .doOnNext(done -> {
                    if (done.outcome() == StreamScripts.Outcome.OK) {
                        parts.committed(some.get(some.size() - 1));
                    }
                    if (done.more()) {
                        more = true;
                    }
                });
    }

    private Mono<Reply> read(int most, EntryId logPosition) {
        return Mono.defer(() -> redis.run(
                StreamScripts.LANE_READ,
                List.of(keys.logKey(), keys.unitKey()),
                List.of(
                        StreamKeys.bytes(consumer),
                        StreamKeys.bytes(position == null ? "" : position.toString()),
                        StreamKeys.bytes(most),
                        StreamKeys.bytes(logPosition.toString()))));
    }
}
