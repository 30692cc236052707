package io.millrace.queue;

import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.redis.RedisSettings;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import reactor.core.publisher.Mono;

/**
 * A consumer in a process of its own, to be killed or paused. Says what it does, a line each, before it goes on: {@code got <id> <facet>
 * <attempt> <receipt>} and {@code ack <receipt> <accepted>}. It kills itself at a random moment if told to: before handling, after
 * handling and before the acknowledgement, while that is under way, or after it.
 */
final class KilledConsumer {

    private KilledConsumer() {}

    public static void main(String[] args) throws InterruptedException {
        String uri = args[0];
        String namespace = args[1];
        int lease = Integer.parseInt(args[2]);
        int atOnce = Integer.parseInt(args[3]);
        boolean dies = Boolean.getBoolean("dies");
        long handling = Long.getLong("handling", 1);
        Millrace mill = Millrace.connect(MillraceSettings.of(
                RedisSettings.builder(uri).namespace(namespace).build()));
        LeaseOptions options = LeaseOptions.builder()
                .lease(Duration.ofMillis(lease))
                .maxAttempts(0)
                .build();
        mill.queue("q")
                .receive(options)
                .flatMap(
                        one -> {
                            Message message = one.message();
                            say("got " + message.id() + " " + message.facet() + " " + message.attempt() + " "
                                    + one.receipt());
                            die(dies);
                            return Mono.delay(Duration.ofMillis(handling))
                                    .doOnNext(done -> die(dies))
                                    .then(Mono.defer(() -> {
                                        Mono<Boolean> ack = one.ack().cache();
                                        ack.subscribe();
                                        die(dies);
                                        return ack;
                                    }))
                                    .doOnNext(accepted -> {
                                        say("ack " + one.receipt() + " " + accepted);
                                        die(dies);
                                    });
                        },
                        atOnce)
                .subscribe();
        say("ready");
        new CountDownLatch(1).await();
    }

    private static void die(boolean dies) {
        if (dies && ThreadLocalRandom.current().nextInt(100) == 0) {
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
        System.out.println(line);
        System.out.flush();
    }
}
