package io.millrace.spring;

import static io.millrace.spring.Shop.SOON;
import static org.assertj.core.api.Assertions.assertThat;
import static org.springframework.data.relational.core.query.Criteria.where;
import static org.springframework.data.relational.core.query.Query.query;

import io.millrace.stream.StreamBatch;
import io.millrace.testing.Eventually;
import io.millrace.testing.JvmChild;
import io.millrace.testing.Namespace;
import io.millrace.testing.PostgresServer;
import io.millrace.testing.PostgresServer.Database;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Collectors;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.springframework.data.relational.core.query.Query;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;

/**
 * A real PostgreSQL and a real Lucene index stay in step although the processes that write are killed between save, commit and message,
 * again and again. Each has rows of its own, so that no later write mends what a kill has broken.
 */
@RedisTest
class KillNineHooksIT {

    /** Fewer or more with -Dkills=25. */
    private static final int KILLS = Integer.getInteger("kills", 100);

    private static final int SIDE_BY_SIDE = 3;
    private static final List<String> WINDOWS = List.of("saving", "saved", "committed", "told");
    private static final Duration START = Duration.ofSeconds(30);

    /** Longer than the longest transaction: they take some 30 ms here, with pauses of a busy machine. */
    private static final Duration REPAIR_DELAY = Duration.ofSeconds(2);

    private final Map<String, Integer> kills = new TreeMap<>();
    private final Deque<JvmChild> sellers = new ArrayDeque<>();
    private int started;

    @Test
    @Tag("T3")
    @Timeout(600)
    @DisplayName(
            "killed between save, commit and message: they differ until the repair delay is over, and are the same after it")
    void killed(RedisServer redis, @Namespace String namespace) {
        Database database = PostgresServer.database();
        database.execute(Product.TABLE);
        try (Shop shop = Shop.on(database, redis.uri(), namespace);
                ProductIndex index = new ProductIndex()) {
            Disposable indexer = shop.mill
                    .streams()
                    .consumer(Shop.STREAM, "indexer")
                    .consume(batch -> refresh(shop, index, batch))
                    .subscribe();
            try {
                Random random = new Random();
                int killed = 0;
                while (killed < KILLS || (!everyWindowHit() && killed < 2 * KILLS)) {
                    while (sellers.size() < SIDE_BY_SIDE) { // most of the time goes into starting them
                        sellers.add(seller(database, redis, namespace));
                    }
                    kill(sellers.remove(), WINDOWS.get(killed++ % WINDOWS.size()), random);
                }
                sellers.forEach(JvmChild::kill9);
                System.out.println(killed + " kills by the window they fell into: " + kills);
                assertThat(everyWindowHit()).as("kills by window: %s", kills).isTrue();

                Eventually.await("everything told is indexed", START, () -> lag(shop) == 0);
                Set<String> differ = difference(rows(shop), index.all());
                System.out.println(differ.size() + " of " + rows(shop).size() + " rows differ before the repair");
                assertThat(differ).as("what was committed and not told").isNotEmpty();

                Disposable delayer = shop.mill
                        .streams()
                        .delayer(Shop.STREAM, REPAIR_DELAY)
                        .run()
                        .subscribe();
                Eventually.await("notes are repaired", START, () -> shop.notes() == 0 && lag(shop) == 0);
                delayer.dispose();
                assertThat(index.all()).isEqualTo(rows(shop)).hasSizeGreaterThan(KILLS);
            } finally {
                sellers.forEach(JvmChild::close);
                indexer.dispose();
            }
        }
    }

    private boolean everyWindowHit() {
        return WINDOWS.stream().allMatch(window -> kills.getOrDefault(window, 0) >= 2);
    }

    /** After some work, some random time after it entered a window: each in turn is aimed at, what is hit is what counts. */
    private void kill(JvmChild seller, String aimedAt, Random random) {
        seller.awaitLine("ready"::equals, START);
        int work = 5 + random.nextInt(20);
        Eventually.await("work", START, () -> seller.lines().size() > work);
        long deadline = System.nanoTime() + START.toNanos();
        while (!window(seller).equals(aimedAt) && System.nanoTime() - deadline < 0) {
            LockSupport.parkNanos(50_000);
        }
        LockSupport.parkNanos(random.nextInt(4_000_000));
        seller.kill9();
        assertThat(WINDOWS).as(seller.lines().toString()).contains(window(seller));
        kills.merge(window(seller), 1, Integer::sum);
    }

    private static String window(JvmChild seller) {
        List<String> lines = seller.lines();
        return lines.get(lines.size() - 1);
    }

    private JvmChild seller(Database database, RedisServer redis, String namespace) {
        return JvmChild.of(KilledSeller.class)
                .option("-XX:TieredStopAtLevel=1")
                .option("-Xshare:auto")
                .option("-XX:+UseSerialGC")
                .option("-XX:-UsePerfData")
                .option("-XX:+UnlockDiagnosticVMOptions")
                .option("-XX:-BytecodeVerificationRemote") // starts sooner
                .option("-Xmx128m")
                .args(database.r2dbc(), redis.uri(), namespace, "s" + started++ + "-")
                .start();
    }

    private static Mono<Void> refresh(Shop shop, ProductIndex index, StreamBatch batch) {
        Set<String> ids =
                batch.entries().stream().map(entry -> entry.key().toString()).collect(Collectors.toSet());
        return index.refresh(ids, shop.template.select(query(where("id").in(ids)), Product.class));
    }

    private static long lag(Shop shop) {
        return shop.stream.state().blockLast(SOON).consumers().get(0).lag();
    }

    private static Map<String, Product> rows(Shop shop) {
        return shop.template
                .select(Query.empty(), Product.class)
                .collectMap(Product::id)
                .block(SOON);
    }

    private static Set<String> difference(Map<String, Product> one, Map<String, Product> other) {
        Set<String> ids = new HashSet<>(one.keySet());
        ids.addAll(other.keySet());
        Map<String, Product> copy = new HashMap<>(one);
        ids.removeIf(id -> java.util.Objects.equals(copy.get(id), other.get(id)));
        return ids;
    }
}
