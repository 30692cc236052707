package io.millrace.queue;

import static io.millrace.queue.QueueRig.LONG;
import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.List;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reactor.core.publisher.Mono;

/** What a change of policies brings at once, also to readers that wait, and what it leaves as it is. */
@RedisTest
class PolicyChangesIT {

    private static final LeaseOptions PATIENT =
            LONG.mutate().pollInterval(Duration.ofSeconds(30)).build();

    private QueueRig rig;
    private Policies policies;

    @BeforeEach
    void open(RedisServer server, @Namespace String namespace) {
        rig = QueueRig.on(server, namespace);
        policies = rig.queue.policies();
    }

    @AfterEach
    void close() {
        assertThat(rig.doctor().findings()).isEmpty();
        rig.close();
    }

    /** Each needs a count of what is in flight. */
    enum Counted {
        CAP(policies -> policies.cap(Cap.of(2)), policies -> policies.cap(Cap.NONE)),
        CAP_OF_EACH(policies -> policies.capEach(Cap.of(2)), policies -> policies.capEach(Cap.NONE)),
        CAP_OF_ONE(policies -> policies.cap("a", Cap.of(2)), policies -> policies.cap("a", Cap.NONE)),
        STRICT(policies -> policies.order(Order.STRICT), policies -> policies.order(Order.FREE)),
        TIME(policies -> policies.cost(Cost.TIME), policies -> policies.cost(Cost.MESSAGES));

        private final Function<Policies, Mono<Void>> set;
        private final Function<Policies, Mono<Void>> unset;

        Counted(Function<Policies, Mono<Void>> set, Function<Policies, Mono<Void>> unset) {
            this.set = set;
            this.unset = unset;
        }
    }

    @ParameterizedTest
    @EnumSource
    @DisplayName("P13 the queue is a plain one with the next pull when its last policy is gone, whichever that was")
    void plainAtOnce(Counted policy) {
        policy.set.apply(policies).block(SOON);
        rig.fill("a", 3);
        assertThat(rig.lease(1, LONG)).hasSize(1);

        policy.unset.apply(policies).block(SOON);
        assertThat(rig.pullIds(1)).containsExactly("a-1");
        assertThat(rig.number("EXISTS", rig.key("policy"), rig.key("busy"))).isZero();
    }

    @Test
    @DisplayName("a reader that waits for a queue that is paused goes on when it is resumed")
    void resumedWakes() {
        rig.fill("a", 1);
        policies.pause().block(SOON);

        assertThat(first(policies.resume())).isEqualTo("a-0");
    }

    @Test
    @DisplayName("a reader that waits goes on when facets that stand aside are to be judged anew")
    void releasedWakes() {
        policies.rateEach(new Rate(1, Duration.ofDays(1), 1))
                .then(policies.weight("unrelated", 2))
                .block(SOON);
        rig.fill("a", 2);
        assertThat(rig.lease(2, LONG)).hasSize(1);
        rig.raw("HDEL", rig.key("policy"), "each.rate");

        Mono<?> release = rig.mill
                .redis()
                .run(
                        QueueScripts.POLICY,
                        List.of(Leases.bytes(rig.key(""))),
                        Insight.args("release", "throttled", "0"));
        assertThat(first(release)).isEqualTo("a-1");
    }

    @Test
    @DisplayName("P13 a reader that waits goes on when another's pull has made the queue a plain one")
    void plainWakes() {
        policies.pause("a").then(policies.pause("b")).block(SOON);
        rig.fill("a", 1);
        rig.fill("b", 1);
        assertThat(rig.lease(1, LONG)).isEmpty();

        Mono<?> gone = rig.mill.redis().call("HDEL", rig.key("policy"), "p:a", "p:b");
        assertThat(first(gone.then(rig.queue.pull()))).isEqualTo("b-0");
    }

    /** The message a reader gets that has been waiting when something is done. */
    private String first(Mono<?> change) {
        Mono<Boolean> later = Mono.delay(Duration.ofMillis(500)).then(change).thenReturn(true);
        return Mono.zip(rig.queue.receive(PATIENT).next(), later)
                .block(SOON)
                .getT1()
                .message()
                .id();
    }

    @Test
    @DisplayName("what is set again as it was takes nobody's place in the turns from him")
    void sameAgain() {
        policies.weight("slow", 0.25).block(SOON);
        rig.fill("slow", 3);
        rig.fill("quick", 12);
        assertThat(rig.pullIds(3)).containsExactly("quick-0", "quick-1", "quick-2");

        policies.weight("slow", 0.25).block(SOON);
        assertThat(rig.pullIds(1)).containsExactly("slow-0");
    }
}
