package io.millrace.queue;

import io.millrace.MalformedEventException;
import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;

/** Runs {@code queue/pull.lua} for one queue and reads what it answers. */
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
     */
    record Pulled<T>(List<T> items, long waitMs, int acknowledged) {}

    private final Redis redis;
    private final Unit unit;
    private final Leases leases;
    private final DwellRecorder dwell = new DwellRecorder();
    private final AtomicLong maintained = new AtomicLong(System.nanoTime() - MAINTENANCE_NANOS);

    Pulls(Redis redis, Unit unit, Leases leases) {
        this.redis = redis;
        this.unit = unit;
        this.leases = leases;
    }

    /** How long messages waited that were handed out here. */
    DwellTimes dwell() {
        return dwell.snapshot();
    }

    /** At most once: what is answered is gone from the queue; so is what was no event. */
    Mono<List<Message>> take(int n) {
        return run(n, TAKE, LeaseOptions.defaults(), List.of(), false).flatMap(reply -> {
            List<Message> messages = new ArrayList<>();
            for (int i = 4; i < reply.size(); i++) {
                try {
                    messages.add(Elements.message(unit.queue(), reply, i));
                } catch (MalformedEventException e) {
                    log.warn("queue \"{}\" held something that is no event: {}", unit.queue(), e.getMessage());
                }
            }
            dwell.handedOut(messages, redis.clock().millis());
            boolean onlyOthers = messages.isEmpty() && reply.size() > 4;
            return onlyOthers ? take(n) : Mono.just(messages);
        });
    }

    /** A lease for each message; leases of the same options are acknowledged along with it. */
    Mono<Pulled<Delivery>> each(int n, LeaseOptions options, List<Receipt> acknowledge, boolean maintain) {
        return run(n, EACH, options, acknowledge, maintain).map(reply -> {
            List<Delivery> deliveries = new ArrayList<>((reply.size() - 4) / 2);
            List<Message> messages = new ArrayList<>((reply.size() - 4) / 2);
            long wait = reply.number(1);
            for (int i = 4; i + 1 < reply.size(); i += 2) {
                Receipt receipt = new Receipt(options.profile(), reply.text(i));
                try {
                    Message message = Elements.message(unit.queue(), reply, i + 1);
                    deliveries.add(new Delivery(message, 1, receipt, leases, options));
                    messages.add(message);
                } catch (MalformedEventException e) {
                    bury(receipt, e, 1);
                    wait = 0; // there are fewer than asked for, yet more may wait
                }
            }
            dwell.handedOut(messages, redis.clock().millis());
            return new Pulled<>(deliveries, wait, (int) reply.number(2));
        });
    }

    /** One lease for up to n messages. */
    Mono<Pulled<DeliveryBatch>> batch(int n, LeaseOptions options, List<Receipt> acknowledge, boolean maintain) {
        return run(n, BATCH, options, acknowledge, maintain).map(reply -> {
            if (reply.size() == 4) {
                return new Pulled<DeliveryBatch>(List.of(), reply.number(1), (int) reply.number(2));
            }
            List<Message> messages = new ArrayList<>(reply.size() - 4);
            Receipt receipt = new Receipt(options.profile(), reply.text(3));
            for (int i = 4; i < reply.size(); i++) {
                try {
                    messages.add(Elements.message(unit.queue(), reply, i));
                } catch (MalformedEventException e) {
                    // One that cannot be read ends the lease of all: it is buried, the others come again with the next
                    // pull.
                    bury(receipt, e, i - 3);
                    return new Pulled<DeliveryBatch>(List.of(), 0, (int) reply.number(2));
                }
            }
            dwell.handedOut(messages, redis.clock().millis());
            return new Pulled<>(List.of(new DeliveryBatch(messages, receipt, leases, options)), reply.number(1), (int)
                    reply.number(2));
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

    private Mono<Reply> run(int n, byte[] mode, LeaseOptions options, List<Receipt> acknowledge, boolean maintain) {
        return Mono.defer(() -> {
            List<byte[]> args = new ArrayList<>(5 + acknowledge.size());
            args.add(Leases.bytes(Integer.toString(n)));
            args.add(mode);
            args.add(Leases.bytes(options.profile()));
            args.add(Leases.bytes(maintain || maintenanceIsDue() ? "1" : "0"));
            for (Receipt receipt : acknowledge) {
                args.add(Leases.bytes(receipt.entry()));
            }
            return redis.run(QueueScripts.PULL, List.of(unit.prefix()), args);
        });
    }

    private boolean maintenanceIsDue() {
        long now = System.nanoTime();
        long last = maintained.get();
        return now - last >= MAINTENANCE_NANOS && maintained.compareAndSet(last, now);
    }
}
