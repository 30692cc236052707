package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.redis.ServerClock;
import io.millrace.testing.Namespace;
import io.millrace.testing.OwnRedis;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.reflect.Field;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;

/** S10: what time it is decides the server alone. */
@RedisTest
@Tag("S10")
class ServerTimeIT {

    /** As long as a time; not within a hexadecimal word, which has such runs by chance. */
    private static final Pattern DIGITS = Pattern.compile("(?<![0-9a-f])\\d{10,}(?![0-9a-f])");

    @Test
    @DisplayName(
            "S10 two clients whose clocks are an hour apart: no message is with both, none comes back before its lease ends")
    void clocksApart(RedisServer server, @Namespace String namespace) throws ReflectiveOperationException {
        try (QueueRig early = QueueRig.on(server, namespace);
                QueueRig late = QueueRig.on(server, namespace)) {
            LeaseOptions second = LONG.mutate().lease(Duration.ofSeconds(1)).build();
            Checker checker = new Checker().unordered();
            early.fill("a", 20);
            shift(early, -3_600_000);
            shift(late, 3_600_000);
            List<Delivery> held = early.lease(10, second);
            held.forEach(one -> checker.handedOut(one.message(), one.receipt()));
            late.queue
                    .receive(second)
                    .take(20)
                    .doOnNext(one -> checker.handedOut(one.message(), one.receipt()))
                    .concatMap(one -> one.ack().doOnNext(done -> checker.ackAnswered(one.receipt(), done)))
                    .blockLast(SOON);
            held.forEach(one -> checker.ackAnswered(one.receipt(), one.ack().block(SOON)));
            for (int i = 0; i < 20; i++) {
                checker.attempted(QueueRig.event("a", "a-" + i));
                checker.acknowledged("a-" + i);
            }
            assertThat(checker.check().duplicates()).isEqualTo(10);
        }
    }

    @Test
    @Tag("F18")
    @DisplayName(
            "F18 the server's clock goes back by an hour: leases end late, not early, and can be ended; all else goes by the new time")
    void clockGoesBack(RedisServer server, @Namespace String namespace) {
        try (QueueRig rig = QueueRig.on(server, namespace)) {
            LeaseOptions brief = LONG.mutate().lease(Duration.ofMillis(200)).build();
            rig.deliver("a", "0", "1", "2", "3", "4");
            assertThat(rig.lease(1, brief).get(0).ack().block(SOON)).isTrue();
            long hourAhead = rig.number("TIME") * 1_000 + 3_600_000;
            // As after a failover to a server whose clock is behind: what was given out already is from its future.
            rig.raw("XADD", rig.key("l:" + brief.profile()), hourAhead + "-0", "x", "y");
            rig.raw("XDEL", rig.key("l:" + brief.profile()), hourAhead + "-0");
            List<Delivery> held = rig.lease(4, brief);
            assertThat(held).hasSize(4).allMatch(one -> one.receipt().entry().startsWith(hourAhead + "-"));
            assertThat(held.get(0).ack().block(SOON)).isTrue();
            assertThat(held.get(1).nack(Duration.ofMillis(50)).block(SOON)).isTrue();
            assertThat(held.get(2).release().block(SOON)).isTrue();
            Delivery released = rig.next(LONG);
            assertThat(released.message().id()).isEqualTo("3");
            Delivery again = rig.next(LONG); // by the new time
            assertThat(again.message().id()).isEqualTo("2");
            assertThat(again.message().attempt()).isEqualTo(2);
            Mono.delay(Duration.ofMillis(300)).block();
            assertThat(rig.lease(9, LONG))
                    .as("still leased, for longer than it was to be")
                    .isEmpty();
            assertThat(held.get(3).extend().block(SOON)).isTrue();
            assertThat(held.get(3).release().block(SOON)).isTrue();
            assertThat(rig.next(LONG).message().id()).isEqualTo("4");
            rig.deliver("b", "5");
            assertThat(rig.pullIds(9)).containsExactly("5");
            assertThat(rig.doctor().findings()).isEmpty();
        }
    }

    @Test
    @DisplayName("S10 nothing a client sends is a time, but for the time of delivery that is shown to people")
    void noTimeIsSent() throws IOException {
        List<String> commands = new ArrayList<>();
        try (OwnRedis redis = OwnRedis.start();
                QueueRig rig = QueueRig.on(redis.uri(), "t");
                Socket monitor = new Socket("127.0.0.1", redis.port())) {
            rig.deliver("a", "warm"); // the scripts are known: only their arguments are sent
            rig.lease(1, LONG).get(0).extend().block(SOON);
            rig.queue.destroy().block(SOON);
            rig.mill.queues().register("q", ".*").block(SOON);
            monitor.getOutputStream().write("MONITOR\r\n".getBytes(StandardCharsets.US_ASCII));
            BufferedReader lines =
                    new BufferedReader(new InputStreamReader(monitor.getInputStream(), StandardCharsets.ISO_8859_1));
            assertThat(lines.readLine()).isEqualTo("+OK");
            List<String> receipts = new ArrayList<>();
            rig.deliver("a", "1", "2", "3", "4");
            for (Delivery one : rig.lease(4, LONG)) {
                receipts.add(one.receipt().entry());
                one.extend().block(SOON);
                receipts.add(one.receipt().entry());
                switch (one.message().id()) {
                    case "1" -> one.ack().block(SOON);
                    case "2" -> one.nack(Duration.ofMinutes(1)).block(SOON);
                    case "3" -> one.release().block(SOON);
                    default -> one.bury("test").block(SOON);
                }
            }
            rig.pullIds(1);
            rig.raw("ECHO", "end");
            for (String line = lines.readLine(); !line.contains("\"ECHO\" \"end\""); line = lines.readLine()) {
                if (line.contains("[0 127.0.0.1:") && !line.contains("[0 lua]")) {
                    commands.add(line.substring(line.indexOf(']') + 1)
                            .replaceAll("\\\\\"_at\\\\\":\\d{13}", "")
                            .replaceAll("\"EVALSHA\" \"[0-9a-f]{40}\"", ""));
                }
            }
            assertThat(commands).hasSizeGreaterThan(8);
            for (String command : commands) {
                String rest = command;
                for (String receipt : receipts) {
                    rest = rest.replace(receipt, "");
                }
                Matcher number = DIGITS.matcher(rest);
                assertThat(number.find()).as(command).isFalse();
            }
        }
    }

    /** As a client whose clock is wrong; holds until the next time the server is asked, 5 s. */
    private static void shift(QueueRig rig, long ms) throws ReflectiveOperationException {
        Field offset = ServerClock.class.getDeclaredField("offsetMs");
        offset.setAccessible(true);
        offset.setLong(rig.mill.redis().clock(), ms);
    }
}
