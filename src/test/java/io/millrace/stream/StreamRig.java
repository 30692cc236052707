package io.millrace.stream;

import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.redis.RedisSettings;
import io.millrace.redis.Reply;
import io.millrace.testing.RedisServer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/** A Millrace in a namespace of its own, a stream "s", and what tests do with it over and over. */
final class StreamRig implements AutoCloseable {

    /** For calls that must come back. */
    static final Duration SOON = Duration.ofSeconds(20);

    final Millrace mill;
    final ChangeStream stream;
    final StreamProducer producer;
    final String namespace;
    private final Disposable.Composite running = Disposables.composite();

    private StreamRig(RedisSettings settings) {
        this.mill = Millrace.connect(MillraceSettings.of(settings));
        this.namespace = settings.namespace();
        this.stream = mill.streams().stream("s");
        this.producer = mill.streams().producer("s");
    }

    static StreamRig on(RedisServer server, String namespace) {
        return on(server.settings(namespace));
    }

    static StreamRig on(String uri, String namespace) {
        return on(RedisSettings.builder(uri).namespace(namespace).build());
    }

    static StreamRig on(RedisSettings settings) {
        return new StreamRig(settings);
    }

    /** A consumer that tries again at once, and seldom. */
    StreamConsumer consumer(String name) {
        return consumer(name, ConsumerOptions.builder());
    }

    StreamConsumer consumer(String name, ConsumerOptions.Builder options) {
        return mill.streams()
                .consumer("s", name)
                .with(options.retryDelay(Duration.ZERO, Duration.ofMillis(10)).build());
    }

    /** Consumes in the background until this is closed, or the answer is disposed of. */
    Disposable run(Mono<Void> work) {
        Disposable one = work.subscribe(nothing -> {}, Throwable::printStackTrace);
        running.add(one);
        return one;
    }

    /** As above, keeping what comes. */
    Seen collect(StreamConsumer consumer) {
        Seen seen = new Seen();
        seen.stop = run(consumer.consume(seen::add));
        return seen;
    }

    /** What a consumer was given. */
    static final class Seen {

        final Queue<StreamBatch> batches = new ConcurrentLinkedQueue<>();
        Disposable stop = () -> {};

        Mono<Void> add(StreamBatch batch) {
            return Mono.fromRunnable(() -> batches.add(batch));
        }

        /** The ids of the records, in the order in which they came. */
        List<Object> records() {
            List<Object> records = new ArrayList<>();
            batches.forEach(batch -> batch.entries().forEach(entry -> records.add(entry.get("id"))));
            return records;
        }
    }

    List<EntryId> queue(Object... records) {
        return Objects.requireNonNull(producer.queueAll(List.of(records)).block(SOON));
    }

    /** The records from 0 to n-1. */
    List<EntryId> queue(int n) {
        return queue(IntStream.range(0, n).boxed().toArray());
    }

    /** Entries with ids of the test's own choice. */
    void add(String... ids) {
        for (String id : ids) {
            raw("XADD", key("log"), id, "payload", "{\"id\":\"" + id + "\"}");
        }
    }

    EntryId offset(String consumer) {
        return stream.maxCommittedId(consumer).blockOptional(SOON).orElse(EntryId.ZERO);
    }

    StreamState state() {
        return Objects.requireNonNull(stream.state().blockLast(SOON));
    }

    StreamState.ConsumerState state(String consumer) {
        return state().consumers().stream()
                .filter(one -> one.name().equals(consumer))
                .findFirst()
                .orElseThrow();
    }

    List<String> ids() {
        return Objects.requireNonNull(stream.entries(EntryId.ZERO)
                .map(entry -> entry.id().toString())
                .collectList()
                .block(SOON));
    }

    List<DeadLetter> deadLetters(String consumer) {
        return Objects.requireNonNull(stream.deadLetters(consumer).collectList().block(SOON));
    }

    /** A key of the stream, such as {@code log}. */
    String key(String part) {
        return key(0, part);
    }

    /** As above, of another shard. */
    String key(int shard, String part) {
        return mill.redis().keys().unitText("stream", "s", shard) + part;
    }

    /** A command past the stream, to look or to harm. */
    Reply raw(String command, Object... words) {
        return Reply.of(Objects.requireNonNull(
                mill.redis().call(command, words).defaultIfEmpty(List.of()).block(SOON)));
    }

    /** How often the server has run a command so far. */
    long calls(String command) {
        return raw("INFO", "commandstats")
                .text(0)
                .lines()
                .filter(line -> line.startsWith("cmdstat_" + command + ":calls="))
                .map(line -> line.replaceFirst("^[^=]*=(\\d+).*", "$1"))
                .mapToLong(Long::parseLong)
                .sum();
    }

    /**
     * Kills all connections but this one's own, again and again, never ends. Not before the stream has grown since the last time: on a
     * busy machine nothing would get on otherwise.
     */
    Mono<Void> killing(AtomicInteger kills) {
        AtomicLong before = new AtomicLong(-1);
        return Flux.interval(Duration.ofMillis(5), Schedulers.boundedElastic())
                .onBackpressureDrop()
                .concatMap(tick -> stream.size()
                        .filter(size -> before.getAndSet(size) != size)
                        .flatMap(grown -> mill.redis().call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))
                        .doOnNext(killed -> kills.addAndGet(((Long) killed).intValue())))
                .then(Mono.never());
    }

    long number(String command, Object... words) {
        return raw(command, words).number(0);
    }

    @Override
    public void close() {
        running.dispose();
        mill.shutdown().block(SOON);
    }
}
