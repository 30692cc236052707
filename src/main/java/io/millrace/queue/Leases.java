package io.millrace.queue;

import io.millrace.RedisUnavailableException;
import io.millrace.redis.GroupCommit;
import io.millrace.redis.GroupCommit.Outcome;
import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;

/** Ends and extends the leases of one queue; concurrent callers share round trips. */
final class Leases {

    private static final Logger log = LoggerFactory.getLogger(Leases.class);

    private static final int MAX_BATCH = 128;
    private static final int MAX_IN_FLIGHT = 8;
    private static final int MAX_WAITING = 200_000;

    /** What becomes of a lease that ends without acknowledgement. */
    enum Ended {
        /** Back in its place, to be pulled again. */
        BACK,
        /** Held back for a while. */
        LATER,
        /** A dead letter. */
        DEAD,
        /** Nothing: it was not held any more. */
        GONE
    }

    /**
     * A lease to end.
     *
     * @param messages how many it is of
     * @param delay for how long the message is held back
     * @param counted whether the attempt counts as used
     * @param bury whether it becomes a dead letter at once
     * @param reason for the dead letter
     * @param places of a batch, from 1; empty for all
     * @param others whether the others of the batch are acknowledged; else they go back as if never seen
     */
    record Return(
            Receipt receipt,
            int messages,
            Duration delay,
            boolean counted,
            boolean bury,
            String reason,
            List<Integer> places,
            boolean others) {

        Return {
            Check.between("delay", delay, Duration.ZERO, FacetQueue.MAX_NACK_DELAY);
            Objects.requireNonNull(reason, "reason");
        }

        static Return all(Receipt receipt, int messages, Duration delay, String reason) {
            return new Return(receipt, messages, delay, true, false, reason, List.of(), true);
        }

        static Return untouched(Receipt receipt, int messages) {
            return new Return(receipt, messages, Duration.ZERO, false, false, "", List.of(), true);
        }

        static Return dead(Receipt receipt, int messages, String reason) {
            return new Return(receipt, messages, Duration.ZERO, true, true, reason, List.of(), true);
        }

        private String chosen() {
            String list = String.join(",", places.stream().map(String::valueOf).toList());
            return others || places.isEmpty() ? list : "!" + list;
        }
    }

    private record Extension(Receipt receipt, int messages, String profile) {}

    private final Redis redis;
    private final Unit unit;
    private final GroupCommit<Receipt, Boolean> acks;
    private final GroupCommit<Return, Ended> returns;
    private final GroupCommit<Extension, Receipt> extensions;

    Leases(Redis redis, Unit unit) {
        this.redis = redis;
        this.unit = unit;
        this.acks = new GroupCommit<>(MAX_BATCH, MAX_IN_FLIGHT, MAX_WAITING, this::acknowledgeBatch);
        this.returns = GroupCommit.weighed(MAX_BATCH, MAX_IN_FLIGHT, MAX_WAITING, Return::messages, this::returnBatch);
        this.extensions =
                GroupCommit.weighed(MAX_BATCH, MAX_IN_FLIGHT, MAX_WAITING, Extension::messages, this::extendBatch);
    }

    /** True: acknowledged now. False: the lease was not held any more. */
    Mono<Boolean> acknowledge(Receipt receipt) {
        return acks.submit(receipt);
    }

    /** Acknowledges for somebody who does not wait for the answer. */
    void acknowledgeLater(Receipt receipt) {
        acks.post(
                receipt,
                error -> log.warn(
                        "an acknowledgement in queue \"{}\" failed; the message comes again when its lease ends: {}",
                        unit.queue(),
                        error.getMessage()));
    }

    Mono<Ended> end(Return lease) {
        return returns.submit(lease);
    }

    /** Ends a lease for somebody who does not wait for the answer. */
    void endLater(Return lease) {
        returns.post(
                lease,
                error -> log.warn(
                        "giving back a message of queue \"{}\" failed; it comes again when its lease ends: {}",
                        unit.queue(),
                        error.getMessage()));
    }

    /** The new receipt; {@link Receipt#GONE} when the lease was not held any more. */
    Mono<Receipt> extend(Receipt receipt, int messages, String profile) {
        return extensions.submit(new Extension(receipt, messages, profile));
    }

    private Mono<List<Outcome<Boolean>>> acknowledgeBatch(List<Receipt> receipts) {
        List<byte[]> args = new ArrayList<>(2 * receipts.size());
        for (Receipt receipt : receipts) {
            args.add(bytes(receipt.profile()));
            args.add(bytes(receipt.entry()));
        }
        return redis.run(QueueScripts.ACK, List.of(unit.prefix()), args).map(told -> acknowledged(told, receipts));
    }

    List<Outcome<Boolean>> acknowledged(QueueScripts.Told told, List<Receipt> receipts) {
        return outcomes(told.reply(), i -> {
            boolean done = told.reply().number(i) == 1;
            return done || !told.again() ? new Outcome.Done<>(done) : notKnown("acknowledged", receipts.get(i - 1));
        });
    }

    private Mono<List<Outcome<Ended>>> returnBatch(List<Return> leases) {
        List<byte[]> args = new ArrayList<>(7 * leases.size());
        for (Return lease : leases) {
            args.add(bytes(lease.receipt().profile()));
            args.add(bytes(lease.receipt().entry()));
            args.add(bytes(Long.toString(lease.delay().toMillis())));
            args.add(bytes(lease.counted() ? "1" : "0"));
            args.add(bytes(lease.bury() ? "1" : "0"));
            args.add(bytes(lease.reason()));
            args.add(bytes(lease.chosen()));
        }
        return redis.run(QueueScripts.RETURN, List.of(unit.prefix()), args).map(told -> ended(told, leases));
    }

    List<Outcome<Ended>> ended(QueueScripts.Told told, List<Return> leases) {
        return outcomes(told.reply(), i -> {
            Ended ended = told.reply().word(i, Ended.class);
            return ended != Ended.GONE || !told.again()
                    ? new Outcome.Done<>(ended)
                    : notKnown("given back", leases.get(i - 1).receipt());
        });
    }

    private Mono<List<Outcome<Receipt>>> extendBatch(List<Extension> leases) {
        List<byte[]> args = new ArrayList<>(3 * leases.size());
        for (Extension lease : leases) {
            args.add(bytes(lease.receipt().profile()));
            args.add(bytes(lease.receipt().entry()));
            args.add(bytes(lease.profile()));
        }
        return redis.run(QueueScripts.EXTEND, List.of(unit.prefix()), args)
                .map(reply -> outcomes(reply, i -> {
                    String entry = reply.text(i);
                    return new Outcome.Done<>(
                            entry.isEmpty()
                                    ? Receipt.GONE
                                    : new Receipt(leases.get(i - 1).profile(), entry, unit.partition()));
                }));
    }

    /** The lease is not held any more: it had ended, or an earlier try of this call, whose answer was lost, has ended it. */
    private <O> Outcome<O> notKnown(String what, Receipt receipt) {
        return new Outcome.Failed<>(new RedisUnavailableException(
                "whether lease " + receipt + " of queue \"" + unit.queue() + "\" was " + what
                        + " by this call or had ended before is not known: an answer of Redis was lost",
                true,
                null));
    }

    private static <O> List<Outcome<O>> outcomes(Reply reply, Function<Integer, Outcome<O>> read) {
        List<Outcome<O>> outcomes = new ArrayList<>(reply.size());
        for (int i = 1; i < reply.size(); i++) {
            outcomes.add(read.apply(i));
        }
        return outcomes;
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
