package io.millrace.lock;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** How many locks are whose, against what must hold of all shares: T5. */
@RedisTest
class SharesIT {

    private static final Duration SOON = Duration.ofSeconds(20);

    private Millrace mill;

    @BeforeEach
    void open(RedisServer redis, @Namespace String namespace) {
        mill = Millrace.connect(MillraceSettings.of(redis.settings(namespace)));
    }

    @AfterEach
    void close() {
        mill.shutdown().block(SOON);
    }

    private GroupKeys group(String name) {
        return GroupKeys.of(mill.redis().keys(), name);
    }

    /** Says that it is there, or with 0 that it leaves. */
    private LockScripts.Group beat(String group, String member, long ttl) {
        return Objects.requireNonNull(mill.redis()
                .run(LockScripts.MEMBER, group(group).both(), LockScripts.words(null, member, ttl))
                .block(SOON));
    }

    private int share(String group, String member, long ttl, int locks) {
        return Sharing.share(locks, beat(group, member, ttl));
    }

    @Test
    @Tag("T5")
    @DisplayName(
            "T5 random members come and go: shares make up the whole, differ by one at most, and no more changes hands than has to")
    void random() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        for (int game = 0; game < 20; game++) {
            int locks = 1 + random.nextInt(40);
            List<String> members = new ArrayList<>();
            Map<String, Integer> before = new HashMap<>();
            for (int step = 0; step < 25; step++) {
                String group = "g" + game;
                boolean comes = members.isEmpty() || random.nextInt(5) < 3;
                String who = comes ? "m" + step : members.remove(random.nextInt(members.size()));
                if (comes) {
                    members.add(who);
                }
                beat(group, who, comes ? 60_000 : 0);
                Map<String, Integer> after = new HashMap<>();
                members.forEach(member -> after.put(member, share(group, member, 60_000, locks)));
                String as = "seed " + seed + " game " + game + " step " + step + ": " + before + " to " + after;
                int n = members.size();
                assertThat(after.values().stream().mapToInt(one -> one).sum())
                        .as(as)
                        .isEqualTo(n == 0 ? 0 : locks);
                assertThat(after.values())
                        .as(as)
                        .allMatch(one -> one == locks / Math.max(1, n) || one == (locks + n - 1) / Math.max(1, n));
                assertThat(members.stream().map(after::get).toList())
                        .as("%s: who came first has no less", as)
                        .isSortedAccordingTo((one, next) -> next - one);
                int givenUp = members.stream()
                        .mapToInt(one -> Math.max(0, before.getOrDefault(one, 0) - after.get(one)))
                        .sum();
                assertThat(givenUp).as(as).isEqualTo(comes && n > 1 ? after.get(who) : 0);
                before.clear();
                before.putAll(after);
            }
        }
    }

    @Test
    @Tag("T5")
    @DisplayName("T5 a member that is not heard of is gone when its time is over, and its share is the others'")
    void expiry() {
        List<Lock> locks = IntStream.range(0, 4)
                .mapToObj(i -> new Lock(mill.redis(), LockKeys.of(mill.redis().keys(), "l" + i)))
                .toList();
        Membership membership = new Membership(mill.redis(), group("g"), locks);
        assertThat(share("g", "dead", 500, 4)).isEqualTo(4);
        assertThat(share("g", "alive", 60_000, 4)).isEqualTo(2);
        locks.get(3).attempt(Membership.token("alive", 7)).block(SOON);
        List<Membership.Member> both = membership.members().collectList().block(SOON);
        assertThat(both).extracting(Membership.Member::name).containsExactly("alive", "dead");
        assertThat(both).extracting(Membership.Member::holds).containsExactly(List.of(3), List.of());
        assertThat(both.get(0).leaves()).isBetween(Duration.ofSeconds(50), Duration.ofMinutes(1));
        Eventually.await("all of them", SOON, () -> share("g", "alive", 60_000, 4) == 4);
        assertThat(membership
                        .members()
                        .map(Membership.Member::name)
                        .collectList()
                        .block(SOON))
                .containsExactly("alive");
    }
}
