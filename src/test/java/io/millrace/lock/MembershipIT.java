package io.millrace.lock;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.redis.RedisSettings;
import io.millrace.redis.Reply;
import io.millrace.testing.Eventually;
import io.millrace.testing.FaultProxy;
import io.millrace.testing.OwnRedis;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/** Who of a group holds which lock, when members come, go, die and hang. */
class MembershipIT {

    private static final Duration SOON = Duration.ofSeconds(20);
    private static final Duration TTL = Duration.ofMillis(900);

    private OwnRedis redis;
    private Millrace mill;
    private final List<Member> members = new ArrayList<>();
    private final Map<Integer, AtomicLong> fences = new ConcurrentHashMap<>();
    private final Set<String> wrong = ConcurrentHashMap.newKeySet();

    @BeforeEach
    void start() {
        redis = OwnRedis.start();
        mill = open(redis.uri());
    }

    @AfterEach
    void stop() {
        members.forEach(Member::cancel);
        mill.shutdown().block(SOON);
        redis.close();
        assertThat(wrong).isEmpty();
    }

    private static Millrace open(String uri) {
        return Millrace.connect(
                MillraceSettings.of(RedisSettings.builder(uri).namespace("ms").build()));
    }

    private static Membership group(Millrace mill, int locks) {
        return new Membership(
                        mill.redis(),
                        GroupKeys.of(mill.redis().keys(), "g"),
                        IntStream.range(0, locks)
                                .mapToObj(i -> new Lock(
                                                mill.redis(),
                                                LockKeys.of(mill.redis().keys(), "g" + i))
                                        .forgettingAfter(Duration.ofHours(1)))
                                .toList())
                .ttl(TTL);
    }

    /** Holds what it is given until told to hand it over; writes down who held a lock although a later one had it. */
    private final class Member {

        private final Set<Integer> holds = ConcurrentHashMap.newKeySet();
        private final Sinks.Empty<Void> leaving = Sinks.empty();
        private final AtomicInteger begun = new AtomicInteger();
        private volatile @Nullable Throwable error;
        private volatile boolean over;
        private final Disposable running;

        Member(Millrace mill, int locks, Mono<Void> finishing) {
            running = group(mill, locks)
                    .share(leaving.asMono(), share -> hold(share, finishing))
                    .subscribe(nothing -> {}, failed -> error = failed, () -> over = true);
            members.add(this);
        }

        private Mono<Void> hold(Share share, Mono<Void> finishing) {
            return Mono.defer(() -> {
                        begun.incrementAndGet();
                        holds.add(share.index());
                        long last = fences.computeIfAbsent(share.index(), i -> new AtomicLong())
                                .getAndAccumulate(share.fence(), Math::max);
                        if (last >= share.fence()) {
                            wrong.add(share + " came after fence " + last);
                        }
                        return share.revoked().then(finishing);
                    })
                    .doFinally(end -> holds.remove(share.index()));
        }

        void cancel() {
            running.dispose();
        }
    }

    private Member join(int locks) {
        return new Member(mill, locks, Mono.empty());
    }

    private static void await(String what, Duration atMost, Map<Member, Integer> held) {
        Eventually.await(
                what,
                atMost,
                () -> held.entrySet().stream()
                        .allMatch(one -> one.getKey().holds.size() == one.getValue()));
        assertThat(held.keySet().stream().flatMap(one -> one.holds.stream()).toList())
                .doesNotHaveDuplicates();
    }

    private long exists(String key) {
        return Reply.of(Objects.requireNonNull(mill.redis().call("EXISTS", key).block(SOON)))
                .number(0);
    }

    @Test
    @DisplayName(
            "work that fails ends the whole: its lock is free when the error is told, and was not taken once more meanwhile")
    void freeWhenItFails() {
        Lock lock = new Lock(mill.redis(), LockKeys.of(mill.redis().keys(), "g0"));
        AtomicInteger begun = new AtomicInteger();
        for (int round = 1; round <= 60; round++) {
            assertThatThrownBy(() -> group(mill, 1)
                            .share(share -> Mono.error(new IllegalStateException("no " + begun.incrementAndGet())))
                            .blockLast(SOON))
                    .hasMessage("no " + round);
            assertThat(lock.owner().block(SOON)).as("round %s", round).isNull();
        }
    }

    @Test
    @DisplayName("cancels at random moments leave no lock taken, however long leases are")
    void cancelledAtRandom() {
        Random random = new Random(7);
        for (int i = 0; i < 500; i++) {
            Disposable one = group(mill, 8)
                    .ttl(Duration.ofHours(1))
                    .share(share -> Mono.never())
                    .subscribe();
            LockSupport.parkNanos(random.nextInt(4_000_000));
            one.dispose();
        }
        Eventually.await(
                "free locks",
                SOON,
                () -> IntStream.range(0, 8).allMatch(i -> exists("ms:lock:{g" + i + "/0}:owner") == 0));
    }

    @Test
    @DisplayName("one member holds all; each that comes gets its share, nobody more than P/n rounded up")
    void joining() {
        Member first = join(5);
        await("all of them", SOON, Map.of(first, 5));
        Member second = join(5);
        await("3 and 2", TTL, Map.of(first, 3, second, 2));
        Member third = join(5);
        await("2, 2 and 1", TTL, Map.of(first, 2, second, 2, third, 1));
        assertThat(first.begun).as("what stays is not moved").hasValue(5);
        assertThat(second.begun).hasValue(2);
    }

    @Test
    @DisplayName("more members than locks: every lock is held once, the others wait; one of them follows who leaves")
    void moreMembersThanLocks() {
        List<Member> all = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            all.add(join(4));
        }
        Eventually.await(
                "4 holders",
                SOON,
                () -> all.stream()
                        .mapToInt(one -> one.holds.size())
                        .boxed()
                        .toList()
                        .equals(List.of(1, 1, 1, 1, 0, 0)));
        all.get(2).cancel();
        await("the fifth", TTL.dividedBy(2), Map.of(all.get(4), 1, all.get(5), 0));
    }

    @Test
    @DisplayName("who leaves in good order finishes what it has under way; only then others take over, and at once")
    void leavingInOrder() {
        Sinks.Empty<Void> finished = Sinks.empty();
        Member first = new Member(mill, 4, finished.asMono());
        await("all of them", SOON, Map.of(first, 4));
        Member second = join(4);
        first.leaving.tryEmitEmpty();
        Eventually.await("no members but one", SOON, () -> number("ZCARD", "ms:group:{g/0}:members") == 1);
        assertThat(first.holds).hasSize(4);
        assertThat(second.holds).isEmpty();
        finished.tryEmitEmpty();
        await("the other one has all", TTL.dividedBy(2), Map.of(first, 0, second, 4));
        Eventually.await("its end", SOON, () -> first.over);
    }

    @Test
    @DisplayName("a cancel gives everything back at once; nothing is left when all have gone")
    void cancelled() {
        Member first = join(3);
        Member second = join(3);
        await("shares", SOON, Map.of(first, 2, second, 1));
        first.cancel();
        await("all of them", TTL.dividedBy(2), Map.of(second, 3));
        second.cancel();
        Eventually.await(
                "no owners and no members",
                SOON,
                () -> exists("ms:group:{g/0}:members") + exists("ms:group:{g/0}:order") == 0
                        && IntStream.range(0, 3).allMatch(i -> exists("ms:lock:{g" + i + "/0}:owner") == 0));
        assertThat(number("PTTL", "ms:lock:{g0/0}:fence")).isPositive();
    }

    @Test
    @Tag("P8")
    @DisplayName(
            "P8 what a member held that is cut off is taken over within its time to live; it takes part again later")
    void cutOff() {
        try (FaultProxy proxy = FaultProxy.to(redis.uri())) {
            Millrace far = open(proxy.uri());
            Member first = new Member(far, 4, Mono.empty());
            await("all of them", SOON, Map.of(first, 4));
            Member second = join(4);
            await("halves", SOON, Map.of(first, 2, second, 2));
            proxy.stall();
            Eventually.await("all of them", TTL.plusMillis(500), () -> second.holds.size() == 4);
            Eventually.await("the end of its leases", SOON, () -> first.holds.isEmpty());
            proxy.pass();
            await("halves again", SOON, Map.of(first, 2, second, 2));
            first.cancel();
            far.shutdown().block(SOON);
        }
    }

    @Test
    @DisplayName(
            "a lock that cannot be asked for, as on a node of a cluster that is away, keeps nobody from the others")
    void oneIsAway() {
        try (FaultProxy proxy = FaultProxy.to(redis.uri())) {
            Millrace far = open(proxy.uri());
            Reply.of(Objects.requireNonNull(far.redis().call("PING").block(SOON)));
            proxy.stall();
            List<Lock> locks = IntStream.range(0, 4)
                    .mapToObj(i -> new Lock(
                            i == 0 ? far.redis() : mill.redis(),
                            LockKeys.of(mill.redis().keys(), "g" + i)))
                    .toList();
            Membership group =
                    new Membership(mill.redis(), GroupKeys.of(mill.redis().keys(), "g"), locks).ttl(TTL);
            Set<Integer> holds = ConcurrentHashMap.newKeySet();
            Disposable running = group.share(share -> share.revoked()
                            .doOnSubscribe(begun -> holds.add(share.index()))
                            .doFinally(end -> holds.remove(share.index())))
                    .subscribe();
            Eventually.await("the others", Duration.ofSeconds(3), () -> holds.equals(Set.of(1, 2, 3)));
            long until = System.nanoTime() + TTL.multipliedBy(3).toNanos();
            Eventually.await("time", SOON, () -> {
                assertThat(number("ZCARD", "ms:group:{g/0}:members"))
                        .as("heartbeats go on")
                        .isEqualTo(1);
                return System.nanoTime() > until;
            });
            assertThat(holds).containsExactlyInAnyOrder(1, 2, 3);
            proxy.pass();
            Eventually.await("all", SOON, () -> holds.size() == 4);
            running.dispose();
            far.shutdown().block(SOON);
        }
    }

    @Test
    @DisplayName("a lock that is lost is taken again at once, work that ended by itself is not")
    void lost() {
        List<Long> begun = new CopyOnWriteArrayList<>();
        Disposable running = group(mill, 1)
                .ttl(Duration.ofSeconds(30))
                .share(share -> {
                    begun.add(System.nanoTime());
                    return begun.size() == 1 ? Mono.error(new LeaseLostException("refused")) : Mono.empty();
                })
                .subscribe();
        Eventually.await("again", Duration.ofSeconds(3), () -> begun.size() == 2);
        Mono.delay(TTL).block();
        assertThat(begun).as("10 s have to pass").hasSize(2);
        running.dispose();
    }

    @Test
    @Tag("P23")
    @DisplayName("P23 Redis hangs for longer than the time to live, or forgets everything: all is shared again")
    void outage() {
        Member first = join(4);
        Member second = join(4);
        await("halves", SOON, Map.of(first, 2, second, 2));
        redis.pause();
        Eventually.await("nobody holds anything", SOON, () -> first.holds.isEmpty() && second.holds.isEmpty());
        redis.resume();
        Eventually.await("halves", SOON, () -> first.holds.size() == 2 && second.holds.size() == 2);
        redis.restart();
        Eventually.await(
                "halves", SOON, () -> first.holds.size() == 2 && second.holds.size() == 2 && first.begun.get() >= 4);
    }

    @Test
    @DisplayName(
            "an error of work ends the whole and gives all back; work that completes by itself is begun again, not at once")
    void endings() {
        AtomicInteger begun = new AtomicInteger();
        Disposable idle = group(mill, 1)
                .share(share -> Mono.fromRunnable(begun::incrementAndGet))
                .subscribe();
        Eventually.await("again and again", SOON, () -> begun.get() == 3);
        idle.dispose();
        long commands = mill.redis().clock().millis();
        assertThatThrownBy(() -> group(mill, 3)
                        .share(share -> share.index() == 1
                                ? Mono.error(new IllegalStateException("broken " + commands))
                                : Mono.never())
                        .blockLast(SOON))
                .hasMessage("broken " + commands);
        await("all of them", TTL.dividedBy(2), Map.of(join(3), 3));
    }

    @Test
    @DisplayName(
            "members come, go and are cancelled at random: every lock is held by one, and shares are even in the end")
    void random() {
        Random random = new Random(7);
        List<Member> here = new ArrayList<>();
        for (int i = 0; i < 60; i++) {
            if (here.size() < 2 || (here.size() < 6 && random.nextBoolean())) {
                here.add(join(8));
            } else {
                Member one = here.remove(random.nextInt(here.size()));
                if (random.nextBoolean()) {
                    one.cancel();
                } else {
                    one.leaving.tryEmitEmpty();
                }
            }
            if (i % 7 == 0) {
                even(here);
            }
        }
        even(here);
    }

    private static void even(List<Member> here) {
        int least = 8 / here.size();
        Eventually.await(
                "even shares",
                SOON,
                () -> here.stream().mapToInt(one -> one.holds.size()).sum() == 8
                        && here.stream().allMatch(one -> one.holds.size() >= least && one.holds.size() <= least + 1));
        assertThat(here.stream().flatMap(one -> one.holds.stream()).toList()).doesNotHaveDuplicates();
    }

    private long number(String command, String key) {
        return Reply.of(Objects.requireNonNull(mill.redis().call(command, key).block(SOON)))
                .number(0);
    }

    @Test
    @DisplayName("nothing to share, or a name that is empty, is refused")
    void edges() {
        assertThatThrownBy(() ->
                        new Membership(mill.redis(), GroupKeys.of(mill.redis().keys(), "g"), List.of()))
                .hasMessageContaining("\"g\"")
                .hasMessageContaining("none");
        assertThatThrownBy(() -> GroupKeys.of(mill.redis().keys(), "")).hasMessageContaining("needs a name");
        assertThat(Flux.range(0, 3)
                        .map(rank -> Sharing.share(8, new LockScripts.Group(3, rank, -1)))
                        .collectList()
                        .block(SOON))
                .containsExactly(3, 3, 2);
    }
}
