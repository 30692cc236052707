package io.millrace.queue;

import io.millrace.Event;
import io.millrace.MillraceException;
import io.millrace.RedisUnavailableException;
import io.millrace.testing.Violations;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Mono;

/**
 * Judges a history of deliveries, in the style of Jepsen's total queue: what was promised to be stored was handed out and handled to its
 * end, nothing else was, and whatever was handed out twice has a recorded reason. Leases are judged by their receipts, which carry the server's time;
 * no clock of a client is involved. Thread safe: record from any thread, then {@link #check()}.
 */
final class Checker {

    /** Why a message may be handed out again. */
    enum Cause {
        CRASH,
        TIMEOUT,
        CANCEL,
        CONNECTION_LOSS,
        FAILED,
        RELEASED
    }

    /** How many of what a history had, for figures. */
    record Summary(int attempted, int acknowledged, int indeterminate, int delivered, int duplicates) {}

    /**
     * @param begin of the lease by the server's clock, ms; 0: not known
     * @param end of it, unless it was extended
     */
    private record Handed(
            int at,
            String id,
            String facet,
            int attempt,
            @Nullable Receipt receipt,
            long begin,
            long end,
            long nanos) {

        String shown() {
            return id + " (attempt " + attempt + ", " + receipt + ")";
        }
    }

    private record Acked(int at, Receipt receipt, boolean accepted) {}

    private record Ended(int at, Cause cause) {}

    private final Map<String, String> attempted = new LinkedHashMap<>(); // id to facet, in order
    private final Set<String> acknowledged = new HashSet<>();
    private final Set<String> indeterminate = new HashSet<>();
    private final Set<String> refused = new HashSet<>();
    private final Set<String> buried = new HashSet<>();
    private final Map<String, List<Handed>> handed = new LinkedHashMap<>();
    private final Map<String, List<Ended>> ended = new HashMap<>();
    private final Map<Receipt, Receipt> extensions = new HashMap<>(); // old to new
    private final List<Acked> acks = new ArrayList<>();
    private final Set<String> finished =
            new HashSet<>(); // handled to their ends, whatever became of the acknowledgement
    private final Set<String> unseen = new HashSet<>(); // with handlers, which see no lease
    private final Set<String> killed = new HashSet<>(); // id and attempt
    private final Set<Receipt> unknown = new HashSet<>(); // acknowledged perhaps
    private final Map<String, Long> confirmedAt = new HashMap<>(); // nanos
    private final Map<Receipt, Long> settledAt = new HashMap<>();
    private final Set<String> tail = new HashSet<>(); // confirmed too shortly before a failover
    private final Set<Receipt> undone = new HashSet<>(); // acknowledged too shortly before a failover
    private boolean ordered = true;
    private boolean lossy;
    private int clock;

    /** Where producers run side by side, or repeat what failed, nobody can say which came first. */
    Checker unordered() {
        ordered = false;
        return this;
    }

    /** Where answers get lost, a refused acknowledgement may be the repetition of one that was accepted. */
    Checker lossy() {
        lossy = true;
        return this;
    }

    /** About to be delivered; again for each further try. */
    synchronized void attempted(Event event) {
        attempted.putIfAbsent(event.id(), event.environment());
    }

    /** Its delivery was confirmed. */
    synchronized void acknowledged(String id) {
        acknowledged.add(id);
        confirmedAt.put(id, System.nanoTime());
    }

    /** Nobody knows whether it was stored. */
    synchronized void indeterminate(String id) {
        indeterminate.add(id);
    }

    /** A delivery, on record; what fails since Redis is away ends empty. */
    Mono<Delivered> delivering(Event event, Mono<Delivered> delivery) {
        return delivery.doOnSubscribe(begun -> attempted(event))
                .doOnNext(done -> acknowledged(event.id()))
                .onErrorResume(RedisUnavailableException.class, error -> {
                    if (error.indeterminate()) {
                        indeterminate(event.id());
                    } else {
                        refused(event.id());
                    }
                    return Mono.empty();
                });
    }

    /** A handler, on record; each time it fails the message may come once more. */
    Function<Message, Mono<Void>> handling(Function<Message, ? extends Publisher<?>> handler) {
        return message -> Mono.defer(() -> {
            begun(message.id(), message.facet(), message.attempt());
            return Mono.defer(() -> Mono.when(handler.apply(message)))
                    .doOnSuccess(done -> finished(message.id()))
                    .doOnError(failed -> explain(message.id(), Cause.FAILED));
        });
    }

    /** An acknowledgement, on record; one that fails ends empty. */
    Mono<Boolean> acknowledging(Receipt receipt, Mono<Boolean> acknowledgement) {
        return acknowledgement
                .doOnNext(accepted -> ackAnswered(receipt, accepted))
                .onErrorResume(MillraceException.class, away -> {
                    ackUnanswered(receipt);
                    return Mono.empty();
                });
    }

    /** So many deliveries of one facet, by {@link QueueRig#fill}. */
    void filling(QueueRig rig, String facet, int count) {
        for (int i = 0; i < count; i++) {
            attempted(QueueRig.event(facet, facet + "-" + i));
        }
        rig.fill(facet, count);
        for (int i = 0; i < count; i++) {
            acknowledged(facet + "-" + i);
        }
    }

    /** It was certainly not stored. */
    synchronized void refused(String id) {
        refused.add(id);
    }

    /** It is a dead letter. */
    synchronized void buried(String id) {
        buried.add(id);
    }

    /** A consumer got it; without receipt where it was taken at most once, which is its end. */
    synchronized void handedOut(Message message, @Nullable Receipt receipt) {
        handedOut(message.id(), message.facet(), message.attempt(), receipt);
    }

    synchronized void handedOut(String id, String facet, int attempt, @Nullable Receipt receipt) {
        handedOut(id, facet, attempt, receipt, begin(receipt), end(receipt));
    }

    private void handedOut(String id, String facet, int attempt, @Nullable Receipt receipt, long begin, long end) {
        handed.computeIfAbsent(id, key -> new ArrayList<>())
                .add(new Handed(clock++, id, facet, attempt, receipt, begin, end, System.nanoTime()));
    }

    private static long begin(@Nullable Receipt receipt) {
        String entry = receipt == null ? "0-0" : receipt.entry();
        return Long.parseLong(entry.substring(0, entry.indexOf('-')));
    }

    private static long end(@Nullable Receipt receipt) {
        String profile = receipt == null ? "0.0" : receipt.profile();
        return begin(receipt) + Long.parseLong(profile.substring(0, profile.indexOf('.')));
    }

    /** A handler got it, which sees no lease; its end is told by {@link #finished}. */
    void begun(String id, String facet, int attempt) {
        begun(id, facet, attempt, 0, 0);
    }

    /** As above, at a time, not before its lease of so long began. */
    synchronized void begun(String id, String facet, int attempt, long atMs, long leaseMs) {
        unseen.add(id);
        handedOut(id, facet, attempt, null, atMs, atMs + leaseMs);
    }

    /** It was handled to its end; what becomes of its acknowledgement is not known. */
    synchronized void finished(String id) {
        finished.add(id);
    }

    /** A lease was begun anew under another receipt. */
    synchronized void extended(Receipt before, Receipt now) {
        extensions.put(before, now);
    }

    /** What an acknowledgement was answered. */
    synchronized void ackAnswered(Receipt receipt, boolean accepted) {
        acks.add(new Acked(clock++, receipt, accepted));
        settledAt.put(receipt, System.nanoTime());
    }

    /** An acknowledgement was sent, and nobody knows what became of it. */
    synchronized void ackUnanswered(Receipt receipt) {
        unknown.add(receipt);
    }

    /** The handler that had it at this attempt was killed, or may not have got its acknowledgement away. */
    synchronized void killed(String id, int attempt) {
        killed.add(id + ' ' + attempt);
    }

    /** A reason for which this message may come once more. */
    synchronized void explain(String id, Cause cause) {
        ended.computeIfAbsent(id, key -> new ArrayList<>()).add(new Ended(clock++, cause));
    }

    /** A reason for which everything handed out so far and not acknowledged may come once more. */
    synchronized void explainAll(Cause cause) {
        Set<Receipt> done = new HashSet<>();
        acks.stream().filter(Acked::accepted).forEach(ack -> done.add(ack.receipt()));
        handed.forEach((id, all) -> {
            Receipt receipt = all.get(all.size() - 1).receipt();
            if (receipt == null || !done.contains(receipt)) {
                explain(id, cause);
            }
        });
    }

    /**
     * The master is gone and a replica follows: what was confirmed this shortly before may be missing there. Such messages may be
     * lost, which {@link #lostTail} reports, and may come again although they were acknowledged.
     */
    synchronized void failedOver(Duration unreplicated) {
        long from = System.nanoTime() - unreplicated.toNanos();
        confirmedAt.forEach((id, at) -> {
            if (at - from >= 0) {
                tail.add(id);
            }
        });
        settledAt.forEach((receipt, at) -> {
            if (at - from >= 0) {
                undone.add(receipt);
            }
        });
        handed.forEach((id, all) -> {
            if (all.get(all.size() - 1).nanos() - from >= 0) {
                explain(id, Cause.RELEASED); // its lease may be missing
            }
        });
    }

    /** What was confirmed shortly before a failover and never seen again. */
    synchronized Set<String> lostTail() {
        Set<String> lost = new HashSet<>(tail);
        lost.removeIf(id -> handed.containsKey(id) || buried.contains(id));
        return lost;
    }

    /** Whether everything that was confirmed has been handed out: the moment to check. */
    synchronized boolean drained() {
        return acknowledged.stream().allMatch(id -> handed.containsKey(id) || buried.contains(id));
    }

    /** As {@link #drained()}, and every message has come to its end. */
    synchronized boolean allFinished() {
        return drained() && unfinished().isEmpty();
    }

    synchronized int delivered() {
        return handed.size();
    }

    /**
     * The verdict.
     *
     * @throws AssertionError with everything that is wrong
     */
    synchronized Summary check() {
        List<String> wrong = violations();
        int duplicates =
                handed.values().stream().mapToInt(all -> all.size() - 1).sum();
        Summary summary =
                new Summary(attempted.size(), acknowledged.size(), indeterminate.size(), handed.size(), duplicates);
        if (!wrong.isEmpty()) {
            throw Violations.recorded(new AssertionError(wrong.size() + " violations in " + summary + ":\n"
                    + String.join("\n", wrong.subList(0, Math.min(20, wrong.size())))));
        }
        return summary;
    }

    private List<String> violations() {
        List<String> wrong = new ArrayList<>();
        for (String id : acknowledged) {
            if (!handed.containsKey(id) && !buried.contains(id) && !tail.contains(id)) {
                wrong.add("LOST " + id + " of facet " + attempted.get(id));
            }
        }
        unfinished().forEach(last -> wrong.add("UNFINISHED " + last.shown()));
        for (Map.Entry<String, List<Handed>> message : handed.entrySet()) {
            String facet = attempted.get(message.getKey());
            boolean never = refused.contains(message.getKey())
                    && !acknowledged.contains(message.getKey())
                    && !indeterminate.contains(message.getKey());
            if (facet == null || never) {
                wrong.add("PHANTOM " + message.getValue().get(0).shown());
            } else if (message.getValue().stream().anyMatch(one -> !one.facet().equals(facet))) {
                wrong.add("WRONG FACET " + message.getValue().get(0).shown());
            }
            repeats(message.getValue(), wrong);
        }
        if (ordered) {
            order(wrong);
        }
        staleAcks(wrong);
        return wrong;
    }

    /** What was confirmed and handed out, and then vanished with somebody who did not come to its end. */
    private List<Handed> unfinished() {
        Set<Receipt> ends = new HashSet<>(unknown);
        acks.stream().filter(ack -> ack.accepted() || lossy).forEach(ack -> ends.add(ack.receipt()));
        return handed.entrySet().stream()
                .filter(message -> acknowledged.contains(message.getKey())
                        && !finished.contains(message.getKey())
                        && !buried.contains(message.getKey())
                        && !tail.contains(message.getKey())
                        && message.getValue().stream().noneMatch(one -> isEnd(one, ends)))
                .map(message -> message.getValue().get(message.getValue().size() - 1))
                .toList();
    }

    private boolean isEnd(Handed one, Set<Receipt> ends) {
        Receipt last = last(one).receipt();
        return last == null ? !unseen.contains(one.id()) : ends.contains(last);
    }

    /** Each handing out but the first needs a reason, and must not overlap the one before. */
    private void repeats(List<Handed> all, List<String> wrong) {
        List<Handed> sorted = new ArrayList<>(all);
        if (all.stream().allMatch(one -> one.begin() > 0)) {
            sorted.sort(Comparator.comparingLong(Handed::begin).thenComparing(Handed::attempt));
        }
        List<Ended> reasons = new ArrayList<>(ended.getOrDefault(all.get(0).id(), List.of()));
        for (int i = 1; i < sorted.size(); i++) {
            Handed before = last(sorted.get(i - 1));
            Handed again = sorted.get(i);
            Cause reason = reasons.isEmpty() ? null : reasons.remove(0).cause();
            boolean leases = before.receipt() != null && again.receipt() != null;
            boolean explained = leases
                    ? endsLease(reason)
                    : reason != null || killed.contains(before.id() + ' ' + before.attempt());
            boolean expired = before.begin() > 0 && before.end() <= again.begin();
            if (acks.stream()
                    .anyMatch(ack -> ack.accepted()
                            && ack.receipt().equals(before.receipt())
                            && !undone.contains(ack.receipt()))) {
                wrong.add("AFTER ITS ACKNOWLEDGEMENT handed out again: " + again.shown());
            } else if (!explained && !expired) {
                wrong.add((!leases ? "UNEXPLAINED duplicate " : "TWO LIVE LEASES of ") + again.shown() + ", before "
                        + before.shown());
            }
        }
    }

    /** Whoever crashed, hung or lost the connection still holds the lease; only who gave it back does not. */
    private static boolean endsLease(@Nullable Cause cause) {
        return cause == Cause.CANCEL || cause == Cause.FAILED || cause == Cause.RELEASED;
    }

    /** The same handing out under its newest receipt. */
    private Handed last(Handed one) {
        Receipt receipt = one.receipt();
        while (receipt != null && extensions.containsKey(receipt)) {
            receipt = extensions.get(receipt);
        }
        return receipt == null
                ? one
                : new Handed(
                        one.at(),
                        one.id(),
                        one.facet(),
                        one.attempt(),
                        receipt,
                        begin(receipt),
                        end(receipt),
                        one.nanos());
    }

    /**
     * First deliveries of a facet in the order of their attempts. Left out: what may have been stored late, or handed out before to
     * somebody who could not record it.
     */
    private void order(List<String> wrong) {
        Map<String, Integer> place = new HashMap<>();
        attempted.keySet().forEach(id -> place.put(id, place.size()));
        Map<String, Handed> lastOf = new HashMap<>();
        handed.values().stream()
                .map(all -> all.get(0))
                .filter(first -> place.containsKey(first.id())
                        && first.attempt() == 1
                        && !indeterminate.contains(first.id())
                        && !refused.contains(first.id()))
                .sorted(Comparator.comparingLong(Handed::begin)
                        .thenComparingLong(Checker::sequence)
                        .thenComparingInt(Handed::at))
                .forEach(first -> {
                    Handed before = lastOf.put(first.facet(), first);
                    if (before != null && place.get(before.id()) > place.get(first.id())) {
                        wrong.add(
                                "ORDER of facet " + first.facet() + ": " + before.id() + " came before " + first.id());
                    }
                });
    }

    private static long sequence(Handed one) {
        Receipt receipt = one.receipt();
        return receipt == null
                ? 0
                : Long.parseLong(receipt.entry().substring(receipt.entry().indexOf('-') + 1));
    }

    private void staleAcks(List<String> wrong) {
        Map<Receipt, Handed> holder = new HashMap<>();
        handed.values()
                .forEach(all -> all.forEach(one -> {
                    for (Receipt r = one.receipt(); r != null; r = extensions.get(r)) {
                        holder.put(r, one);
                    }
                }));
        Set<Receipt> accepted = new HashSet<>();
        for (Acked ack : acks) {
            if (!ack.accepted()) {
                continue;
            }
            Handed one = holder.get(ack.receipt());
            boolean replaced = one != null
                    && handed.get(one.id()).stream().anyMatch(next -> next.at() > one.at() && next.at() < ack.at());
            if (replaced || extensions.containsKey(ack.receipt()) || !accepted.add(ack.receipt())) {
                wrong.add("STALE acknowledgement accepted: " + ack.receipt() + (one == null ? "" : " of " + one.id()));
            }
        }
    }
}
