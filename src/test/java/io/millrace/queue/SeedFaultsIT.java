package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SHORT;
import static io.millrace.queue.QueueRig.SOON;
import static io.millrace.queue.QueueRig.event;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.millrace.Event;
import io.millrace.MillraceException;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.core.publisher.Mono;

/** What broke in the queue library this one follows, S1 to S13; weights and limits (S4, S6) are not there yet. */
@RedisTest
class SeedFaultsIT {

    private RedisServer server;

    @Namespace
    private String namespace;

    private QueueRig rig;

    @BeforeEach
    void open() {
        rig = QueueRig.on(server, namespace);
    }

    @AfterEach
    void close() {
        rig.close();
    }

    @Test
    @Tag("S1")
    @DisplayName("S1 two equal payloads are two messages: acknowledging one leaves the other")
    void equalPayloads() {
        Event same = Event.of("a", "page", "google").withData("m");
        rig.mill.deliver(same.withId("1")).block(SOON);
        rig.mill.deliver(same.withId("2")).block(SOON);
        List<Delivery> both = rig.lease(2, SHORT);
        assertThat(both).extracting(one -> one.message().id()).containsExactly("1", "2");
        assertThat(both.get(0).ack().block(SOON)).isTrue();
        Delivery again = rig.next(SHORT);
        assertThat(again.message().id()).isEqualTo("2");
        assertThat(again.message().attempt()).isEqualTo(2);
        assertThat(again.ack().block(SOON)).isTrue();
        assertThat(rig.facets()).isEmpty();
    }

    @Test
    @Tag("S2")
    @DisplayName("S2 extending after the acknowledgement is refused and revives nothing")
    void extendAfterAck() {
        rig.deliver("a", "1");
        Delivery done = rig.lease(1, SHORT).get(0);
        assertThat(done.ack().block(SOON)).isTrue();
        assertThat(done.extend().block(SOON)).isFalse();
        assertThat(done.extend(Duration.ofSeconds(1)).block(SOON)).isFalse();
        assertThat(rig.facets()).isEmpty();
        rig.deliver("z", "later"); // when a lease of 100 ms would have ended, only this is there
        Eventually.await("100 ms", SOON, () -> rig.mill.redis().clock().millis() > leasedAt(done) + 200);
        assertThat(rig.pullIds(10)).containsExactly("later");
    }

    @Test
    @Tag("S2")
    @DisplayName("S2 an extension that is repeated answers the same, as long as that lease is held and no longer")
    void extendRepeated() {
        rig.deliver("a", "1");
        Delivery one = rig.lease(1, LONG).get(0);
        String first = extend(one.receipt());
        assertThat(first).isNotEmpty();
        assertThat(extend(one.receipt())).isEqualTo(first);
        Receipt second = new Receipt(one.receipt().profile(), first);
        assertThat(rig.queue.acknowledge(one.receipt()).block(SOON)).isFalse();
        assertThat(rig.queue.acknowledge(second).block(SOON)).isTrue();
        assertThat(extend(one.receipt())).isEmpty();
        assertThat(extend(second)).isEmpty();
        assertThat(rig.facets()).isEmpty();
    }

    @Test
    @Tag("S2")
    @DisplayName(
            "S2 what an extension answered is known for as long as that lease lasts, whatever is extended meanwhile")
    void extendRemembered() {
        rig.deliver("a", "1", "2");
        List<Delivery> both = rig.lease(2, LONG);
        List<Receipt> old = both.stream().map(Delivery::receipt).toList();
        assertThat(both.get(0).extend().block(SOON)).isTrue();
        assertThat(both.get(1).extend(SHORT.lease()).block(SOON)).isTrue();
        for (String part : List.of("extended", "extended.at")) {
            assertThat(rig.number("PTTL", rig.key(part))).as(part).isGreaterThan(SOON.toMillis());
        }
        long extended = rig.mill.redis().clock().millis();
        Eventually.await(
                "the end of the shorter one",
                SOON,
                () -> rig.mill.redis().clock().millis() > extended + 200);

        assertThat(extend(old.get(1))).isEmpty();
        assertThat(rig.number("HLEN", rig.key("extended"))).isOne();
        assertThat(rig.number("ZCARD", rig.key("extended.at"))).isOne();
        assertThat(extend(old.get(0))).isEqualTo(both.get(0).receipt().entry());
    }

    /** The new entry, empty if the lease was not held; as the library does when it repeats a call whose answer was lost. */
    private String extend(Receipt receipt) {
        List<byte[]> args = List.of(
                Leases.bytes(receipt.profile()), Leases.bytes(receipt.entry()), Leases.bytes(receipt.profile()));
        return rig.mill
                .redis()
                .run(QueueScripts.EXTEND, List.of(Leases.bytes(rig.key(""))), args)
                .block(SOON)
                .text(1);
    }

    @Test
    @Tag("S3")
    @DisplayName("S3 a turn without messages makes no empty pull, neither one by one nor in a batch")
    void emptyTurn() {
        for (int i = 0; i < 5; i++) {
            rig.raw("RPUSH", rig.key("ring"), "empty" + i);
        }
        rig.deliver("b", "1");
        assertThat(rig.pullIds(1)).containsExactly("1");
        for (int i = 0; i < 5; i++) {
            rig.raw("RPUSH", rig.key("ring"), "empty" + i);
        }
        rig.deliver("b", "2");
        assertThat(rig.lease(10, LONG)).extracting(one -> one.message().id()).containsExactly("2");
        assertThat(rig.doctor().findings()).isEmpty();
    }

    @ParameterizedTest
    @Tag("S5")
    @DisplayName("S5 a facet may be named like anything that is kept beside it")
    @ValueSource(
            strings = {
                "length",
                "limit",
                "inflight",
                "x:inflight",
                "ring",
                "back",
                "later",
                "leases",
                "dead",
                "ids",
                "ids.old",
                "ids.since",
                "wake",
                "l:30000.20",
                "f:ring",
                "",
                " ",
                "{x}",
                "*",
                "0",
                "1:a/",
                "/",
                "a/0",
                "%00",
                "q/0"
            })
    void facetNames(String facet) {
        rig.deliver(facet, "1", "2", "3");
        rig.deliver("other", "4");
        assertThat(rig.facets()).extracting(FacetState::facet).containsExactly(facet, "other");
        List<Delivery> leased = rig.lease(2, LONG);
        assertThat(leased).extracting(one -> one.message().facet()).containsExactly(facet, "other");
        assertThat(rig.inFlight()).isEqualTo(2);
        assertThat(leased.get(0).nack().block(SOON)).isTrue();
        assertThat(leased.get(1).nack(Duration.ofMillis(50)).block(SOON)).isTrue();
        assertThat(rig.pullIds(2)).containsExactly("1", "2");
        Eventually.await(SOON, () -> rig.pullIds(10).contains("4"));
        assertThat(rig.doctor().findings()).isEmpty();
    }

    @ParameterizedTest(name = "{0} on {1}")
    @Tag("S7")
    @DisplayName("S7 patterns are regular expressions over the whole topic")
    @CsvSource(
            delimiter = ';',
            value = {
                "e:a(b|c):n; e:ab:n",
                "e:a(b|c):n; e:ac:n",
                "e:a(b|c):n; e:ad:n",
                ".*:invite-x:.*; e:invite-x:1",
                ".*:event:.*; e:prevented:1",
                "event; prevented",
                "e:t:n; xe:t:n",
                "e:t:n; e:t:nx",
                "^e:t:n$; e:t:n",
                "e:t:.*google.*; e:t:http://www.google.com/?q=%25",
                "(?i)E:T:N; e:t:n",
                "e:t:[0-9]+; e:t:42",
                "e:t:[0-9]+; e:t:4a2",
                "[^:]+:t:.*; e:f:t:n",
                "%a+:t:n; e:t:n",
                "e:t:a.c; e:t:a%c"
            })
    void patterns(String pattern, String topic) {
        String[] words = (topic + "::").split(":", 3);
        Event event =
                Event.of(words[0], words[1], words[2].replaceAll("::?$", "").replaceAll(":$", ""));
        boolean matches = Pattern.matches(pattern, event.topic());
        rig.mill.queues().register("p", pattern).block(SOON);
        Delivered delivered = rig.mill.deliver(event).block(SOON);
        assertThat(delivered.queues().contains("p"))
                .as("%s on %s", pattern, event.topic())
                .isEqualTo(matches);
    }

    @Test
    @Tag("S7")
    @DisplayName("S7 a name may hold line breaks: a dot matches them too")
    void patternOverLines() {
        rig.mill.queues().register("p", "e:.*:end").block(SOON);
        assertThat(rig.mill
                        .deliver(Event.of("e", "a\nb\r\u2028c", "end"))
                        .block(SOON)
                        .queues())
                .contains("p");
    }

    @ParameterizedTest
    @Tag("S8")
    @DisplayName("S8 a malformed pattern is refused when it is registered, and the others keep working")
    @ValueSource(strings = {"[a", "(", "a{2,1}", "(?<=x)y", "\\1", "*"})
    void malformedPattern(String pattern) {
        assertThatExceptionOfType(MillraceException.class)
                .isThrownBy(() -> rig.mill.queues().register("bad", pattern).block(SOON))
                .withMessageContaining("bad");
        assertThat(rig.mill
                        .queues()
                        .registrations()
                        .map(Registration::queue)
                        .collectList()
                        .block(SOON))
                .containsExactly("q");
        assertThat(rig.mill.deliver(event("a", "1")).block(SOON).queues()).containsExactly("q");
    }

    @Test
    @Tag("S8")
    @DisplayName("S8 a malformed pattern that somebody else wrote into Redis is left out, and the others keep working")
    void malformedPatternInRedis() {
        rig.raw("HSET", namespace + ":{registry}:queues", "bad", "[a");
        rig.raw("SET", namespace + ":{registry}:version", "other");
        assertThat(rig.mill.deliver(event("a", "1")).block(SOON).queues()).containsExactly("q");
    }

    @Test
    @Tag("S9")
    @DisplayName("S9 a destroyed queue stays destroyed: the next delivery, by anybody, revives no key of it")
    void destroyed() {
        try (QueueRig other = QueueRig.on(server, namespace)) {
            other.deliver("a", "1", "2", "3");
            rig.deliver("b", "4", "5");
            rig.lease(2, LONG).get(0).nack(Duration.ofHours(1)).block(SOON);
            rig.lease(1, SHORT).get(0).bury("test").block(SOON);
            assertThat(rig.queue.destroy().block(SOON)).isEqualTo(5);
            assertThat(rig.keys()).noneMatch(key -> key.startsWith(rig.key("")));
            other.deliver("a", "6");
            rig.deliver("b", "7");
            assertThat(other.mill.deliver(event("a", "8")).block(SOON).queues()).isEmpty();
            assertThat(rig.keys()).containsExactly(namespace + ":{registry}:version");
        }
    }

    @Test
    @Tag("S9")
    @DisplayName("S9 a queue registered again begins empty, and what it remembers expires")
    void registeredAgain() {
        rig.deliver("a", "1");
        rig.queue.destroy().block(SOON);
        rig.mill.queues().register("q", ".*").block(SOON);
        rig.deliver("a", "1");
        assertThat(rig.pullIds(10)).containsExactly("1");
        assertThat(rig.number("PTTL", rig.key("ids"))).isPositive();
        assertThat(rig.doctor().findings()).isEmpty();
    }

    @Test
    @Tag("S11")
    @DisplayName("S11 what came back takes its facet's turn: one fresh message is served within two, not behind 10,000")
    void expiredTakeTurns() {
        rig.fill("a", 10_000);
        rig.queue.receive(SHORT).take(10_000).blockLast(Duration.ofSeconds(30));
        Eventually.await("some to come back", SOON, () -> !rig.lease(1, SHORT).isEmpty());
        rig.deliver("b", "fresh");
        List<String> facets = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            facets.add(rig.queue.pull().map(Message::facet).block(SOON));
        }
        assertThat(facets).containsExactly("a", "b");
    }

    @Test
    @Tag("S11")
    @DisplayName("S11 attempts are limited: what is never acknowledged becomes a dead letter")
    void attemptsAreLimited() {
        LeaseOptions twice = SHORT.mutate().maxAttempts(2).build();
        rig.deliver("a", "1");
        assertThat(rig.next(twice).message().attempt()).isEqualTo(1);
        assertThat(rig.next(twice).message().attempt()).isEqualTo(2);
        Eventually.await(
                "the dead letter",
                SOON,
                () -> rig.lease(1, twice).isEmpty() && !rig.deadLetters().isEmpty());
        DeadLetter dead = rig.deadLetters().get(0);
        assertThat(dead.message().id()).isEqualTo("1");
        assertThat(dead.message().attempt()).isEqualTo(2);
        assertThat(dead.reason()).isEqualTo("lease expired");
        assertThat(rig.facets()).isEmpty();
    }

    @Test
    @Tag("S13")
    @DisplayName("S13 the ring is in the order of arrival, not of the alphabet")
    void arrivalOrder() {
        Mono.when(rig.mill.deliver(event("b", "1"))).block(SOON);
        rig.deliver("a", "2");
        rig.deliver("c", "3");
        rig.deliver("b", "4");
        assertThat(rig.queue.peek(10).map(Message::id).collectList().block(SOON))
                .containsExactly("1", "2", "3", "4");
        assertThat(rig.pullIds(10)).containsExactly("1", "2", "3", "4");
        rig.mill
                .queues()
                .deliverAll(List.of(event("z", "5"), event("y", "6"), event("z", "7")))
                .block(SOON);
        assertThat(rig.pullIds(10)).containsExactly("5", "6", "7");
    }

    private static long leasedAt(Delivery delivery) {
        String entry = delivery.receipt().entry();
        return Long.parseLong(entry.substring(0, entry.indexOf('-')));
    }
}
