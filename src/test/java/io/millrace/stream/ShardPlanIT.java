package io.millrace.stream;

import static io.millrace.stream.StreamRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The plan of who reads which shard, against what must hold of every plan: T5. */
@RedisTest
class ShardPlanIT {

    private StreamRig rig;

    @BeforeEach
    void open(RedisServer redis, @Namespace String namespace) {
        rig = StreamRig.on(redis.uri(), namespace);
    }

    @AfterEach
    void close() {
        rig.close();
    }

    private Set<Integer> beat(String member, long ttl, int shards) {
        Redis redis = rig.mill.redis();
        Reply reply = redis.run(
                        StreamScripts.BALANCE,
                        List.of(StreamKeys.of(redis.keys(), "s", 0).unitKey()),
                        List.of(
                                StreamKeys.bytes("c"),
                                StreamKeys.bytes(member),
                                StreamKeys.bytes(ttl),
                                StreamKeys.bytes(shards)))
                .block(SOON);
        Set<Integer> own = new TreeSet<>();
        for (int i = 3; i < reply.size(); i++) {
            own.add((int) reply.number(i));
        }
        return own;
    }

    private Map<Integer, String> plan() {
        Map<Integer, String> plan = new HashMap<>();
        rig.stream
                .members("c")
                .collectList()
                .block(SOON)
                .forEach(one -> one.shards().forEach(shard -> plan.put(shard, one.member())));
        return plan;
    }

    @Test
    @Tag("T5")
    @DisplayName(
            "T5 random members come and go: every shard has one owner, shares differ by one at most, few change hands")
    void random() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        for (int game = 0; game < 20; game++) {
            int shards = 1 + random.nextInt(40);
            rig.raw("DEL", rig.key("members:c"), rig.key("plan:c"));
            List<String> members = new ArrayList<>();
            for (int step = 0; step < 25; step++) {
                String as = "seed " + seed + " game " + game + " step " + step;
                Map<Integer, String> before = plan();
                boolean comes = members.isEmpty() || random.nextInt(5) < 3;
                String who = comes ? "m" + game + "-" + step : members.remove(random.nextInt(members.size()));
                if (comes) {
                    members.add(who);
                }
                beat(who, comes ? 60_000 : 0, shards);
                Map<Integer, String> after = plan();
                if (members.isEmpty()) {
                    assertThat(after).as(as).isEmpty();
                    continue;
                }
                assertThat(after.keySet()).as(as).hasSize(shards);
                Map<String, Long> counts =
                        after.values().stream().collect(Collectors.groupingBy(one -> one, Collectors.counting()));
                for (String member : members) {
                    assertThat(counts.getOrDefault(member, 0L))
                            .as(as)
                            .isBetween((long) (shards / members.size()), (long)
                                    ((shards + members.size() - 1) / members.size()));
                    assertThat(beat(member, 60_000, shards))
                            .as(as)
                            .hasSize(counts.getOrDefault(member, 0L).intValue());
                }
                assertThat(plan()).as(as).isEqualTo(after);
                long moved = before.entrySet().stream()
                        .filter(entry -> !entry.getValue().equals(after.get(entry.getKey())))
                        .count();
                long had = before.values().stream().filter(who::equals).count();
                long has = counts.getOrDefault(who, 0L);
                assertThat(moved).as(as).isEqualTo(before.isEmpty() ? 0 : comes ? has : had);
            }
        }
    }

    @Test
    @Tag("T5")
    @DisplayName(
            "T5 a member that is not heard of is gone when its time is over, and whoever comes then takes its shards")
    void expiry() {
        assertThat(beat("dead", 300, 4)).hasSize(4);
        assertThat(beat("alive", 60_000, 4)).hasSize(2);
        assertThat(rig.stream
                        .members("c")
                        .map(ConsumerMember::member)
                        .collectList()
                        .block(SOON))
                .containsExactly("alive", "dead");
        Eventually.await("all of them", SOON, () -> beat("alive", 60_000, 4).size() == 4);
        assertThat(rig.stream
                        .members("c")
                        .map(ConsumerMember::member)
                        .collectList()
                        .block(SOON))
                .containsExactly("alive");
    }
}
