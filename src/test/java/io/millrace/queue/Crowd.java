package io.millrace.queue;

import static io.millrace.queue.QueueRig.SOON;

import io.millrace.queue.Checker.Cause;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Consumers of queues "q" and "r" that come and go, in two processes, alone and in groups; what they do is on record. */
final class Crowd {

    private static final int MOST = 6;

    /** One message handed out, and when by the server's clock. */
    record Handed(String queue, String facet, long at) {}

    final Map<String, Checker> checkers = Map.of("q", new Checker(), "r", new Checker());
    final Queue<Handed> handed = new ConcurrentLinkedQueue<>();
    private final List<QueueRig> processes;
    private final LeaseOptions lease;
    private final Random random;
    private final List<Disposable> consumers = new ArrayList<>();

    /** @param leaseMs of all of them: where order is strict the receipts of one profile tell it */
    Crowd(List<QueueRig> processes, int leaseMs, Random random) {
        this.processes = processes;
        this.lease = LeaseOptions.builder()
                .lease(Duration.ofMillis(leaseMs))
                .maxAttempts(0)
                .batchSize(4)
                .build();
        this.random = random;
    }

    String come() {
        if (consumers.size() >= MOST) {
            return go();
        }
        QueueRig from = processes.get(random.nextInt(processes.size()));
        int kind = random.nextInt(5);
        consumers.add(
                switch (kind) {
                    case 0, 1 -> each(from.queue.receive(lease));
                    case 2 ->
                        each(from.mill.queues().group(Map.of("q", 2, "r", 1)).receive(lease));
                    case 3 -> batches(from.queue);
                    default -> each(from.mill.queue("r").receive(lease));
                });
        return "consumer " + kind + " comes";
    }

    /** All there is has somebody who takes it. */
    void everybody() {
        processes.forEach(from -> {
            consumers.add(each(from.queue.receive(lease)));
            consumers.add(each(from.mill.queue("r").receive(lease)));
        });
    }

    String go() {
        if (consumers.isEmpty()) {
            return come();
        }
        checkers.values().forEach(checker -> checker.explainAll(Cause.CANCEL));
        consumers.remove(random.nextInt(consumers.size())).dispose();
        return "a consumer goes";
    }

    void allGo() {
        consumers.forEach(Disposable::dispose);
        consumers.clear();
    }

    /** Somebody who comes only once. */
    String lease() {
        QueueRig from = processes.get(random.nextInt(processes.size()));
        List<Delivery> got = from.mill
                .queues()
                .group(Map.of("q", 1, "r", 1))
                .lease(1 + random.nextInt(5), lease)
                .collectList()
                .block(SOON);
        got.forEach(one -> end(one).subscribe());
        return "lease " + got.size();
    }

    private Disposable each(Flux<Delivery> deliveries) {
        return deliveries.flatMap(one -> detached(end(one)), 4).subscribe();
    }

    private Disposable batches(FacetQueue queue) {
        return queue.receiveBatches(lease)
                .concatMap(batch -> {
                    batch.messages().forEach(message -> handedOut(message, batch.receipt()));
                    return detached(Mono.delay(Duration.ofMillis(2))
                            .then(checkers.get("q").acknowledging(batch.receipt(), Mono.defer(batch::ack))));
                })
                .subscribe();
    }

    /** Who goes comes to the end of what he has begun. */
    private static Mono<Void> detached(Mono<?> end) {
        Mono<?> once = end.cache();
        once.subscribe();
        return once.then();
    }

    /** Receipts of two queues may be the same. */
    private Checker of(Message message) {
        return checkers.get(message.queue());
    }

    private void handedOut(Message message, Receipt receipt) {
        of(message).handedOut(message, receipt);
        String entry = receipt.entry();
        handed.add(
                new Handed(message.queue(), message.facet(), Long.parseLong(entry.substring(0, entry.indexOf('-')))));
    }

    private Mono<Boolean> end(Delivery one) {
        handedOut(one.message(), one.receipt());
        int fate = Math.floorMod(one.message().id().hashCode(), 12);
        Mono<Boolean> end = one.message().attempt() > 1
                ? acknowledged(one)
                : switch (fate) {
                    case 0 -> again(one, Cause.FAILED, one.nack());
                    case 1 -> again(one, Cause.FAILED, one.nack(Duration.ofMillis(5)));
                    case 2 -> random.nextBoolean() ? again(one, Cause.RELEASED, one.release()) : acknowledged(one);
                    case 3 -> Mono.empty(); // until its lease ends
                    case 4 -> extended(one);
                    default -> acknowledged(one);
                };
        return Mono.delay(Duration.ofMillis(fate % 4)).then(end);
    }

    private Mono<Boolean> acknowledged(Delivery one) {
        return Mono.defer(() -> of(one.message()).acknowledging(one.receipt(), one.ack()));
    }

    private Mono<Boolean> again(Delivery one, Cause cause, Mono<Boolean> end) {
        return Mono.defer(() -> {
            of(one.message()).explain(one.message().id(), cause);
            return end;
        });
    }

    private Mono<Boolean> extended(Delivery one) {
        return Mono.defer(() -> {
            Receipt before = one.receipt();
            return one.extend().flatMap(held -> {
                if (held) {
                    of(one.message()).extended(before, one.receipt());
                }
                return acknowledged(one);
            });
        });
    }
}
