package io.millrace.drain.http;

import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.drain.Drain;
import io.millrace.drain.DrainEvent;
import io.millrace.drain.DrainSettings;
import io.millrace.drain.SweepOptions;
import io.millrace.redis.RedisSettings;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.netty.DisposableServer;

/**
 * A server in a process of its own, to be killed. It says on which port it listens; its listener notes in Redis what it has processed,
 * and fails now and then.
 */
final class KilledServer {

    private KilledServer() {}

    public static void main(String[] args) throws InterruptedException {
        Millrace mill = Millrace.connect(MillraceSettings.of(
                RedisSettings.builder(args[0]).namespace(args[1]).build()));
        if (Boolean.getBoolean("sweeps")) { // takes what is dirty, and never has done with it
            mill.dirtyMap()
                    .sweep(
                            url -> Mono.<Boolean>never().doOnSubscribe(begun -> say("swept " + url)),
                            SweepOptions.defaults().withLease(Duration.ofSeconds(1)))
                    .subscribe();
        }
        String processed = args[1] + ":processed";
        Drain drain = mill.drain()
                .mapping()
                .tokens("demo")
                .settings(DrainSettings.builder()
                        .lease(Duration.ofSeconds(2))
                        .maxRetryDelay(Duration.ofMillis(100))
                        .maxBufferedBytes(Long.getLong("buffered", DrainSettings.DEFAULT_MAX_BUFFERED_BYTES))
                        .bodyTimeout(Duration.ofMillis(Long.getLong("body", 10_000)))
                        .build())
                .listen(batch -> Flux.fromIterable(batch.events())
                        .map(DrainEvent::url)
                        .concatMap(url -> mill.redis().call("SADD", processed, url))
                        .doOnNext(done -> {
                            if (batch.attempt() == 1 && batch.id().hashCode() % 20 == 0) {
                                throw new IllegalStateException("now and then");
                            }
                        }))
                .build();
        drain.start();
        DisposableServer server = DrainServer.create(drain, "/events").bindNow();
        say("port " + server.port());
        new CountDownLatch(1).await();
    }

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }
}
