package io.millrace.server;

import static io.millrace.server.ServerRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Event;
import io.millrace.json.Json;
import io.millrace.redis.RedisSettings;
import io.millrace.testing.OwnRedis;
import java.net.http.HttpResponse;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Flow;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class ListenGapIT {

    private final BlockingQueue<String> lines = new LinkedBlockingQueue<>();

    /** The data of the next event sent by the server, which is of this type. */
    private Map<?, ?> next(String type) throws InterruptedException {
        assertThat(line("event: ")).isEqualTo(type);
        return (Map<?, ?>) Json.read(line("data: "));
    }

    private String line(String start) throws InterruptedException {
        String line;
        do {
            line = lines.poll(SOON.toMillis(), TimeUnit.MILLISECONDS);
            assertThat(line).as("a line that begins with %s", start).isNotNull();
        } while (line.isEmpty() || line.startsWith(":"));
        assertThat(line).startsWith(start);
        return line.substring(start.length());
    }

    @Test
    @DisplayName("the connection that listens is lost: a gap in its place, word of listening again, and further events")
    void gap() throws Exception {
        try (OwnRedis redis = OwnRedis.start();
                ServerRig rig = ServerRig.on(
                        RedisSettings.builder(redis.uri()).namespace("gap").build())) {
            var listening = rig.http()
                    .client()
                    .sendAsync(
                            rig.http().request("/api/listen?pattern=*").build(),
                            HttpResponse.BodyHandlers.fromLineSubscriber(new Lines(lines)));
            next("listening");
            for (int i = 0; i < 3; i++) {
                rig.mill.redis().call("CLIENT", "KILL", "TYPE", "pubsub").block(SOON);
                assertThat(next("gap")).isEqualTo(Map.of("lost", 0));
                assertThat(next("listening")).isEqualTo(Map.of("pattern", "*"));
                rig.mill.deliver(Event.of("e", "t", "n" + i)).block(SOON);
                assertThat(next("event").get("name")).isEqualTo("n" + i);
            }
            rig.server().stop().block(SOON);
            assertThat(listening.get(10, TimeUnit.SECONDS).statusCode()).isEqualTo(200);
        }
    }

    /** Puts lines into a queue. */
    private record Lines(BlockingQueue<String> lines) implements Flow.Subscriber<String> {

        @Override
        public void onSubscribe(Flow.Subscription subscription) {
            subscription.request(Long.MAX_VALUE);
        }

        @Override
        public void onNext(String line) {
            lines.add(line);
        }

        @Override
        public void onError(Throwable failure) {
            lines.add("error: " + failure);
        }

        @Override
        public void onComplete() {
            lines.add("end");
        }
    }
}
