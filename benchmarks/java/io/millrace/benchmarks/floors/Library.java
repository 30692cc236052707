package io.millrace.benchmarks.floors;

import com.sun.management.ThreadMXBean;
import io.millrace.Event;
import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.queue.ConsumeOptions;
import io.millrace.queue.LeaseOptions;
import io.millrace.redis.RedisSettings;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.UnaryOperator;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;

/** The library's side of each case: what a user would write. */
final class Library implements AutoCloseable {

    static final String NAMESPACE = "bench";
    static final String QUEUE = "q";

    private static final String FILL = "x".repeat(52);

    private final Millrace mill;
    private final BenchServer server;

    /** How fast, how long a call took, and what it cost. */
    record Measured(
            double perSecond,
            double p50Micros,
            double p99Micros,
            double clientMicros,
            double clientBytes,
            double serverMicros) {}

    Library(BenchServer server) {
        this(server, settings -> settings);
    }

    Library(BenchServer server, UnaryOperator<RedisSettings.Builder> settings) {
        this.server = server;
        this.mill = Millrace.connect(MillraceSettings.of(
                settings.apply(RedisSettings.builder(server.uri()).namespace(NAMESPACE))
                        .build()));
    }

    void prepare() {
        server.flush();
        mill.queues().register(QUEUE, ".*:page:.*").block();
        mill.deliver(Event.of("warm", "page", "up")).block();
        mill.queue(QUEUE).pull().block();
    }

    /** An event of about 200 bytes as JSON. */
    static Event event(long i, int facets) {
        return Event.of("env-" + i % facets, "page", "http://example.com/" + i % 100)
                .withData(FILL);
    }

    /** Made beforehand: events are the user's. */
    private static List<Event> events(int count, int facets) {
        List<Event> events = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            events.add(event(i, facets));
        }
        return events;
    }

    Measured deliver(int concurrency, int calls, int facets) {
        long[] nanos = new long[calls];
        List<Event> events = events(calls, facets);
        return measure(
                calls,
                nanos,
                () -> Flux.range(0, concurrency)
                        .flatMap(caller -> caller(caller, concurrency, events, nanos), concurrency)
                        .then());
    }

    /** One of several callers who know nothing of each other: one call after the other. */
    private Mono<Void> caller(int caller, int callers, List<Event> events, long[] nanos) {
        int calls = (events.size() - caller + callers - 1) / callers;
        return Flux.range(0, calls)
                .map(i -> caller + i * callers)
                .concatMap(
                        i -> {
                            long from = System.nanoTime();
                            return mill.deliver(events.get(i)).doOnNext(done -> nanos[i] = System.nanoTime() - from);
                        },
                        0)
                .then();
    }

    Measured deliverAll(int concurrency, int batch, int calls, int facets) {
        long[] nanos = new long[calls / batch];
        List<Event> events = events(calls, facets);
        return measure(
                calls,
                nanos,
                () -> Flux.range(0, calls / batch)
                        .flatMap(
                                b -> {
                                    long from = System.nanoTime();
                                    return mill.queues()
                                            .deliverAll(events.subList(b * batch, (b + 1) * batch))
                                            .doOnNext(done -> nanos[b] = System.nanoTime() - from);
                                },
                                concurrency)
                        .then());
    }

    Measured consume(int consumers, int batch, int messages, int facets) {
        return consume(consumers, batch, messages, facets, 0);
    }

    /** Fills the queue, then so many consumers take everything, batch by batch, acknowledging with the next pull. */
    Measured consume(int consumers, int batch, int messages, int facets, int prefetch) {
        LeaseOptions lease = LeaseOptions.builder().batchSize(batch).build();
        return consume(
                consumers,
                messages,
                facets,
                batch > 1,
                ConsumeOptions.builder().lease(lease).concurrency(1).prefetch(prefetch));
    }

    /** Fills the queue, then one consumer handles so many messages at a time, each under a lease of its own. */
    Measured handle(int concurrency, int messages, int facets) {
        return consume(1, messages, facets, false, ConsumeOptions.builder().concurrency(concurrency));
    }

    private Measured consume(int consumers, int messages, int facets, boolean batches, ConsumeOptions.Builder builder) {
        deliverAll(4, 100, messages, facets);
        AtomicLong left = new AtomicLong(messages);
        Sinks.Empty<Void> done = Sinks.empty();
        ConsumeOptions options =
                builder.scheduler(Schedulers.immediate()).until(done.asMono()).build();
        Mono<Void> one = batches
                ? mill.queue(QUEUE).consumeBatches(messageList -> handled(messageList.size(), left, done), options)
                : mill.queue(QUEUE).consume(message -> handled(1, left, done), options);
        return measure(
                messages,
                new long[1],
                () -> Flux.range(0, consumers).flatMap(i -> one, consumers).then());
    }

    private static Mono<Void> handled(int count, AtomicLong left, Sinks.Empty<Void> done) {
        if (left.addAndGet(-count) == 0) {
            done.tryEmitEmpty();
        }
        return Mono.empty();
    }

    private interface Work {
        Mono<Void> run();
    }

    private Measured measure(int messages, long[] nanos, Work work) {
        System.gc(); // the events made beforehand are settled: moving them is not what is measured
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        double serverBefore = server.cpuMicros();
        long cpuBefore = processCpu();
        long bytesBefore = allocated(threads);
        long from = System.nanoTime();
        work.run().block(Duration.ofMinutes(2));
        double seconds = (System.nanoTime() - from) / 1e9;
        double client = (processCpu() - cpuBefore) / 1e3 / messages;
        double bytes = (double) (allocated(threads) - bytesBefore) / messages;
        double serverCpu = (server.cpuMicros() - serverBefore) / messages;
        Arrays.sort(nanos);
        return new Measured(
                messages / seconds,
                nanos[nanos.length / 2] / 1e3,
                nanos[(int) (nanos.length * 0.99)] / 1e3,
                client,
                bytes,
                serverCpu);
    }

    private static long processCpu() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
                .getProcessCpuTime();
    }

    private static long allocated(ThreadMXBean threads) {
        return Arrays.stream(threads.getThreadAllocatedBytes(threads.getAllThreadIds()))
                .filter(b -> b > 0)
                .sum();
    }

    @Override
    public void close() {
        mill.shutdown().block(Duration.ofSeconds(10));
    }
}
