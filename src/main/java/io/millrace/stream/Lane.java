package io.millrace.stream;

import io.millrace.lock.Lease;
import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
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

    /** What is to be handled of what was read, up to {@code last}; {@code skipped} of those were left out as overtaken. */
    private record Part(EntryId last, long skipped) {}

    private final Redis redis;
    private final StreamKeys keys;
    private final String consumer;
    private final Lease lease;

    // Touched by the loop only.
    private @Nullable EntryId position; // in the lane
    private int turn;
    private final Map<Object, EntryId> overtaking =
            new LinkedHashMap<>(); // record to its last entry in the log, in that order

    private volatile boolean open;
    private final TreeMap<EntryId, Part> out = new TreeMap<>(); // by the last id handed out, guarded by itself

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
        Object key = keyOrNull(entry);
        if (key != null) {
            overtaking.remove(key);
            overtaking.put(key, entry.id());
        }
    }

    private static @Nullable Object keyOrNull(StreamEntry entry) {
        try {
            return entry.key();
        } catch (RuntimeException e) {
            return null; // it has no record that could be told; it becomes a dead letter
        }
    }

    /**
     * Finds out whether something waits here.
     *
     * @param logPosition up to where the log was read
     */
    Mono<Void> look(EntryId logPosition) {
        return open
                ? Mono.empty()
                : read(1).flatMap(reply -> {
                    position = EntryId.parse(reply.text(1));
                    if (reply.size() == 3) {
                        return Mono.empty();
                    }
                    overtaking.clear();
                    turn = 0;
                    return remember(EntryId.parse(reply.text(4)), logPosition)
                            .then(Mono.<Void>fromRunnable(() -> open = true));
                });
    }

    /** What the log has brought between two ids. */
    private Mono<Void> remember(EntryId after, EntryId upTo) {
        EntryId[] from = {after};
        return Mono.defer(
                        () -> Calls.call(redis, "XRANGE", keys.logKey(), "(" + from[0], upTo.toString(), "COUNT", PAGE))
                .map(page -> Session.entries(Reply.of(page)))
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
     * @param logPosition up to where the log was read; {@code null}: to its end
     */
    Mono<List<StreamEntry>> next(int most, @Nullable EntryId logPosition) {
        return read(most).flatMap(reply -> {
            turn = 0;
            List<StreamEntry> kept = new ArrayList<>();
            EntryId last = null;
            long skipped = 0;
            boolean cancelled = reply.number(2) == 1;
            if (reply.size() > 3) {
                forget(EntryId.parse(reply.text(4)));
            }
            for (int i = 3; i < reply.size(); i += 3) {
                EntryId after = EntryId.parse(reply.text(i + 1));
                if (logPosition != null && after.isAfter(logPosition) && !cancelled) {
                    break;
                }
                StreamEntry entry = new StreamEntry(EntryId.parse(reply.text(i)), reply.bytes(i + 2));
                last = entry.id();
                boolean overtaken = !cancelled && isOvertaken(entry, after);
                skipped += overtaken ? 1 : 0;
                if (!cancelled && !overtaken) {
                    kept.add(entry);
                }
            }
            if (last == null) {
                if (reply.size() == 3) {
                    open = false;
                    overtaking.clear();
                }
                return Mono.empty();
            }
            position = last;
            return kept.isEmpty() ? leftOut(last, skipped) : handOut(kept, new Part(last, skipped));
        });
    }

    private boolean isOvertaken(StreamEntry entry, EntryId after) {
        Object key = keyOrNull(entry);
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

    private Mono<List<StreamEntry>> handOut(List<StreamEntry> entries, Part part) {
        synchronized (out) {
            out.put(entries.get(entries.size() - 1).id(), part);
        }
        return Mono.just(entries);
    }

    /** At once, unless something before it is still being handled: then together with that. */
    private Mono<List<StreamEntry>> leftOut(EntryId last, long skipped) {
        synchronized (out) {
            if (!out.isEmpty()) {
                out.compute(
                        out.lastKey(),
                        (id, part) ->
                                new Part(last, Objects.requireNonNull(part).skipped() + skipped));
                return Mono.empty();
            }
        }
        return commit(last, skipped, List.of()).then(Mono.empty());
    }

    /**
     * Everything handed out up to an id is handled.
     *
     * @return what came of it
     */
    Mono<StreamScripts.LaneCommitted> commit(EntryId upTo, List<Session.Parked> parked) {
        return Mono.defer(() -> {
            Part part;
            synchronized (out) {
                part = out.getOrDefault(upTo, new Part(upTo, 0));
            }
            return commit(part.last(), part.skipped(), parked).doOnNext(done -> {
                synchronized (out) {
                    out.headMap(upTo, true).clear();
                }
            });
        });
    }

    private Mono<StreamScripts.LaneCommitted> commit(EntryId upTo, long skipped, List<Session.Parked> parked) {
        List<byte[]> args = new ArrayList<>(5 + 4 * parked.size());
        args.add(StreamKeys.bytes(consumer));
        args.add(StreamKeys.bytes(lease.token()));
        args.add(StreamKeys.bytes(lease.fence()));
        args.add(StreamKeys.bytes(upTo.toString()));
        args.add(StreamKeys.bytes(skipped));
        parked.forEach(one -> one.addTo(args));
        return redis.run(
                        StreamScripts.LANE_COMMIT,
                        List.of(
                                keys.unitKey(),
                                keys.lock(consumer).lock(),
                                keys.lock(consumer).fence()),
                        args)
                .doOnNext(done -> open |= done.more());
    }

    private Mono<Reply> read(int most) {
        return Flux.defer(() -> redis.run(
                        StreamScripts.LANE_READ,
                        List.of(keys.unitKey()),
                        List.of(
                                StreamKeys.bytes(consumer),
                                StreamKeys.bytes(position == null ? "" : position.toString()),
                                StreamKeys.bytes(most))))
                .next();
    }
}
