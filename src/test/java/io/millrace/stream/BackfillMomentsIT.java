package io.millrace.stream;

import static io.millrace.stream.StreamRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.millrace.lock.Lease;
import io.millrace.lock.Lock;
import io.millrace.stream.LaneParts.Part;
import io.millrace.stream.StreamRig.Seen;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.reactivestreams.Subscription;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;

/** T6 where something comes to the log or to the lane in between two steps of a reader. */
@RedisTest
class BackfillMomentsIT {

    private StreamRig rig;

    @BeforeEach
    void open(RedisServer redis, @Namespace String namespace) {
        rig = StreamRig.on(redis, namespace);
        rig.stream.register("c").block(SOON);
    }

    @AfterEach
    void close() {
        rig.close();
    }

    private void feed(String id, Object... records) {
        rig.mill.streams().backfill("s", id).feed(Flux.just(records)).block(SOON);
    }

    private BackfillState state(String id) {
        return Objects.requireNonNull(
                rig.mill.streams().backfill("s", id).state().block(SOON));
    }

    /** Takes as many deliveries as it is told, and keeps them. */
    private static final class Reader extends BaseSubscriber<StreamDelivery> {

        final List<StreamDelivery> got = Collections.synchronizedList(new ArrayList<>());

        @Override
        protected void hookOnSubscribe(Subscription subscription) {
            // what is asked for is the test's to say
        }

        @Override
        protected void hookOnNext(StreamDelivery delivery) {
            got.add(delivery);
        }

        StreamDelivery next() {
            int before = got.size();
            request(1);
            Eventually.await("a batch", SOON, () -> got.size() > before);
            return got.get(before);
        }
    }

    private Reader reader() {
        Reader reader = new Reader();
        rig.consumer("c").batches().subscribe(reader);
        return reader;
    }

    private static List<Object> ids(List<StreamEntry> entries) {
        return entries.stream().map(entry -> entry.get("id")).toList();
    }

    @Test
    @Tag("T6")
    @DisplayName(
            "T6 what comes to the log after it was found empty is handled before what comes to the lane after that")
    void logFirst() {
        StreamKeys keys = StreamKeys.of(rig.mill.redis().keys(), "s", 0);
        Lease lease = Objects.requireNonNull(
                new Lock(rig.mill.redis(), keys.lock("c")).tryAcquire().block(SOON));
        Lane lane = new Lane(rig.mill.redis(), keys, "c", lease);
        feed("one", 1);
        lane.look(EntryId.ZERO).block(SOON); // the log is empty
        EntryId live = rig.queue(Map.of("id", 2, "v", "live")).get(0);
        feed("one", 1, 2); // nothing: it is closed
        feed("two", 2, 3);
        assertThat(ids(lane.next(10, EntryId.ZERO).block(SOON))).containsExactly(1);
        assertThat(lane.next(10, EntryId.ZERO).block(SOON)).isNull();
        assertThat(ids(lane.next(10, live).block(SOON))).containsExactly(2, 3);
        rig.raw("XADD", rig.key("log"), "*", "payload", "{}");
        rig.raw("XTRIM", rig.key("log"), "MAXLEN", 0);
        feed("three", 4);
        assertThat(ids(lane.next(10, live).block(SOON)))
                .as("what is not there any more is not waited for")
                .containsExactly(4);
    }

    @Test
    @Tag("T6")
    @DisplayName("T6 what comes to a lane whose last batch is still being handled is overtaken by what the log brings")
    void comesWhileClosed() {
        feed("one", 1);
        Reader reader = reader();
        StreamDelivery first = reader.next();
        assertThat(first.batch().backfill()).isTrue();
        reader.request(1); // the lane is found empty, the log is waited for
        Eventually.await(
                "a reader that waits",
                SOON,
                () -> rig.raw("CLIENT", "LIST")
                        .text(0)
                        .lines()
                        .anyMatch(line -> line.contains("cmd=xread") && line.contains("flags=b")));
        feed("two", 2, 3);
        rig.queue(Map.of("id", 2, "v", "live"));
        Eventually.await("the live one", SOON, () -> reader.got.size() == 2);
        assertThat(reader.got.get(1).batch().backfill()).isFalse();
        first.commit().block(SOON);
        StreamDelivery last = reader.next();
        reader.cancel();
        assertThat(ids(last.batch().entries())).containsExactly(3);
    }

    @Test
    @Tag("T6")
    @DisplayName("T6 of two backfills one is left out while the other is being handled: both come to their ends")
    void twoBackfills() {
        feed("one", 1, 2);
        feed("two", 3);
        rig.queue(3);
        Reader reader = reader();
        StreamDelivery live = reader.next();
        StreamDelivery lane = reader.next();
        assertThat(ids(lane.batch().entries())).as("1 and 2 were overtaken").isEqualTo(List.of(3));
        feed("three", 4);
        feed("four", 5, 6);
        rig.queue(5, 6);
        StreamDelivery more = reader.next();
        StreamDelivery third = reader.next();
        assertThat(ids(third.batch().entries())).containsExactly(4);
        reader.request(1); // "four" is read and left out
        Eventually.await(
                "all read",
                SOON,
                () -> rig.raw("CLIENT", "LIST")
                        .text(0)
                        .lines()
                        .anyMatch(line -> line.contains("cmd=xread") && line.contains("flags=b")));
        live.commit().block(SOON);
        more.commit().block(SOON);
        third.commit().block(SOON); // and with it what was handed out before
        reader.cancel();
        assertThat(List.of("one", "two", "three", "four"))
                .allSatisfy(id -> assertThat(state(id).isOver()).as(id).isTrue());
        assertThat(state("one").consumers().get(0).overtaken()).isEqualTo(2);
        assertThat(state("two").consumers().get(0).overtaken()).isZero();
        assertThat(state("four").consumers().get(0).overtaken()).isEqualTo(2);
        assertThat(rig.state("c").backfillLag()).isZero();
    }

    @Test
    @Tag("T6")
    @DisplayName("T6 what is left out while the commit before it is on its way is committed, too")
    void leftOutDuringACommit() {
        EntryId[] id = new EntryId[6];
        for (int i = 0; i < id.length; i++) {
            id[i] = new EntryId(1, i);
        }
        LaneParts parts = new LaneParts();
        parts.handedOut(id[1], new Part("a", id[2], 1));
        assertThat(parts.leading()).isEmpty();
        List<Part> onItsWay = parts.upTo(id[1]);
        assertThat(onItsWay).containsExactly(new Part("a", id[2], 1));
        parts.leftOut(new Part("a", id[3], 1));
        parts.committed(onItsWay.get(0));
        assertThat(parts.leading()).containsExactly(new Part("a", id[3], 1));
        parts.leftOut(new Part("b", id[4], 1));
        parts.leftOut(new Part("b", id[5], 2));
        assertThat(parts.leading()).containsExactly(new Part("a", id[3], 1), new Part("b", id[5], 3));
        parts.committed(new Part("b", id[5], 3));
        assertThat(parts.leading()).isEmpty();
        assertThat(parts.upTo(id[5])).as("again").containsExactly(new Part("", id[5], 0));
    }

    @Test
    @Tag("T6")
    @DisplayName("T6 a consumer that comes when the beginning of a backfill is gone does not keep it from being fed")
    void newcomer() {
        Backfill backfill = rig.mill.streams().backfill("s", "b");
        Seen seen = rig.collect(rig.consumer("c"));
        int fed = Backfill.MOST_WAITING + 2_000;
        assertThatThrownBy(() -> backfill.feed(Flux.concat(Flux.range(0, fed), Flux.error(new IllegalStateException())))
                        .block(SOON))
                .isInstanceOf(IllegalStateException.class);
        Eventually.await("all handled", SOON, () -> rig.state("c").backfillLag() == 0);
        rig.raw("XTRIM", rig.key("lane"), "MAXLEN", 0); // as the trimmer does, where a node of the stream ends
        rig.collect(rig.consumer("new"));
        Eventually.await("registered", SOON, () -> rig.state().consumers().size() == 2);
        int all = fed + 2_000;
        assertThat(backfill.feed(Flux.range(0, all)).block(SOON)).isEqualTo(all);
        backfill.progress().blockLast(SOON);
        assertThat(seen.records()).hasSize(all);
    }

    @Test
    @Tag("T6")
    @DisplayName("T6 a backfill that is remembered no longer leaves nothing behind")
    void forgotten() {
        feed("b", 1);
        rig.raw("PEXPIRE", rig.key("backfill:b"), 1);
        Eventually.await("forgotten", SOON, () -> rig.number("EXISTS", rig.key("backfill:b")) == 0);
        assertThat(rig.stream.backfills().collectList().block(SOON)).isEmpty();
        assertThat(rig.number("EXISTS", rig.key("backfills"))).isZero();
    }
}
