package io.millrace.redis;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.redis.GroupCommit.Outcome;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ThreadLocalRandom;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/** Lanes of group commit: calls overtake each other, items of one lane do not. */
class GroupCommitLanesTest {

    private static final Duration SOON = Duration.ofSeconds(20);

    private record Item(int lane, int number) {}

    private final Map<Integer, List<Integer>> done = new HashMap<>();

    @Test
    void itemsOfALaneKeepTheirOrderHoweverLongCallsTake() {
        GroupCommit<Item, Integer> commit = commit(
                items -> Mono.delay(Duration.ofNanos(ThreadLocalRandom.current().nextInt(3_000_000)))
                        .map(tick -> carriedOut(items)));
        Random random = new Random(3);
        List<Integer> numbers = Flux.range(0, 20_000)
                .map(i -> new Item(random.nextInt(1 + i % 9), i))
                .flatMapSequential(commit::submit, 256, 1)
                .collectList()
                .block(SOON);
        assertThat(numbers).hasSize(20_000).isSorted();
        assertThat(done.values()).allSatisfy(lane -> assertThat(lane).isSorted());
        assertThat(commit.waiting()).isZero();
    }

    @Test
    void otherLanesGoOnWhileOneIsOut() {
        Sinks.One<Integer> answer = Sinks.one();
        GroupCommit<Item, Integer> commit = commit(items ->
                items.get(0).lane == 0 ? answer.asMono().map(n -> carriedOut(items)) : Mono.just(carriedOut(items)));
        commit.submit(new Item(1, 0)).block(SOON); // calls go out one by one until one has worked
        List<Integer> got = new ArrayList<>();
        commit.submit(new Item(0, 1)).subscribe(got::add);
        commit.submit(new Item(0, 2)).subscribe(got::add);
        assertThat(commit.submit(new Item(1, 3)).block(SOON)).isEqualTo(3);
        assertThat(got).isEmpty();
        assertThat(commit.waiting()).isEqualTo(1);
        answer.tryEmitValue(0);
        assertThat(got).containsExactlyInAnyOrder(1, 2);
        assertThat(done.get(0)).containsExactly(1, 2);
    }

    @Test
    void aLaneGoesOnAfterAFailureAndPastWhatWasWithdrawn() {
        Sinks.One<Integer> answer = Sinks.one();
        GroupCommit<Item, Integer> commit = commit(items -> items.get(0).number == 1
                ? answer.asMono().then(Mono.error(new IllegalStateException("as told")))
                : Mono.just(carriedOut(items)));
        List<String> failed = new ArrayList<>();
        commit.submit(new Item(0, 1)).subscribe(n -> {}, error -> failed.add(error.getMessage()));
        Disposable second = commit.submit(new Item(0, 2)).subscribe();
        second.dispose();
        answer.tryEmitEmpty();
        assertThat(failed).containsExactly("as told");
        assertThat(commit.submit(new Item(0, 3)).block(SOON)).isEqualTo(3);
        assertThat(commit.waiting()).isZero();
    }

    private static GroupCommit<Item, Integer> commit(
            java.util.function.Function<List<Item>, Mono<List<Outcome<Integer>>>> call) {
        return new GroupCommit<>(64, 32, 20_000, item -> 1, Item::lane, call);
    }

    private synchronized List<Outcome<Integer>> carriedOut(List<Item> items) {
        List<Outcome<Integer>> outcomes = new ArrayList<>();
        for (Item item : items) {
            done.computeIfAbsent(item.lane, key -> new ArrayList<>()).add(item.number);
            outcomes.add(new Outcome.Done<>(item.number));
        }
        return outcomes;
    }
}
