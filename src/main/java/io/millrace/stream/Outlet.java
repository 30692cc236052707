package io.millrace.stream;

import io.millrace.redis.GroupCommit;
import io.millrace.redis.LuaScript;
import io.millrace.redis.Reply;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/**
 * Writes to one shard of a stream: concurrent callers share calls. Some calls are out at a time, so that the server works while the next
 * one is written and the last one's answer read. Entries keep the order in which they were produced: each call names the one before it,
 * and the server refuses it as early unless that one has just run, as may be when a call has to be repeated. What was early is sent again
 * when the call before it has ended, whichever way.
 */
final class Outlet {

    /** How many changes one call carries, about. */
    static final int CALL = 500;

    /** So long changes are handed over together at the most. */
    static final int PIECE = 250;

    /** How many calls of entries, from the first that has not ended on, are out at the most; {@code produce.lua} knows one more. */
    private static final int OUT = 3;

    private static final byte[] NONE = new byte[0];

    // Places among the arguments of produce.lua.
    private static final int BEFORE = 2;
    private static final int WINDOW = 3;

    private static final int MAX_WAITING = 20_000;
    private static final long MAINTENANCE_NANOS = Duration.ofSeconds(1).toNanos();
    private static final long CONFIRM_NANOS = Duration.ofSeconds(30).toNanos();

    /** How scripts that write are run: as usual, or waiting for replicas. */
    interface Runner {

        /**
         * Runs it.
         *
         * @param wrote whether what the script answered says that it has written something, now or before
         */
        Mono<Reply> run(LuaScript<Reply> script, List<byte[]> keys, List<byte[]> args, Predicate<Reply> wrote);
    }

    private final StreamKeys keys;
    private final Runner runner;
    private final Mono<Void> confirm;
    private final long idWindowMs;
    private final byte[] producer = StreamKeys.bytes(UUID.randomUUID().toString());
    private final AtomicLong maintained = new AtomicLong(System.nanoTime() - MAINTENANCE_NANOS);
    private final GroupCommit<List<Change>, List<EntryId>> entries;
    private final GroupCommit<List<Change>, Boolean> notes;

    // Touched by calls as they begin, which they do one after the other.
    private Call latest = new Call(0);
    private final Call[] recent = new Call[OUT]; // by number, modulo its length
    private volatile long confirmed = System.nanoTime();

    private enum Produced {
        OK,
        EARLY
    }

    /** A call of entries: whether it has ended, and whether it is on its way. */
    private static final class Call {

        private final long number;
        private final Sinks.Empty<Void> end = Sinks.empty();
        private volatile boolean ended;
        private volatile Sinks.@Nullable Empty<Void> held; // completes when it goes out after all

        Call(long number) {
            this.number = number;
            this.ended = number == 0;
        }

        void hold() {
            if (held == null) {
                held = Sinks.empty();
            }
        }

        void goesOut() {
            Sinks.Empty<Void> waiting = held;
            held = null;
            if (waiting != null) {
                waiting.tryEmitEmpty();
            }
        }

        void ended() {
            ended = true;
            end.tryEmitEmpty();
            goesOut();
        }
    }

    /** @param confirm makes sure that the stream is still on record as it was found; asked now and then, between two calls */
    Outlet(StreamKeys keys, Mono<Void> confirm, Runner runner, Duration idWindow) {
        this.keys = keys;
        this.confirm = confirm;
        this.runner = runner;
        this.idWindowMs = idWindow.toMillis();
        this.entries = GroupCommit.weighed(CALL - PIECE + 1, OUT, MAX_WAITING, List::size, this::append);
        this.notes = GroupCommit.weighed(CALL - PIECE + 1, 1, MAX_WAITING, List::size, this::note);
    }

    /** Up to {@link #PIECE} changes; the ids of their entries, in order. */
    Mono<List<EntryId>> queue(List<Change> changes) {
        return entries.submit(changes);
    }

    /** Up to {@link #PIECE} changes. */
    Mono<Boolean> delay(List<Change> changes) {
        return notes.submit(changes);
    }

    private Mono<List<GroupCommit.Outcome<List<EntryId>>>> append(List<List<Change>> pieces) {
        List<byte[]> args = new ArrayList<>();
        Call before = latest;
        Call call = new Call(before.number + 1);
        Call forerunner = recent[(int) (call.number % OUT)];
        latest = call;
        recent[(int) (call.number % OUT)] = call;
        args.add(producer);
        args.add(StreamKeys.bytes(call.number));
        args.add(StreamKeys.bytes(before.ended ? 0 : before.number));
        args.add(StreamKeys.bytes(0));
        boolean ids = pieces.stream().flatMap(List::stream).anyMatch(change -> change.producerId() != null);
        args.add(StreamKeys.bytes(ids ? 2 : 1));
        for (List<Change> piece : pieces) {
            for (Change change : piece) {
                if (ids) {
                    String id = change.producerId();
                    args.add(id == null ? NONE : StreamKeys.bytes(id));
                }
                args.add(change.bytes());
            }
        }
        if (ids && maintenanceIsDue()) {
            args.set(WINDOW, StreamKeys.bytes(idWindowMs));
        }
        // A call that is being repeated must find its answer: no call goes so far ahead of it that it would be
        // forgotten.
        Mono<Reply> reply;
        if (forerunner == null || forerunner.ended) {
            reply = append(call, before, args);
        } else {
            call.hold();
            reply = forerunner.end.asMono().then(append(call, before, args));
        }
        // It has ended before the next one is let go: that one must not wait, or those behind it would overtake it.
        return reply.doOnNext(answer -> call.ended())
                .map(answer -> ids(pieces, answer))
                .doOnError(error -> call.ended())
                .doFinally(end -> call.ended());
    }

    /**
     * Goes out behind the call before it, at once if that one is on its way. Else both would be early, and whatever follows them as
     * long as there are calls under way: each would be sent twice.
     */
    private Mono<Reply> append(Call call, Call before, List<byte[]> args) {
        return Mono.defer(() -> {
            Sinks.Empty<Void> waiting = before.held;
            if (waiting == null) {
                return send(call, before, args);
            }
            call.hold();
            return waiting.asMono().then(send(call, before, args));
        });
    }

    private Mono<Reply> send(Call call, Call before, List<byte[]> args) {
        return Mono.defer(() -> {
                    args.set(BEFORE, StreamKeys.bytes(before.ended ? 0 : before.number));
                    Mono<Reply> sent = run(
                            StreamScripts.PRODUCE, List.of(keys.logKey(), keys.unitKey()), args, Outlet::isProduced);
                    return call.held == null
                            ? sent
                            : Flux.merge(sent, Mono.<Reply>fromRunnable(call::goesOut)) // when it is written
                                    .single();
                })
                .flatMap(reply -> {
                    if (isProduced(reply)) {
                        return Mono.just(reply);
                    }
                    call.hold();
                    return before.end.asMono().then(send(call, before, args));
                });
    }

    private static boolean isProduced(Reply reply) {
        return reply.status(Produced.class) == Produced.OK;
    }

    private Mono<Reply> run(
            LuaScript<Reply> script, List<byte[]> scriptKeys, List<byte[]> args, Predicate<Reply> wrote) {
        Mono<Reply> call = runner.run(script, scriptKeys, args, wrote);
        long now = System.nanoTime();
        return now - confirmed < CONFIRM_NANOS
                ? call
                : confirm.doOnSuccess(done -> confirmed = now).then(call);
    }

    private boolean maintenanceIsDue() {
        long now = System.nanoTime();
        long last = maintained.get();
        return now - last >= MAINTENANCE_NANOS && maintained.compareAndSet(last, now);
    }

    private static List<GroupCommit.Outcome<List<EntryId>>> ids(List<List<Change>> pieces, Reply reply) {
        Map<Integer, EntryId> known = new HashMap<>();
        for (int i = 2; i < reply.size(); i += 2) {
            known.put((int) reply.number(i), EntryId.parse(reply.text(i + 1)));
        }
        EntryId first = reply.text(1).isEmpty() ? EntryId.ZERO : EntryId.parse(reply.text(1));
        List<GroupCommit.Outcome<List<EntryId>>> outcomes = new ArrayList<>(pieces.size());
        int index = 0;
        int added = 0;
        for (List<Change> piece : pieces) {
            List<EntryId> ids = new ArrayList<>(piece.size());
            for (int i = 0; i < piece.size(); i++) {
                index++;
                EntryId before = known.isEmpty() ? null : known.get(index);
                ids.add(before == null ? first.plus(added++) : before);
            }
            outcomes.add(new GroupCommit.Outcome.Done<>(ids));
        }
        return outcomes;
    }

    private Mono<List<GroupCommit.Outcome<Boolean>>> note(List<List<Change>> pieces) {
        List<byte[]> args = new ArrayList<>();
        for (List<Change> piece : pieces) {
            for (Change change : piece) {
                args.add(StreamKeys.bytes(change.key()));
                args.add(change.bytes());
            }
        }
        return run(StreamScripts.NOTE, List.of(keys.unitKey()), args, noted -> true)
                .map(reply -> pieces.stream()
                        .<GroupCommit.Outcome<Boolean>>map(piece -> new GroupCommit.Outcome.Done<>(true))
                        .toList());
    }
}
