package io.millrace.benchmarks.floors;

import io.millrace.Event;
import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.queue.ConsumeOptions;
import io.millrace.queue.LeaseOptions;
import io.millrace.queue.Message;
import io.millrace.redis.RedisSettings;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;

/**
 * How long the messages of quiet tenants wait from delivery to handler, while others keep 100,000 messages waiting. There are twenty of
 * them, each a facet of its own with one message a second, one after the other: each is as quiet as if it were alone, and 25 s have 500
 * messages, enough for a p99.
 * Four consumers take batches of 100 and work 10 ms on each, 40,000 messages a second at the most, so the flood never ends.
 */
final class QuietTenant implements AutoCloseable {

    /** How many tenants are quiet. */
    static final int TENANTS = 20;

    static final int BACKLOG = 100_000;
    static final int BATCH = 100;
    static final int CONSUMERS = 4;
    static final Duration WORK = Duration.ofMillis(10);
    private static final String FILL = "x".repeat(52);

    private final BenchServer server;
    private final Millrace mill;
    private final Map<String, Long> sent = new ConcurrentHashMap<>();
    private final AtomicLong ids = new AtomicLong();

    /**
     * One case.
     *
     * @param dwellMicros of each quiet message, sorted
     * @param flooded how many messages of others were handled meanwhile
     * @param batchMicros how long one batch of one consumer took on average; 0 where nobody floods
     */
    record Dwell(String name, double[] dwellMicros, long flooded, double batchMicros) {

        /** How many messages of others were handled a second. */
        double floodedPerSecond() {
            return batchMicros == 0 ? 0 : CONSUMERS * BATCH * 1e6 / batchMicros;
        }

        double percentile(double part) {
            return dwellMicros[(int) Math.min(dwellMicros.length - 1, Math.ceil(part * dwellMicros.length) - 1)];
        }
    }

    QuietTenant(BenchServer server) {
        this.server = server;
        this.mill = Millrace.connect(MillraceSettings.of(
                RedisSettings.builder(server.uri()).namespace("quiet").build()));
    }

    /**
     * Runs one case.
     *
     * @param flooders whose messages keep waiting; where they are {@link #quiet()} themselves these wait in their own flood, as in a plain list
     */
    Dwell run(String name, List<String> flooders, int seconds) {
        server.flush();
        sent.clear();
        mill.queues().register("q", ".*").block();
        AtomicLong waiting = new AtomicLong();
        AtomicLong flooded = new AtomicLong();
        List<Double> dwell = new ArrayList<>();
        Sinks.Empty<Void> end = Sinks.empty();
        if (!flooders.isEmpty()) {
            flood(flooders, waiting, BACKLOG).block(Duration.ofMinutes(2));
        }
        Mono<Void> consuming = Flux.range(0, CONSUMERS)
                .flatMap(i -> consume(waiting, flooded, dwell, end.asMono()), CONSUMERS)
                .then();
        Mono<Void> flooding = flooders.isEmpty()
                ? Mono.empty()
                : Mono.defer(() -> flood(flooders, waiting, BACKLOG - (int) waiting.get()))
                        .repeat()
                        .takeUntilOther(end.asMono())
                        .then();
        Mono<Void> quiet = Flux.interval(Duration.ofMillis(500), Duration.ofMillis(1000 / TENANTS))
                .take((long) seconds * TENANTS)
                .onBackpressureBuffer()
                .flatMap(tick -> one((int) (tick % TENANTS)), TENANTS)
                .then(Mono.delay(Duration.ofSeconds(2)))
                .then(Mono.fromRunnable(end::tryEmitEmpty));
        long began = System.nanoTime();
        Mono.when(consuming, flooding, quiet).block(Duration.ofMinutes(10));
        double micros = (System.nanoTime() - began) / 1e3;
        double batches = flooded.get() / (double) BATCH / CONSUMERS;
        double[] sorted;
        synchronized (dwell) {
            sorted = dwell.stream().mapToDouble(d -> d).sorted().toArray();
        }
        return new Dwell(name, sorted, flooded.get(), batches == 0 ? 0 : micros / batches);
    }

    private Mono<Void> consume(AtomicLong waiting, AtomicLong flooded, List<Double> dwell, Mono<Void> end) {
        ConsumeOptions options = ConsumeOptions.builder()
                .lease(LeaseOptions.builder().batchSize(BATCH).build())
                .concurrency(1)
                .scheduler(Schedulers.immediate())
                .until(end)
                .build();
        return mill.queue("q")
                .consumeBatches(
                        messages -> {
                            long now = System.nanoTime();
                            for (Message message : messages) {
                                Long from = sent.remove(message.id());
                                if (from == null) {
                                    flooded.incrementAndGet();
                                    waiting.decrementAndGet();
                                } else {
                                    synchronized (dwell) {
                                        dwell.add((now - from) / 1e3);
                                    }
                                }
                            }
                            return Mono.delay(WORK);
                        },
                        options);
    }

    private Mono<Void> one(int tenant) {
        return Mono.defer(() -> {
            String id = "quiet-" + ids.incrementAndGet();
            sent.put(id, System.nanoTime());
            return mill.deliver(Event.of(quiet().get(tenant), "page", "n")
                            .withId(id)
                            .withData(FILL))
                    .then();
        });
    }

    private Mono<Void> flood(List<String> flooders, AtomicLong waiting, int count) {
        if (count < BATCH) {
            return Mono.delay(Duration.ofMillis(1)).then();
        }
        int batches = Math.min(count / BATCH, 50);
        return Flux.range(0, batches)
                .flatMap(
                        batch -> {
                            List<Event> events = new ArrayList<>(BATCH);
                            for (int i = 0; i < BATCH; i++) {
                                events.add(Event.of(flooders.get(i % flooders.size()), "page", "n")
                                        .withData(FILL));
                            }
                            waiting.addAndGet(BATCH);
                            return mill.queues().deliverAll(events);
                        },
                        2)
                .then(Mono.defer(() -> count > batches * BATCH && waiting.get() < BACKLOG
                        ? flood(flooders, waiting, count - batches * BATCH)
                        : Mono.empty()));
    }

    static List<String> tenants(int count) {
        return named("flood-", count);
    }

    /** The quiet ones. */
    static List<String> quiet() {
        return named("quiet-", TENANTS);
    }

    private static List<String> named(String prefix, int count) {
        String[] names = new String[count];
        Arrays.setAll(names, i -> prefix + i);
        return List.of(names);
    }

    @Override
    public void close() {
        mill.shutdown().block(Duration.ofSeconds(10));
    }
}
