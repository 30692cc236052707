package io.millrace.redis;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.OverloadedException;
import io.millrace.redis.GroupCommit.Outcome;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;

class GroupCommitTest {

    private final List<List<Integer>> calls = new CopyOnWriteArrayList<>();
    private final List<Sinks.One<List<Outcome<String>>>> answers = new CopyOnWriteArrayList<>();

    private GroupCommit<Integer, String> manual(int maxBatch, int maxInFlight, int maxWaiting) {
        return new GroupCommit<>(maxBatch, maxInFlight, maxWaiting, items -> {
            calls.add(items);
            Sinks.One<List<Outcome<String>>> answer = Sinks.one();
            answers.add(answer);
            return answer.asMono();
        });
    }

    private static List<Outcome<String>> done(List<Integer> items) {
        return items.stream()
                .<Outcome<String>>map(i -> new Outcome.Done<>("r" + i))
                .toList();
    }

    @Test
    @DisplayName("a lone caller goes at once; those who come meanwhile share the next call, bounded by its size")
    void shares() {
        GroupCommit<Integer, String> commit = manual(3, 1, 100);
        List<String> results = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            commit.submit(i).subscribe(results::add);
        }
        assertThat(calls).containsExactly(List.of(0));
        answers.get(0).tryEmitValue(done(List.of(0)));
        assertThat(calls).containsExactly(List.of(0), List.of(1, 2, 3));
        answers.get(1).tryEmitValue(done(List.of(1, 2, 3)));
        answers.get(2).tryEmitValue(done(List.of(4, 5)));
        assertThat(results).containsExactly("r0", "r1", "r2", "r3", "r4", "r5");
        assertThat(commit.waiting()).isZero();
    }

    @Test
    @DisplayName("a caller whose code throws what Reactor lets pass does not keep the others from their results")
    void callerThrows() {
        GroupCommit<Integer, String> commit = manual(10, 1, 10);
        List<String> results = new ArrayList<>();
        List<Throwable> errors = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            commit.submit(0).subscribe();
            commit.submit(1)
                    .subscribe(
                            r -> {
                                throw new NoClassDefFoundError("theirs");
                            },
                            error -> {
                                throw new NoClassDefFoundError("theirs");
                            });
            commit.submit(2).subscribe(results::add, errors::add);
            answers.get(2 * i).tryEmitValue(done(List.of(0)));
            if (i == 0) {
                answers.get(1).tryEmitValue(done(List.of(1, 2)));
            } else {
                answers.get(3).tryEmitError(new IllegalStateException("down"));
            }
        }
        assertThat(results).containsExactly("r2");
        assertThat(errors).extracting(Throwable::getMessage).containsExactly("down");
    }

    @Test
    @DisplayName("each caller gets a result or an error of its own")
    void ownOutcome() {
        GroupCommit<Integer, String> commit = new GroupCommit<>(
                10,
                1,
                10,
                items -> Mono.just(items.stream()
                        .<Outcome<String>>map(i -> i == 1
                                ? new Outcome.Failed<>(new IllegalArgumentException("one"))
                                : new Outcome.Done<>("r" + i))
                        .toList()));
        StepVerifier.create(commit.submit(1)).verifyErrorMessage("one");
        StepVerifier.create(commit.submit(2)).expectNext("r2").verifyComplete();
    }

    @Test
    @DisplayName("an error of the call reaches all in it, and the next call goes out")
    void callFails() {
        GroupCommit<Integer, String> commit = manual(10, 1, 10);
        List<Throwable> errors = new ArrayList<>();
        commit.submit(0).subscribe(r -> {}, errors::add);
        commit.submit(1).subscribe(r -> {}, errors::add);
        answers.get(0).tryEmitError(new IllegalStateException("down"));
        answers.get(1).tryEmitError(new IllegalStateException("down"));
        assertThat(errors).hasSize(2).allSatisfy(error -> assertThat(error).hasMessage("down"));
    }

    @Test
    @DisplayName("a function that throws, or answers with too few outcomes, is an error and no hang")
    void badCall() {
        GroupCommit<Integer, String> throwing = new GroupCommit<>(10, 1, 10, items -> {
            throw new IllegalStateException("thrown");
        });
        StepVerifier.create(throwing.submit(1)).verifyErrorMessage("thrown");
        GroupCommit<Integer, String> empty = new GroupCommit<>(10, 1, 10, items -> Mono.empty());
        StepVerifier.create(empty.submit(1)).verifyErrorMessage("a call of 1 items answered with 0 outcomes");
        StepVerifier.create(throwing.submit(2)).verifyErrorMessage("thrown");
    }

    @Test
    @DisplayName("a cancel before the call withdraws the item; it is cold, so nothing happens without a subscription")
    void cancel() {
        GroupCommit<Integer, String> commit = manual(10, 1, 10);
        Mono<String> never = commit.submit(99);
        commit.submit(0).subscribe();
        Disposable second = commit.submit(1).subscribe();
        commit.submit(2).subscribe();
        second.dispose();
        answers.get(0).tryEmitValue(done(List.of(0)));
        assertThat(calls).containsExactly(List.of(0), List.of(2));
        assertThat(never).isNotNull();
    }

    @Test
    @DisplayName("more than may wait are refused at once")
    void bounded() {
        GroupCommit<Integer, String> commit = manual(10, 1, 2);
        commit.submit(0).subscribe();
        commit.submit(1).subscribe();
        commit.submit(2).subscribe();
        StepVerifier.create(commit.submit(3)).verifyError(OverloadedException.class);
        answers.get(0).tryEmitValue(done(List.of(0)));
        commit.submit(4).subscribe();
        assertThat(commit.waiting()).isEqualTo(1);
    }

    @Test
    @DisplayName("many threads: every item is answered once, never more calls out than allowed")
    void manyThreads() {
        AtomicInteger out = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        GroupCommit<Integer, String> commit = new GroupCommit<>(
                16,
                3,
                100_000,
                items -> Mono.fromSupplier(() -> {
                            most.accumulateAndGet(out.incrementAndGet(), Math::max);
                            return done(items);
                        })
                        .subscribeOn(Schedulers.parallel())
                        .doOnNext(answer -> out.decrementAndGet()));
        List<String> results = Flux.fromStream(IntStream.range(0, 20_000).boxed())
                .flatMap(i -> commit.submit(i).subscribeOn(Schedulers.parallel()), 500)
                .collectList()
                .block(Duration.ofSeconds(30));
        assertThat(results).hasSize(20_000).doesNotHaveDuplicates();
        assertThat(most.get()).isLessThanOrEqualTo(3);
    }

    @Test
    @DisplayName("an answer that comes while submitting is no deep recursion")
    void synchronous() {
        GroupCommit<Integer, String> commit = new GroupCommit<>(1, 1, 100_000, items -> Mono.just(done(items)));
        StepVerifier.create(Flux.range(0, 50_000).flatMap(commit::submit, 1_000).count())
                .expectNext(50_000L)
                .verifyComplete();
    }
}
