package io.millrace.stream;

import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.redis.RedisSettings;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import reactor.core.publisher.Mono;

/**
 * A consumer in a process of its own, to be killed or paused. Says what it does, a line each: {@code begin <fence> <first> <last>} before
 * a batch is handled, {@code end <fence> <last>} after it.
 */
final class IndexerProcess {

    private IndexerProcess() {}

    public static void main(String[] args) throws InterruptedException {
        Millrace mill = Millrace.connect(MillraceSettings.of(
                RedisSettings.builder(args[0]).namespace(args[1]).build()));
        mill.streams()
                .consumer("s", "c")
                .with(ConsumerOptions.builder()
                        .batchSize(10)
                        .lease(Duration.ofMillis(Long.parseLong(args[2])))
                        .build())
                .consume(batch -> Mono.fromRunnable(() -> say("begin " + batch.fence() + " "
                                + batch.entries().get(0).id() + " " + batch.lastId()))
                        .then(Mono.delay(Duration.ofMillis(5)))
                        .doOnNext(done -> say("end " + batch.fence() + " " + batch.lastId())))
                .subscribe();
        say("ready");
        new CountDownLatch(1).await();
    }

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }
}
