package io.millrace.drain;

import static io.millrace.drain.DrainRig.QUICK;
import static io.millrace.drain.DrainRig.SOON;
import static io.millrace.drain.DrainRig.event;
import static io.millrace.drain.DrainRig.send;
import static io.millrace.drain.DrainRig.update;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.millrace.Event;
import io.millrace.OverloadedException;
import io.millrace.queue.Admission;
import io.millrace.queue.Message;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Mono;

/** From the store through stages to listeners, with everything that can go wrong on the way. */
@RedisTest
class ProcessingIT {

    private DrainRig rig;
    private final Queue<String> heard = new ConcurrentLinkedQueue<>();

    @BeforeEach
    void open(RedisServer server, @Namespace String namespace) {
        rig = DrainRig.on(server, namespace);
    }

    @AfterEach
    void close() {
        rig.close();
    }

    @Test
    @Tag("X16")
    @DisplayName(
            "X16 CloudEvents without a time that are sent again later are known: what was sent counts, not when it came")
    void sentAgainWithoutATime() {
        Head head = name -> name.equals("content-type") ? "application/cloudevents-batch+json" : null;
        byte[] body = "[{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"https://x/1\",\"type\":\"t\"}]"
                .getBytes(StandardCharsets.UTF_8);
        Intake intake = drain().build().intake();
        assertThat(intake.store(intake.read(head, body)).block(SOON)).isEqualTo(Intake.Stored.NEW);
        long then = System.currentTimeMillis();
        Eventually.await("another time", SOON, () -> System.currentTimeMillis() > then);
        assertThat(intake.store(intake.read(head, body)).block(SOON)).isEqualTo(Intake.Stored.KNOWN);
    }

    private DrainBuilder drain() {
        return rig.mill.drain().tokens("demo").settings(QUICK);
    }

    private Mono<Void> hear(DrainBatch batch) {
        return Mono.fromRunnable(() -> batch.events().forEach(event -> heard.add(event.url())));
    }

    private void awaitHeard(String... urls) {
        Eventually.await("events " + List.of(urls), SOON, () -> {
            assertThat(heard).containsExactlyInAnyOrder(urls);
            return true;
        });
    }

    private void awaitDone(Drain drain) {
        Eventually.await("an empty store", SOON, () -> drain.state().block(SOON).stored() == 0);
    }

    @Test
    @DisplayName("basic: events as they are, to every listener, in their order")
    void basic() {
        Drain drain = drain().settings(QUICK.mutate().concurrency(1).build())
                .listen(this::hear)
                .build();
        Queue<String> second = new ConcurrentLinkedQueue<>();
        Disposable live = drain.batches().subscribe(batch -> batch.events().forEach(event -> second.add(event.url())));
        for (int i = 0; i < 20; i++) {
            send(drain, update("u" + i, 1), update("v" + i, 1));
        }
        awaitDone(drain);
        live.dispose();
        String[] expected = IntStream.range(0, 20)
                .boxed()
                .flatMap(i -> List.of("u" + i, "v" + i).stream())
                .toArray(String[]::new);
        assertThat(heard).containsExactly(expected);
        assertThat(second).containsExactly(expected);
        assertThat(rig.keys("default")).doesNotContain("due", "attempts").noneMatch(key -> key.startsWith("d:"));
    }

    @Test
    @DisplayName("a drain that nobody listens to keeps its batches until somebody does")
    void waits() {
        Drain drain = drain().build();
        Disposable running = drain.start();
        send(drain, update("u", 1));
        assertThat(drain.state().block(SOON).stored()).isEqualTo(1);
        Disposable live = drain.batches().subscribe(batch -> batch.events().forEach(event -> heard.add(event.url())));
        awaitHeard("u");
        awaitDone(drain);
        live.dispose();
        running.dispose();
    }

    @Test
    @Tag("D1")
    @DisplayName("D1 a listener throws once: the batch is processed again, and the filter does not take it for old")
    void throwsOnce() {
        AtomicInteger calls = new AtomicInteger();
        Drain drain = drain().mapping()
                .listen(batch -> {
                    if (calls.incrementAndGet() == 1) {
                        throw new IllegalStateException("once");
                    }
                    if (calls.get() == 2) {
                        assertThat(batch.attempt()).isEqualTo(2);
                        assertThat(batch.newlyDirty()).containsExactly("u");
                    }
                    return hear(batch);
                })
                .build();
        Disposable running = drain.start();
        send(drain, update("u", 5));
        awaitHeard("u");
        awaitDone(drain);
        assertThat(drain.dirtyMap().all().collectList().block(SOON)).containsExactly("u");
        // And what is the same again really is old.
        send(drain, update("u", 5), update("w", 1));
        awaitHeard("u", "w");
        running.dispose();
    }

    @Test
    @Tag("D1")
    @DisplayName("D1 what was sent again does no harm, whether its first copy is processed or not")
    void sentAgain() {
        Drain drain = drain().listen(this::hear).build();
        assertThat(send(drain, update("u", 5))).isEqualTo(Intake.Stored.NEW);
        assertThat(send(drain, update("u", 5))).isEqualTo(Intake.Stored.KNOWN);
        Disposable running = drain.start();
        awaitHeard("u");
        awaitDone(drain);
        assertThat(send(drain, update("u", 5))).isEqualTo(Intake.Stored.KNOWN);
        assertThat(send(drain, update("u", 6))).isEqualTo(Intake.Stored.NEW);
        awaitHeard("u", "u");
        running.dispose();
    }

    @Test
    @DisplayName("a subscriber that throws has its batch processed again; the other one goes on")
    void subscriberThrows() {
        Drain drain = drain().build();
        Disposable good = drain.batches().subscribe(batch -> batch.events().forEach(event -> heard.add(event.url())));
        AtomicInteger seen = new AtomicInteger();
        CountDownLatch failed = new CountDownLatch(1);
        drain.batches()
                .map(batch -> {
                    seen.incrementAndGet();
                    throw new IllegalStateException("bad subscriber");
                })
                .subscribe(batch -> {}, error -> failed.countDown());
        send(drain, update("u", 1));
        awaitDone(drain);
        assertThat(failed.getCount()).isZero();
        assertThat(seen).hasValue(1);
        assertThat(heard).contains("u").hasSizeBetween(1, 2);
        good.dispose();
    }

    @Test
    @DisplayName("demand: a subscriber gets no more than it asks for, the rest stays in the store")
    void demand() {
        Drain drain = drain().settings(QUICK.mutate().concurrency(2).build()).build();
        BaseSubscriber<DrainBatch> slow = new BaseSubscriber<>() {
            @Override
            protected void hookOnSubscribe(org.reactivestreams.Subscription subscription) {
                subscription.request(1);
            }

            @Override
            protected void hookOnNext(DrainBatch batch) {
                batch.events().forEach(event -> heard.add(event.url()));
            }
        };
        drain.batches().subscribe(slow);
        for (int i = 0; i < 5; i++) {
            send(drain, update("u" + i, 1));
        }
        Eventually.await("one taken", SOON, () -> drain.state().block(SOON).stored() == 4);
        assertThat(heard).hasSize(1);
        slow.request(2);
        Eventually.await("three taken", SOON, () -> drain.state().block(SOON).stored() == 2);
        assertThat(heard).hasSize(3);
        slow.cancel();
        Disposable rest = drain.batches().subscribe(batch -> batch.events().forEach(event -> heard.add(event.url())));
        awaitDone(drain);
        assertThat(heard).contains("u0", "u1", "u2", "u3", "u4");
        rest.dispose();
    }

    @Test
    @DisplayName(
            "a listener slower than the lease is not overtaken; a cancel gives the batch to the next process at once")
    void slowListener() {
        Drain drain = drain().settings(
                        QUICK.mutate().lease(Duration.ofMillis(200)).build())
                .listen(batch -> Mono.delay(Duration.ofMillis(900)).then(hear(batch)))
                .build();
        Disposable first = drain.start();
        Disposable second = rig.mill
                .drain()
                .settings(QUICK)
                .listen(batch -> Mono.error(new AssertionError("it was leased")))
                .build()
                .start();
        send(drain, update("u", 1));
        awaitHeard("u");
        awaitDone(drain);
        second.dispose();
        first.dispose();

        Drain stuck = drain().settings(
                        QUICK.mutate().lease(Duration.ofMinutes(5)).build())
                .listen(batch -> Mono.never())
                .build();
        Disposable running = stuck.start();
        send(stuck, update("v", 1));
        Eventually.await("it is taken", SOON, () -> stuck.state().block(SOON).inFlight() == 1);
        running.dispose();
        Disposable next = drain.start();
        awaitHeard("u", "v");
        next.dispose();
    }

    @Test
    @DisplayName("two processes share the batches, each is processed once")
    void shared(RedisServer server) {
        Drain one = drain().listen(this::hear).build();
        Drain two = drain().listen(this::hear).build();
        List<Disposable> running = List.of(one.start(), two.start());
        for (int i = 0; i < 200; i++) {
            send(i % 2 == 0 ? one : two, update("u" + i, 1));
        }
        awaitDone(one);
        assertThat(heard).hasSize(200).doesNotHaveDuplicates();
        running.forEach(Disposable::dispose);
    }

    @Test
    @DisplayName("siphons take their topics out; a failing one has the batch processed again")
    void siphon() {
        Queue<Object> siphoned = new ConcurrentLinkedQueue<>();
        AtomicInteger calls = new AtomicInteger();
        Drain drain = drain().mapping()
                .siphon(
                        "rider_locations",
                        event -> Mono.fromRunnable(() -> {
                            if (calls.incrementAndGet() == 1) {
                                throw new IllegalStateException("once");
                            }
                            siphoned.add(event.data());
                        }))
                .listen(this::hear)
                .build();
        Disposable running = drain.start();
        DrainEvent location = new DrainEvent("rider_locations", ChangeType.UPDATE, "r", 1, Map.of("lat", 1));
        send(drain, location, update("u", 1));
        awaitHeard("u");
        assertThat(siphoned).containsExactly(Map.of("lat", 1));
        assertThat(drain.dirtyMap().all().collectList().block(SOON)).containsExactly("u");
        running.dispose();
    }

    @Test
    @Tag("D11")
    @DisplayName("D11 caching: expire, filter, dirty, prefetch a URL once it is dirty; a noop only if it is to count")
    void caching() {
        for (boolean noop : List.of(false, true)) {
            Queue<String> expired = new ConcurrentLinkedQueue<>();
            Queue<String> fetched = new ConcurrentLinkedQueue<>();
            Drain drain = drain().name("caching-" + noop)
                    .caching()
                    .noopIsChange(noop)
                    .expireCache(event -> Mono.fromRunnable(() -> expired.add(event.url())))
                    .prefetch(url -> Mono.fromRunnable(() -> fetched.add(url)))
                    .build();
            Disposable running = drain.start();
            send(drain, update("u", 1), event(ChangeType.NOOP, "n", 1), update("u", 2));
            awaitDone(drain);
            send(drain, update("u", 3));
            awaitDone(drain);
            assertThat(fetched).containsExactlyInAnyOrder(noop ? new String[] {"u", "n"} : new String[] {"u"});
            assertThat(expired)
                    .containsExactlyInAnyOrder(noop ? new String[] {"u", "n", "u", "u"} : new String[] {"u", "u", "u"});
            assertThat(drain.dirtyMap().count().block(SOON)).isEqualTo(noop ? 2 : 1);
            running.dispose();
        }
    }

    @Test
    @DisplayName("cacheBusting: the last of each URL and type; the stacks with a cache say which hook they need")
    void cacheBusting() {
        Queue<DrainEvent> expired = new ConcurrentLinkedQueue<>();
        Drain drain = drain().cacheBusting()
                .expireCache(event -> Mono.fromRunnable(() -> expired.add(event)))
                .build();
        Disposable running = drain.start();
        DrainEvent gone = event(ChangeType.DELETE, "u", 2);
        send(drain, update("u", 1), gone, update("u", 3), update("w", 1));
        awaitDone(drain);
        assertThat(expired).containsExactlyInAnyOrder(gone, update("u", 3), update("w", 1));
        running.dispose();
        assertThatThrownBy(() -> drain().cacheBusting().build()).hasMessageContaining("expireCache(");
        assertThatThrownBy(
                        () -> drain().caching().expireCache(url -> Mono.empty()).build())
                .hasMessageContaining("prefetch(");
    }

    @Test
    @DisplayName("stages of one's own: in front of the stack, behind it, and ending a batch")
    void stages() {
        Drain drain = drain().stage(batch -> Mono.just(batch.withEvents(batch.events().stream()
                        .filter(event -> !event.url().equals("hidden"))
                        .toList())))
                .mapping()
                .stage(batch -> batch.events().get(0).url().equals("quiet") ? Mono.empty() : Mono.just(batch))
                .listen(this::hear)
                .build();
        Disposable running = drain.start();
        send(drain, update("hidden", 1), update("u", 1));
        send(drain, update("quiet", 1));
        awaitDone(drain);
        awaitHeard("u");
        assertThat(drain.dirtyMap().all().collectList().block(SOON)).containsExactlyInAnyOrder("u", "quiet");
        running.dispose();
    }

    @Test
    @DisplayName("the bridge: events in facet queues, single even when a batch is processed twice")
    void bridge() {
        rig.mill.queues().register("changes", ".*").block(SOON);
        AtomicInteger calls = new AtomicInteger();
        Drain drain = drain().mapping()
                .deliverToQueues(DrainEvent::topic)
                .listen(batch -> calls.incrementAndGet() == 1 ? Mono.error(new IllegalStateException()) : Mono.empty())
                .build();
        Disposable running = drain.start();
        send(drain, new DrainEvent("widgets", ChangeType.CREATE, "http://x/1", 7, Map.of("a", 1)));
        awaitDone(drain);
        running.dispose();
        List<Message> messages =
                rig.mill.queue("changes").pull(10).collectList().block(SOON);
        assertThat(messages).hasSize(1);
        Event event = messages.get(0).event();
        assertThat(event.topic()).isEqualTo("widgets:create:http://x/1");
        assertThat(event.data()).isEqualTo(Map.of("a", 1));
        assertThat(event.time().toEpochMilli()).isEqualTo(7);
        assertThat(event.attributes()).isEqualTo(Map.of("topic", "widgets"));
        assertThat(calls).hasValue(2);
    }

    @Test
    @DisplayName("the bridge: what a queue refuses is not lost, it is delivered once there is room")
    void bridgeRefused() {
        rig.mill
                .queues()
                .register("changes", ".*", Admission.of(1, Admission.Overflow.REJECT))
                .block(SOON);
        Disposable running = drain().deliverToQueues(DrainEvent::topic).build().start();
        Drain drain = drain().build();
        send(drain, update("http://x/1", 1), update("http://x/2", 1));
        assertThat(pulled()).isEqualTo("http://x/1");
        assertThat(pulled()).isEqualTo("http://x/2");
        awaitDone(drain);
        running.dispose();
    }

    private String pulled() {
        Queue<String> urls = new ConcurrentLinkedQueue<>();
        Eventually.await("a message", SOON, () -> {
            rig.mill
                    .queue("changes")
                    .pull(1)
                    .toStream()
                    .forEach(one -> urls.add(one.event().name()));
            return !urls.isEmpty();
        });
        return urls.element();
    }

    @Test
    @DisplayName("the bridge: an event whose data queues cannot take is delivered without, and holds up no other")
    void bridgeTooLarge() {
        rig.mill.queues().register("changes", ".*").block(SOON);
        Disposable running = drain().deliverToQueues(DrainEvent::topic).build().start();
        Drain drain = drain().build();
        String numbers = "1E9,".repeat(220_000) + "1"; // "1E+9" each, when written again
        byte[] body = ("[{\"topic\":\"w\",\"type\":\"update\",\"url\":\"u1\",\"t\":1,\"data\":{\"a\":[" + numbers
                        + "]}},{\"topic\":\"w\",\"type\":\"update\",\"url\":\"u2\",\"t\":1,\"data\":{\"a\":1}}]")
                .getBytes(StandardCharsets.UTF_8);
        assertThat(body.length).isLessThan(DrainSettings.DEFAULT_MAX_BODY_BYTES);
        send(drain, body);
        awaitDone(drain);
        running.dispose();
        List<Message> messages =
                rig.mill.queue("changes").pull(10).collectList().block(SOON);
        assertThat(messages).extracting(one -> one.event().name()).containsExactly("u2", "u1");
        assertThat(messages.get(0).event().data()).isEqualTo(Map.of("a", 1));
        assertThat(messages.get(1).event().data()).isNull();
    }

    @Test
    @DisplayName("as many batches as may be stored: the next one is refused, known ones and empty ones are not")
    void mark() {
        Drain drain =
                drain().settings(DrainSettings.builder().maxStored(3).build()).build();
        for (int i = 0; i < 3; i++) {
            send(drain, update("u" + i, 1));
        }
        assertThat(drain.intake().isFull()).isFalse();
        assertThatThrownBy(() -> send(drain, update("u3", 1)))
                .isInstanceOf(OverloadedException.class)
                .hasMessageContaining("maxStored");
        assertThat(drain.intake().isFull()).isTrue();
        assertThat(send(drain, update("u1", 1))).isEqualTo(Intake.Stored.KNOWN);
        assertThat(send(drain)).isEqualTo(Intake.Stored.KNOWN);
        Disposable running = drain.batches().subscribe();
        awaitDone(drain);
        assertThat(send(drain, update("u3", 1))).isEqualTo(Intake.Stored.NEW);
        running.dispose();
    }

    @Test
    @Tag("X16")
    @DisplayName("X16 the window of known batches is bounded by time and by number")
    void window() {
        Drain drain = drain().settings(DrainSettings.builder()
                        .deduplicate(Duration.ofSeconds(1), 100)
                        .build())
                .build();
        Disposable running = drain.batches().subscribe();
        send(drain, update("first", 1));
        assertThat(send(drain, update("first", 1))).isEqualTo(Intake.Stored.KNOWN);
        // The first window ends after a second, and what it knew after a second more: bounded, never longer.
        AtomicInteger i = new AtomicInteger();
        Eventually.await("the end of its window", SOON, () -> {
            send(drain, update("u" + i.incrementAndGet(), 1));
            return i.get() % 20 == 0 && send(drain, update("first", 1)) == Intake.Stored.NEW;
        });
        running.dispose();
    }

    @Test
    @Tag("X17")
    @DisplayName(
            "X17 what is stored is JSON and read within the same bounds: anything else is tried again and holds nobody up")
    void unreadable() {
        Drain drain = drain().listen(this::hear).build();
        for (String body : List.of("\u00ac\u00ed\u0000\u0005sr", "[".repeat(100_000))) {
            rig.mill
                    .redis()
                    .call("XADD", rig.mill.redis().keys().unitText("drain", "default", 0) + "inbox", "*", "b", body)
                    .block(SOON);
        }
        Disposable running = drain.start();
        send(drain, update("u", 1));
        awaitHeard("u");
        Eventually.await(
                "a second attempt", SOON, () -> drain.state().block(SOON).retried() == 2);
        assertThat(drain.state().block(SOON).stored()).isEqualTo(2);
        running.dispose();
    }
}
