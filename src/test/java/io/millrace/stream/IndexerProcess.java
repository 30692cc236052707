package io.millrace.stream;

import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.redis.RedisSettings;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/**
 * A consumer in a process of its own, to be killed or paused. Says what it does, a line each: {@code begin <fence> <first> <last>
 * <shard> <nanos>} before a batch is handled, {@code end <fence> <last> <first> <shard> <nanos>} after it. Leaves when it is
 * terminated.
 */
final class IndexerProcess {

    private IndexerProcess() {}

    public static void main(String[] args) throws InterruptedException {
        Millrace mill = Millrace.connect(MillraceSettings.of(
                RedisSettings.builder(args[0]).namespace(args[1]).build()));
        Sinks.Empty<Void> stop = Sinks.empty();
        Mono<Void> consuming = mill.streams()
                .consumer("s", "c")
                .with(ConsumerOptions.builder()
                        .batchSize(10)
                        .until(stop.asMono())
                        .lease(Duration.ofMillis(Long.parseLong(args[2])))
                        .build())
                .consume(batch -> Mono.fromRunnable(() -> say("begin " + batch.fence() + " " + first(batch) + " "
                                + batch.lastId() + " " + batch.shard() + " " + System.nanoTime()))
                        .then(Mono.delay(Duration.ofMillis(5)))
                        .doOnNext(done -> say("end " + batch.fence() + " " + batch.lastId() + " " + first(batch) + " "
                                + batch.shard() + " " + System.nanoTime())))
                .doOnSuccess(done -> say("left"))
                .cache();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            stop.tryEmitEmpty();
            consuming.block();
        }));
        consuming.subscribe();
        say("ready");
        new CountDownLatch(1).await();
    }

    private static EntryId first(StreamBatch batch) {
        return batch.entries().get(0).id();
    }

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }
}
