package io.millrace.queue;

import io.millrace.redis.Detached;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Acknowledgements that nobody waits for: they travel with a pull or, when none is to come, by themselves. Thread safe. */
final class Acknowledgements {

    private static final Logger log = LoggerFactory.getLogger(Acknowledgements.class);

    private final String queue;
    private final Function<Receipt, Leases> leases;
    private final Queue<Receipt> waiting = new ConcurrentLinkedQueue<>();

    /** @param leases those that a receipt is of */
    Acknowledgements(String queue, Function<Receipt, Leases> leases) {
        this.queue = queue;
        this.leases = leases;
    }

    boolean isEmpty() {
        return waiting.isEmpty();
    }

    void add(Receipt receipt) {
        waiting.add(receipt);
    }

    /** Those of a pull that has failed; acknowledging twice does no harm. */
    void addAgain(Collection<Receipt> receipts) {
        waiting.addAll(receipts);
    }

    /** What the next pull with this profile is to carry; those of other profiles go by themselves. */
    List<Receipt> forPull(String profile) {
        List<Receipt> receipts = new ArrayList<>();
        while (receipts.size() < LeaseOptions.MAX_BATCH_SIZE) {
            Receipt next = waiting.poll();
            if (next == null) {
                break;
            }
            if (next.profile().equals(profile)) {
                receipts.add(next);
            } else {
                leases.apply(next).acknowledgeLater(next); // extended for another time
            }
        }
        return receipts;
    }

    /** Sends what no pull has carried away, also when its caller cancels meanwhile. What fails comes again when its lease ends. */
    Mono<Void> send() {
        return Detached.run(Mono.defer(this::sendAll), sent -> {}).then();
    }

    private Mono<Boolean> sendAll() {
        List<Receipt> all = new ArrayList<>();
        for (Receipt next = waiting.poll(); next != null; next = waiting.poll()) {
            all.add(next);
        }
        return Flux.fromIterable(all)
                .flatMap(receipt -> leases.apply(receipt).acknowledge(receipt).onErrorResume(this::failed))
                .then(Mono.just(true));
    }

    /** As {@link #send}, for somebody who does not wait. */
    void flush() {
        for (Receipt next = waiting.poll(); next != null; next = waiting.poll()) {
            leases.apply(next).acknowledgeLater(next);
        }
    }

    /** Runs one to its end even if its caller cancels; failing is logged. */
    Mono<Void> alone(Mono<Boolean> acknowledging) {
        return Detached.run(acknowledging, done -> {})
                .onErrorResume(this::failed)
                .then();
    }

    private Mono<Boolean> failed(Throwable error) {
        log.warn(
                "an acknowledgement in queue \"{}\" failed; the message comes again when its lease ends: {}",
                queue,
                error.getMessage());
        return Mono.empty();
    }
}
