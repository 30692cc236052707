package io.millrace.queue;

import io.millrace.MalformedEventException;
import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.IntFunction;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;

/** Runs {@code queue/pull.lua} for one queue, or one partition of it, and reads what it answers. */
final class Pulls {

    private static final Logger log = LoggerFactory.getLogger(Pulls.class);

    /** How often a reader also looks for ended leases and due messages. */
    private static final long MAINTENANCE_NANOS = Duration.ofSeconds(1).toNanos();

    private static final byte[] TAKE = Leases.bytes("take");
    private static final byte[] EACH = Leases.bytes("each");
    private static final byte[] BATCH = Leases.bytes("batch");

    /**
     * One answer.
     *
     * @param items what was taken
     * @param waitMs ms until something that waits is due, -1 if nothing is; only known when fewer were taken than asked for
     * @param acknowledged how many of the leases to acknowledge were still held
     * @param active the weights of the facets that may be served now; 0 where nobody asked
     */
    record Pulled<T>(List<T> items, long waitMs, int acknowledged, double active) {

        Pulled(List<T> items, long waitMs) {
            this(items, waitMs, 0, 0);
        }
    }

    private record Answer(Reply reply, double active) {}

    private final Redis redis;
    private final Unit unit;
    private final Leases leases;
    private final List<byte[]> keys;
    private final DwellRecorder dwell;
    private final AtomicLong maintained = new AtomicLong(System.nanoTime() - MAINTENANCE_NANOS);

    /**
     * @param several whether the queue has several partitions: then each answer tells how much there is to be served
     * @param dwell is told how long messages waited
     */
    Pulls(Redis redis, Unit unit, Leases leases, boolean several, DwellRecorder dwell) {
        this.redis = redis;
        this.unit = unit;
        this.leases = leases;
        this.keys = several ? List.of(unit.prefix(), unit.part("ring")) : List.of(unit.prefix());
        this.dwell = dwell;
    }

    /** At most once: what is answered is gone from the queue. What was no event becomes a dead letter. */
    Mono<Pulled<Message>> take(int n) {
        return asOftenAsNeeded(
                n,
                left -> run(left, TAKE, LeaseOptions.defaults(), PullRequest.alone(left, List.of(), false))
                        .flatMap(answer -> {
                            Reply reply = answer.reply();
                            List<Message> messages = new ArrayList<>();
                            List<byte[]> unreadable = new ArrayList<>();
                            for (int i = 4; i < reply.size(); i++) {
                                try {
                                    messages.add(Elements.message(unit.queue(), reply, i));
                                } catch (MalformedEventException e) {
                                    unreadable.addAll(Elements.raw(reply, i));
                                    unreadable.add(Leases.bytes(String.valueOf(e.getMessage())));
                                }
                            }
                            dwell.handedOut(messages);
                            boolean onlyOthers = messages.isEmpty() && reply.size() > 4;
                            Pulled<Message> pulled =
                                    new Pulled<>(messages, onlyOthers ? 0 : reply.number(1), 0, answer.active());
                            return unreadable.isEmpty() ? Mono.just(pulled) : buryTaken(unreadable, pulled);
                        }));
    }

    private Mono<Pulled<Message>> buryTaken(List<byte[]> unreadable, Pulled<Message> others) {
        log.warn("queue \"{}\" held something that is no event; it becomes a dead letter", unit.queue());
        return redis.run(QueueScripts.BURY, List.of(unit.prefix()), unreadable)
                .doOnError(error -> log.warn(
                        "something of queue \"{}\" that is no event is lost: {}", unit.queue(), error.getMessage()))
                .onErrorComplete()
                .thenReturn(others);
    }

    /** A lease for each of the messages that are there now. */
    Mono<Pulled<Delivery>> lease(int n, LeaseOptions options) {
        return asOftenAsNeeded(n, left -> each(options, PullRequest.alone(left, List.of(), false)));
    }

    /**
     * One look is not always enough, and thousands may be needed: a loop, not a call within a call. What is taken already is handed out
     * in any case.
     */
    static <T> Mono<Pulled<T>> asOftenAsNeeded(int n, IntFunction<Mono<Pulled<T>>> look) {
        return Mono.defer(() -> {
            List<T> items = new ArrayList<>();
            AtomicLong waitMs = new AtomicLong(-1);
            return Mono.defer(() -> look.apply(n - items.size()))
                    .onErrorResume(
                            error -> items.isEmpty() ? Mono.error(error) : Mono.just(new Pulled<>(List.of(), -1)))
                    .doOnNext(pulled -> {
                        items.addAll(pulled.items());
                        waitMs.set(pulled.waitMs());
                    })
                    .repeat(() -> items.size() < n && waitMs.get() == 0)
                    .last()
                    .map(last -> new Pulled<>(items, last.waitMs(), 0, last.active()));
        });
    }

    /** Looks for what has come due, and tells how much there is to be served. */
    Mono<Pulled<Message>> look() {
        return run(0, TAKE, LeaseOptions.defaults(), PullRequest.alone(0, List.of(), true))
                .map(answer -> new Pulled<>(List.of(), -1, 0, answer.active()));
    }

    /** A lease for each message; leases of the same options are acknowledged along with it. */
    Mono<Pulled<Delivery>> each(LeaseOptions options, PullRequest request) {
        int n = request.n();
        return run(n, EACH, options, request).map(answer -> {
            Reply reply = answer.reply();
            if (reply.size() >= 4 + 2 * n) {
                request.gaveAll().run();
            }
            List<Delivery> deliveries = new ArrayList<>((reply.size() - 4) / 2);
            List<Message> messages = new ArrayList<>((reply.size() - 4) / 2);
            long wait = reply.number(1);
            for (int i = 4; i + 1 < reply.size(); i += 2) {
                Receipt receipt = new Receipt(options.profile(), reply.text(i), unit.partition());
                try {
                    Message message = Elements.message(unit.queue(), reply, i + 1);
                    deliveries.add(new Delivery(message, 1, receipt, leases, options));
                    messages.add(message);
                } catch (MalformedEventException e) {
                    bury(receipt, e, 1);
                    wait = 0; // there are fewer than asked for, yet more may wait
                }
            }
            dwell.handedOut(messages);
            return new Pulled<>(deliveries, wait, (int) reply.number(2), answer.active());
        });
    }

    /** One lease for a batch. One that is not full gave less than was asked for: there was no more. */
    Mono<Pulled<DeliveryBatch>> batch(LeaseOptions options, PullRequest request) {
        int n = options.batchSize();
        return run(n, BATCH, options, request).map(answer -> {
            Reply reply = answer.reply();
            if (reply.size() >= 4 + n) {
                request.gaveAll().run();
            }
            int acknowledged = (int) reply.number(2);
            if (reply.size() == 4) {
                return new Pulled<DeliveryBatch>(List.of(), reply.number(1), acknowledged, answer.active());
            }
            List<Message> messages = new ArrayList<>(reply.size() - 4);
            Receipt receipt = new Receipt(options.profile(), reply.text(3), unit.partition());
            for (int i = 4; i < reply.size(); i++) {
                try {
                    messages.add(Elements.message(unit.queue(), reply, i));
                } catch (MalformedEventException e) {
                    // One that cannot be read ends the lease of all: it is buried, the others come again with the next
                    // pull.
                    bury(receipt, e, i - 3);
                    return new Pulled<DeliveryBatch>(List.of(), 0, acknowledged, answer.active());
                }
            }
            dwell.handedOut(messages);
            List<DeliveryBatch> one = List.of(new DeliveryBatch(messages, receipt, leases, options));
            return new Pulled<>(one, reply.number(1), acknowledged, answer.active());
        });
    }

    private void bury(Receipt receipt, MalformedEventException error, int place) {
        log.warn(
                "queue \"{}\" holds something that is no event; it becomes a dead letter: {}",
                unit.queue(),
                error.getMessage());
        leases.endLater(new Leases.Return(
                receipt, 1, Duration.ZERO, true, true, String.valueOf(error.getMessage()), List.of(place), false));
    }

    private Mono<Answer> run(int n, byte[] mode, LeaseOptions options, PullRequest request) {
        return Mono.defer(() -> {
            List<byte[]> args = new ArrayList<>(4 + request.acknowledge().size());
            args.add(Leases.bytes(Integer.toString(n)));
            args.add(mode);
            args.add(Leases.bytes(options.profile()));
            args.add(Leases.bytes(request.maintain() || maintenanceIsDue() ? "1" : "0"));
            for (Receipt receipt : request.acknowledge()) {
                args.add(Leases.bytes(receipt.entry()));
            }
            Mono<Reply> reply = request.inTurn()
                    ? redis.runInTurn(QueueScripts.PULL, keys, args)
                    : redis.run(QueueScripts.PULL, keys, args);
            return reply.map(this::answer);
        });
    }

    private Answer answer(Reply reply) {
        int last = reply.size() - 1;
        return keys.size() == 1
                ? new Answer(reply, 0)
                : new Answer(new Reply(reply.values().subList(0, last)), Double.parseDouble(reply.text(last)));
    }

    private boolean maintenanceIsDue() {
        long now = System.nanoTime();
        long last = maintained.get();
        return now - last >= MAINTENANCE_NANOS && maintained.compareAndSet(last, now);
    }
}
