package io.millrace.stream;

import static io.millrace.stream.StreamRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.test.StepVerifier;

/** Notes before any work, immediate changes after it. */
@RedisTest
class ChangeCaptureIT {

    private record Product(int id, String name) {}

    private static final List<Product> TWO = List.of(new Product(1, "a"), new Product(2, "b"));

    private StreamRig rig;
    private ChangeCapture<Product> capture;

    @BeforeEach
    void open(RedisServer redis, @Namespace String namespace) {
        rig = StreamRig.on(redis, namespace);
        capture = rig.mill.streams().capture("s", Product::id);
    }

    @AfterEach
    void close() {
        rig.close();
    }

    private List<Object> entries() {
        return rig.stream
                .entries(EntryId.ZERO)
                .map(entry -> entry.get("id"))
                .collectList()
                .block(SOON);
    }

    @Test
    @DisplayName("around one result and around many: notes, the work, then its changes; results come as they are made")
    void around() {
        List<String> seen = new ArrayList<>();
        Mono<String> look = rig.stream.state().next().map(state -> state.notes() + " notes, " + state.length());
        assertThat(capture.around(TWO, look).block(SOON)).isEqualTo("2 notes, 0");
        assertThat(entries()).containsExactly(1, 2);
        capture.around(TWO, Flux.concat(look, look)).doOnNext(seen::add).then().block(SOON);
        assertThat(seen).containsExactly("2 notes, 2", "2 notes, 2");
        assertThat(entries()).containsExactly(1, 2, 1, 2);
    }

    @Test
    @DisplayName("a record becomes what the function makes of it: an id, a payload, a change; by default what it is")
    void records() {
        rig.mill
                .streams()
                .<Product>capture("s", product -> Map.of("id", product.id(), "name", product.name()))
                .around(TWO, Mono.empty())
                .block(SOON);
        rig.mill
                .streams()
                .capture("s")
                .around(List.of(7, Change.of("x"), TWO.get(0)), Mono.empty())
                .block(SOON);
        assertThat(rig.stream
                        .entries(EntryId.ZERO)
                        .map(StreamEntry::payload)
                        .collectList()
                        .block(SOON))
                .isEqualTo(List.of(
                        Map.of("id", 1, "name", "a"),
                        Map.of("id", 2, "name", "b"),
                        Map.of("id", 7),
                        Map.of("id", "x"),
                        Map.of("id", 1, "name", "a")));
    }

    @Test
    @DisplayName("work that fails tells its changes all the same, and fails; each subscription is a new one")
    void failing() {
        AtomicInteger begun = new AtomicInteger();
        Mono<String> work = capture.around(
                TWO, Mono.error(() -> new IllegalStateException("half done " + begun.incrementAndGet())));
        assertThat(begun).hasValue(0);
        assertThatThrownBy(() -> work.block(SOON)).hasMessage("half done 1");
        assertThatThrownBy(() -> work.block(SOON)).hasMessage("half done 2");
        assertThat(entries()).containsExactly(1, 2, 1, 2);
        StepVerifier.create(
                        capture.around(TWO, Flux.just("x").concatWith(Flux.error(new IllegalStateException("late")))))
                .expectNext("x")
                .expectErrorMessage("late")
                .verify(SOON);
        assertThat(entries()).hasSize(6);
    }

    @Test
    @DisplayName("work that is cancelled, and a Flux of which only the first is taken, tell their changes all the same")
    void cancelled() {
        Sinks.Empty<Void> begun = Sinks.empty();
        Disposable running =
                rig.run(capture.around(TWO, Mono.<Void>never().doOnSubscribe(started -> begun.tryEmitEmpty())));
        begun.asMono().block(SOON);
        running.dispose();
        Eventually.await("entries", SOON, () -> entries().size() == 2);
        assertThat(capture.around(TWO, Flux.range(0, 100)).next().block(SOON)).isZero();
        Eventually.await("entries", SOON, () -> entries().size() == 4);
    }

    @Test
    @DisplayName("without notes no work is begun; without records the work alone is done")
    void edges() {
        rig.raw("SET", rig.key("notes"), "not a sorted set");
        AtomicInteger worked = new AtomicInteger();
        assertThatThrownBy(() -> capture.around(TWO, Flux.defer(() -> Flux.just(worked.incrementAndGet())))
                        .blockLast(SOON))
                .hasMessageContaining("WRONGTYPE");
        assertThat(worked).hasValue(0);
        assertThat(capture.around(List.of(), Mono.fromCallable(worked::incrementAndGet))
                        .block(SOON))
                .isEqualTo(1);
        assertThat(entries()).isEmpty();
    }

    @Test
    @DisplayName("changes that cannot be queued after the work do not make it fail: the notes are there")
    void leftToTheNotes() {
        Mono<String> work = Mono.fromCallable(() -> {
                    rig.raw("SET", rig.key("log"), "not a stream");
                    return "done";
                })
                .subscribeOn(reactor.core.scheduler.Schedulers.boundedElastic());
        assertThat(capture.around(TWO, work).block(SOON)).isEqualTo("done");
        rig.raw("DEL", rig.key("log"));
        assertThat(rig.state().notes()).isEqualTo(2);
    }

    @Test
    @DisplayName("inside of a transaction its commit decides: changes are handed over and not queued")
    void insideOfATransaction() {
        List<Change> handedOver = new CopyOnWriteArrayList<>();
        ChangeCapture<Product> inside =
                capture.toldBy((producer, changes) -> Mono.fromRunnable(() -> handedOver.addAll(changes)));
        assertThat(inside.around(TWO, Mono.just("done")).block(SOON)).isEqualTo("done");
        assertThat(handedOver).extracting(Change::key).containsExactly("1", "2");
        assertThat(entries()).isEmpty();
        assertThat(rig.state().notes()).isEqualTo(2);
        rig.producer.queueOrLeave(handedOver).block(SOON);
        assertThat(entries()).containsExactly(1, 2);
    }
}
