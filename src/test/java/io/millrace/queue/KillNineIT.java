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
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
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
    private static final KilledConsumer.Mode[] MODES = KilledConsumer.Mode.values();
    private static final int LEASE_MS = 2_000;
    private static final Duration START = Duration.ofSeconds(30);

    private final Checker checker = new Checker().unordered();
    private final List<String> said = new ArrayList<>();

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
            int started = 0;
            List<JvmChild> children = new ArrayList<>();
            while (crashes < kills) { // three at a time: most of the time goes into starting them
                while (children.size() < 3) {
                    children.add(child(server, namespace, LEASE_MS, true, 1, MODES[started++ % MODES.length]));
                }
                JvmChild dead = awaitAnyDead(children);
                children.remove(dead);
                hear(dead);
                crashes++;
            }
            enough.set(true);
            children.forEach(JvmChild::kill9);
            children.forEach(this::hear);
            recordAll();
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
                            .filter(some -> !some && checker.allFinished())
                            .mergeWith(Mono.delay(Duration.ofSeconds(20)).thenReturn(true))) // for the verdict
                    .blockLast(Duration.ofSeconds(30));
            Checker.Summary summary = checker.check();
            assertThat(summary.duplicates()).isBetween(1, crashes * 2 * AT_ONCE);
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
                JvmChild child = child(server, namespace, 500, false, 300, KilledConsumer.Mode.RECEIVE)) {
            child.awaitLine(line -> line.endsWith(" ready"), START);
            rig.deliver("a", "1");
            child.awaitLine(line -> line.contains(" got 1 a 1"), SOON);
            child.pause(); // while it handles
            Delivery again = rig.next(LONG);
            assertThat(again.message().attempt()).isEqualTo(2);
            child.resume();
            assertThat(child.awaitLine(line -> line.contains(" ack "), SOON)).endsWith("false");
            assertThat(rig.inFlight()).isEqualTo(1);
            assertThat(again.ack().block(SOON)).isTrue();
            assertThat(rig.facets()).isEmpty();
        }
    }

    static JvmChild child(
            RedisServer server, String namespace, int leaseMs, boolean dies, int handlingMs, KilledConsumer.Mode mode) {
        return JvmChild.of(KilledConsumer.class)
                .option("-XX:TieredStopAtLevel=1")
                .option("-Xshare:auto")
                .option("-XX:+UseSerialGC")
                .option("-XX:-UsePerfData")
                .option("-XX:+UnlockDiagnosticVMOptions")
                .option("-XX:-BytecodeVerificationRemote") // starts sooner
                .option("-Xmx128m")
                .property("dies", String.valueOf(dies))
                .property("handling", String.valueOf(handlingMs))
                .args(server.uri(), namespace, String.valueOf(leaseMs), String.valueOf(AT_ONCE), mode.name())
                .start();
    }

    private static JvmChild awaitAnyDead(List<JvmChild> children) {
        Eventually.await(
                "a crash", Duration.ofSeconds(60), () -> children.stream().anyMatch(child -> !child.isAlive()));
        return children.stream().filter(child -> !child.isAlive()).findFirst().orElseThrow();
    }

    /** What a dead one said it did. */
    private void hear(JvmChild child) {
        assertThat(child.exitCode(SOON)).as("%s", child.lines()).isEqualTo(128 + 9);
        // With handlers, which do not see what becomes of the acknowledgement.
        Map<String, Integer> unseen = new LinkedHashMap<>();
        List<Map.Entry<String, Integer>> done = new ArrayList<>();
        for (String line : child.lines()) {
            said.add(line);
            String[] words = line.split(" ");
            if (words.length == 6 && words[5].equals("-")) {
                unseen.put(words[2], Integer.parseInt(words[4]));
            } else if (words.length == 3 && words[1].equals("done") && unseen.containsKey(words[2])) {
                done.add(Map.entry(words[2], unseen.remove(words[2])));
            }
        }
        // What was being handled, and what was done and may not have been acknowledged yet.
        done.subList(Math.max(0, done.size() - 2 * AT_ONCE), done.size())
                .forEach(one -> unseen.putIfAbsent(one.getKey(), one.getValue()));
        unseen.forEach(checker::killed);
    }

    /** In the order of time. A crash is no reason for two leases at once, the checker sees to that. */
    private void recordAll() {
        said.removeIf(
                line -> !line.matches("\\d+ (got( \\S+){4}|done \\S+|ack \\S+ (true|false))")); // the last may be torn
        said.sort(Comparator.comparingLong(line -> Long.parseLong(line.substring(0, line.indexOf(' ')))));
        long sinceBoot = System.currentTimeMillis() - System.nanoTime() / 1_000_000;
        for (String line : said) {
            String[] words = line.split(" ");
            switch (words[1]) {
                case "got" -> {
                    int attempt = Integer.parseInt(words[4]);
                    if (words[5].equals("-")) {
                        long at = sinceBoot + Long.parseLong(words[0]) / 1_000_000;
                        checker.begun(words[2], words[3], attempt, at, LEASE_MS);
                    } else {
                        checker.handedOut(words[2], words[3], attempt, Receipt.parse(words[5]));
                    }
                }
                case "done" -> checker.finished(words[2]);
                default -> checker.ackAnswered(Receipt.parse(words[2]), Boolean.parseBoolean(words[3]));
            }
        }
    }
}
