package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.testing.Eventually;
import io.millrace.testing.JvmChild;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Consumers in processes of their own: killed in the middle of their work, or paused past their lease. */
@RedisTest
class KillNineIT {

    private static final int KILLS = Integer.getInteger("kills", 50);
    private static final int AT_ONCE = 8;
    private static final int LEASE_MS = 1_000;
    private static final Duration START = Duration.ofSeconds(30);

    private final Checker checker = new Checker().unordered();

    @Test
    @Tag("F1")
    @Tag("P1")
    @Tag("P7")
    @Timeout(180)
    @DisplayName(
            "F1 P1 P7 consumers are killed with kill -9 50 times in the middle of their work: nothing is lost or stuck")
    void killed(RedisServer server, @Namespace String namespace) {
        killed(server, namespace, 1, KILLS);
    }

    @Test
    @Tag("F1")
    @Tag("P8")
    @Timeout(180)
    @DisplayName(
            "F1 P8 the same with four partitions that the consumers share: nothing of any of them is lost or stuck")
    void killedInPartitions(RedisServer server, @Namespace String namespace) {
        killed(server, namespace, 4, KILLS / 4);
    }

    private void killed(RedisServer server, String namespace, int partitions, int kills) {
        try (QueueRig rig = QueueRig.on(server, namespace, partitions)) {
            AtomicBoolean enough = new AtomicBoolean();
            AtomicInteger delivered = new AtomicInteger();
            Mono<Void> producer = Flux.interval(Duration.ofMillis(10))
                    .onBackpressureDrop()
                    .takeWhile(tick -> !enough.get())
                    .concatMap(tick -> Flux.range(0, 4).concatMap(i -> {
                        String id = "m" + delivered.getAndIncrement();
                        checker.attempted(event("f" + id.hashCode() % 9, id));
                        return rig.mill
                                .deliver(event("f" + id.hashCode() % 9, id))
                                .doOnNext(done -> checker.acknowledged(id));
                    }))
                    .then();
            Disposable producing = producer.subscribe();
            int crashes = 0;
            List<JvmChild> children = new ArrayList<>();
            while (crashes < kills) { // three at a time: most of the time goes into starting them
                while (children.size() < 3) {
                    children.add(child(server, namespace, LEASE_MS, true, 1));
                }
                JvmChild dead = awaitAnyDead(children);
                children.remove(dead);
                record(dead);
                crashes++;
            }
            enough.set(true);
            children.forEach(JvmChild::kill9);
            children.forEach(this::record);
            crashes += children.size();
            Eventually.await("the producer's end", SOON, producing::isDisposed);
            rig.queue
                    .receive(LONG)
                    .flatMap(one -> {
                        checker.handedOut(one.message(), one.receipt());
                        return one.ack().doOnNext(done -> checker.ackAnswered(one.receipt(), done));
                    })
                    .takeUntilOther(Mono.delay(Duration.ofMillis(200))
                            .repeat()
                            .flatMap(tick -> rig.queue.facets().hasElements(), 1)
                            .filter(some -> !some && checker.drained()))
                    .blockLast(Duration.ofSeconds(20));
            Checker.Summary summary = checker.check();
            assertThat(summary.duplicates()).isBetween(1, crashes * AT_ONCE);
            assertThat(rig.facets()).isEmpty();
            assertThat(rig.doctor().findings()).isEmpty();
        }
    }

    @Test
    @Tag("F2")
    @DisplayName(
            "F2 a consumer is paused past its lease: its late acknowledgement is refused, the other one's is accepted")
    void paused(RedisServer server, @Namespace String namespace) {
        try (QueueRig rig = QueueRig.on(server, namespace);
                JvmChild child = child(server, namespace, 500, false, 300)) {
            child.awaitLine(line -> line.equals("ready"), START);
            rig.deliver("a", "1");
            child.awaitLine(line -> line.startsWith("got 1 a 1"), SOON);
            child.pause(); // while it handles
            Delivery again = rig.next(LONG);
            assertThat(again.message().attempt()).isEqualTo(2);
            child.resume();
            assertThat(child.awaitLine(line -> line.startsWith("ack "), SOON)).endsWith("false");
            assertThat(rig.inFlight()).isEqualTo(1);
            assertThat(again.ack().block(SOON)).isTrue();
            assertThat(rig.facets()).isEmpty();
        }
    }

    private static JvmChild child(RedisServer server, String namespace, int leaseMs, boolean dies, int handlingMs) {
        return JvmChild.of(KilledConsumer.class)
                .option("-XX:TieredStopAtLevel=1")
                .option("-Xshare:auto")
                .option("-XX:+UseSerialGC")
                .option("-XX:-UsePerfData")
                .option("-Xmx128m")
                .property("dies", String.valueOf(dies))
                .property("handling", String.valueOf(handlingMs))
                .args(server.uri(), namespace, String.valueOf(leaseMs), String.valueOf(AT_ONCE))
                .start();
    }

    private static JvmChild awaitAnyDead(List<JvmChild> children) {
        Eventually.await(
                "a crash", Duration.ofSeconds(60), () -> children.stream().anyMatch(child -> !child.isAlive()));
        return children.stream().filter(child -> !child.isAlive()).findFirst().orElseThrow();
    }

    /** What a dead one said it did; a crash is no reason for two leases at once, the checker sees to that. */
    private void record(JvmChild child) {
        assertThat(child.exitCode(SOON)).as("%s", child.lines()).isEqualTo(128 + 9);
        for (String line : child.lines()) {
            String[] words = line.split(" ");
            if (words[0].equals("got") && words.length == 5) {
                checker.handedOut(words[1], words[2], Integer.parseInt(words[3]), Receipt.parse(words[4]));
            } else if (words[0].equals("ack") && words.length == 3) {
                checker.ackAnswered(Receipt.parse(words[1]), Boolean.parseBoolean(words[2]));
            }
        }
    }
}
