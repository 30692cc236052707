package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.redis.PubSub;
import io.millrace.testing.Eventually;
import io.millrace.testing.OwnRedis;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.Mono;

/** What it costs to be woken, and to wait for it. */
class WakeUpIT {

    private static final Pattern COMMANDS = Pattern.compile("total_commands_processed:(\\d+)");

    private OwnRedis redis;
    private QueueRig rig;

    @BeforeEach
    void start() {
        redis = OwnRedis.start();
        rig = QueueRig.on(redis.uri(), "w");
    }

    @AfterEach
    void stop() {
        rig.close();
        redis.close();
    }

    @Test
    @DisplayName("readers are nudged once when there is something again, and not while there is")
    void oneNudge() {
        Unit unit = Unit.of(rig.mill.redis().keys(), "q", 0);
        List<String> nudges = new CopyOnWriteArrayList<>();
        AtomicInteger listening = new AtomicInteger();
        try (PubSub.Attachment attached = rig.mill.redis().pubSub().attach(unit.wake(), false, signal -> {
            if (signal instanceof PubSub.Signal.Message message) {
                nudges.add(new String(message.body(), StandardCharsets.UTF_8));
            } else {
                listening.incrementAndGet();
            }
        })) {
            Eventually.await("listening", SOON, () -> listening.get() > 0);
            for (int i = 1; i <= 2; i++) {
                rig.deliver("a", "first" + i, "second" + i);
                rig.fill("b" + i, 50);
                rig.deliver("c", "third" + i);
                rig.raw("PUBLISH", unit.wake(), "end" + i); // whatever was published before has come before
                String end = "end" + i;
                Eventually.await(end, SOON, () -> nudges.contains(end));
                assertThat(rig.pullIds(100)).hasSize(53);
            }
            assertThat(nudges).containsExactly("!", "end1", "!", "end2");
        }
    }

    @Test
    @DisplayName("50 consumers that wait cost no more commands than one, and all of them are woken")
    void idle() {
        Disposable.Composite running = Disposables.composite();
        AtomicInteger handled = new AtomicInteger();
        ConsumeOptions rarely = ConsumeOptions.builder()
                .lease(LONG.mutate().pollInterval(Duration.ofMinutes(1)).build())
                .build();
        for (int i = 0; i < 50; i++) {
            running.add(rig.queue
                    .consume(message -> Mono.fromRunnable(handled::incrementAndGet), rarely)
                    .subscribe());
        }
        rig.fill("a", 200);
        Eventually.await(
                "all acknowledged",
                SOON,
                () -> handled.get() == 200 && rig.facets().isEmpty());
        Mono.delay(Duration.ofMillis(300)).block(); // the last ones look once more
        long before = commands();
        Mono.delay(Duration.ofSeconds(3)).block();
        assertThat(commands() - before).isLessThan(15); // is the connection alive, what time is it, how many commands
        running.dispose();
    }

    private long commands() {
        Matcher found = COMMANDS.matcher(rig.raw("INFO", "stats").text(0));
        assertThat(found.find()).isTrue();
        return Long.parseLong(found.group(1));
    }
}
