package io.millrace.queue;

import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.redis.RedisSettings;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * A consumer in a process of its own, to be killed or paused. Says what it does, a line each, before it goes on: {@code got <id> <facet>
 * <attempt> <receipt>}, {@code done <id>} when that is handled, and {@code ack <receipt> <accepted>}; who consumes sees no receipt ("-")
 * and no acknowledgement. In front of each line is the time, by a clock that all processes of a machine share. It kills itself at a random moment if told to: before handling, in the middle of a batch, after handling and
 * before the acknowledgement, while that is under way, or after it.
 */
final class KilledConsumer {

    /** The ways to take messages. */
    enum Mode {
        RECEIVE,
        CONSUME,
        RECEIVE_BATCHES,
        CONSUME_BATCHES
    }

    private static final boolean DIES = Boolean.getBoolean("dies");
    private static final Duration HANDLING = Duration.ofMillis(Long.getLong("handling", 1));
    private static final String UNSEEN = "-";

    private KilledConsumer() {}

    public static void main(String[] args) throws InterruptedException {
        int atOnce = Integer.parseInt(args[3]);
        FacetQueue queue = Millrace.connect(MillraceSettings.of(
                        RedisSettings.builder(args[0]).namespace(args[1]).build()))
                .queue("q");
        LeaseOptions lease = LeaseOptions.builder()
                .lease(Duration.ofMillis(Integer.parseInt(args[2])))
                .maxAttempts(0)
                .batchSize(atOnce)
                .build();
        ConsumeOptions consume =
                ConsumeOptions.builder().lease(lease).concurrency(atOnce).build();
        Publisher<?> work = switch (Mode.valueOf(args[4])) {
            case RECEIVE ->
                queue.receive(lease)
                        .flatMap(
                                one -> handled(List.of(one.message()), one.receipt())
                                        .then(Mono.defer(() -> acknowledged(one.ack(), one.receipt()))),
                                atOnce);
            case RECEIVE_BATCHES ->
                queue.receiveBatches(lease)
                        .concatMap(
                                batch -> handled(batch.messages(), batch.receipt())
                                        .then(Mono.defer(() -> acknowledged(batch.ack(), batch.receipt()))),
                                1);
            case CONSUME -> queue.consume(message -> handled(List.of(message), UNSEEN), consume);
            case CONSUME_BATCHES ->
                queue.consumeBatches(
                        batch -> handled(batch, UNSEEN),
                        consume.mutate().concurrency(1).build());
        };
        Flux.from(work).subscribe();
        say("ready");
        new CountDownLatch(1).await();
    }

    private static Mono<Void> handled(List<Message> messages, Object receipt) {
        return Mono.defer(() -> {
            for (Message message : messages) {
                say("got " + message.id() + " " + message.facet() + " " + message.attempt() + " " + receipt);
                die();
            }
            return Mono.delay(HANDLING)
                    .then(Mono.fromRunnable(() -> messages.forEach(message -> {
                        die();
                        say("done " + message.id());
                        if (receipt.equals(UNSEEN)) { // soon acknowledged, in whatever way
                            Mono.delay(Duration.ofMillis(
                                            ThreadLocalRandom.current().nextInt(8)))
                                    .subscribe(soon -> die());
                        }
                    })));
        });
    }

    private static Mono<Boolean> acknowledged(Mono<Boolean> acknowledgement, Receipt receipt) {
        Mono<Boolean> ack = acknowledgement.cache();
        ack.subscribe();
        die();
        return ack.doOnNext(accepted -> {
            say("ack " + receipt + " " + accepted);
            die();
        });
    }

    private static void die() {
        if (DIES && ThreadLocalRandom.current().nextInt(100) == 0) {
            ProcessHandle self = ProcessHandle.current();
            try {
                new ProcessBuilder("/bin/sh", "-c", "kill -9 " + self.pid())
                        .start()
                        .waitFor();
            } catch (java.io.IOException | InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }
    }

    private static synchronized void say(String line) {
        System.out.println(System.nanoTime() + " " + line);
        System.out.flush();
    }
}
