package io.millrace.server;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MultiGauge;
import io.micrometer.core.instrument.MultiGauge.Row;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import io.millrace.Millrace;
import io.millrace.MillraceException;
import io.millrace.drain.Drain;
import io.millrace.drain.DrainState;
import io.millrace.queue.Delivered;
import io.millrace.stream.Upkeep;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/**
 * What is counted, for Prometheus. Tags have few values: routes, methods, statuses and registered queues, streams and consumers; never a facet, an id, or a
 * name that a caller made up.
 */
final class Metrics {

    /** How many queues are looked at for one scrape. */
    static final int MAX_QUEUES = 100;

    private static final long MAX_AGE_NANOS = Duration.ofSeconds(5).toNanos();
    private static final Duration LOOK_BUDGET = Duration.ofSeconds(3);

    private final Millrace mill;
    private final @Nullable Drain drain;
    private final AtomicReference<DrainState> drained =
            new AtomicReference<>(new DrainState(0, 0, 0, Duration.ZERO, 0, 0, Duration.ZERO));
    private final PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
    private final Counter delivered;
    private final Counter duplicates;
    private final Counter rejected;
    private final Counter overLimit;
    private final Counter displaced;
    private final Counter pulled;
    private final Counter acknowledged;
    private final Counter refused;
    private final MultiGauge waiting = gauge("waiting", "Messages that can be pulled");
    private final MultiGauge facets = gauge("facets", "Facets that have messages");
    private final MultiGauge inFlight = gauge("in.flight", "Messages that are leased");
    private final MultiGauge later = gauge("later", "Messages held back");
    private final MultiGauge dead = gauge("dead", "Messages that were given up");
    private final MultiGauge oldest = MultiGauge.builder("millrace.queue.oldest.age")
            .description("Since when the oldest message has been there")
            .baseUnit("seconds")
            .register(registry);
    private final DwellMetrics dwell = new DwellMetrics();
    private final StreamMetrics streams = new StreamMetrics(registry);
    private final AtomicBoolean looking = new AtomicBoolean();
    private final AtomicInteger up = new AtomicInteger();
    private final AtomicInteger leftOut = new AtomicInteger();
    private volatile long looked = System.nanoTime() - MAX_AGE_NANOS;

    Metrics(Millrace mill, @Nullable Drain drain, AtomicInteger requests, AtomicInteger listeners) {
        this.mill = mill;
        this.drain = drain;
        registry.getPrometheusRegistry().register(dwell);
        if (drain != null) {
            drainGauge("drain.stored", "Batches that are safe and not done with", null, DrainState::stored);
            drainGauge("drain.in.flight", "Batches that are processed", null, DrainState::inFlight);
            drainGauge("drain.retried", "Batches that have failed and are tried again", null, DrainState::retried);
            drainGauge(
                    "drain.oldest.age",
                    "Since when the oldest batch has been there",
                    "seconds",
                    state -> state.oldestBatch().toMillis() / 1000.0);
            drainGauge("dirty.urls", "URLs that are dirty", null, state -> state.dirty() + state.swept());
            drainGauge(
                    "dirty.oldest.age",
                    "Since when the URL that waits longest has been dirty",
                    "seconds",
                    state -> state.oldestDirty().toMillis() / 1000.0);
        }
        this.delivered = counter("events.delivered", "Events that were delivered, known ones included");
        this.duplicates = counter("events.duplicate", "Delivered events that a queue had already");
        this.rejected = counter("events.rejected", "Events that were none");
        this.overLimit = counter("events.refused", "Events that a queue refused, its limit being reached");
        this.displaced = counter("messages.displaced", "Messages dropped or replaced to make room for a newer one");
        this.pulled = counter("messages.pulled", "Messages handed out");
        this.acknowledged = counter("messages.acknowledged", "Messages acknowledged");
        this.refused = counter("acknowledgements.refused", "Acknowledgements of leases not held any more");
        Gauge.builder("millrace.http.in.flight", requests, AtomicInteger::get)
                .description("Requests under way")
                .register(registry);
        Gauge.builder("millrace.http.listeners", listeners, AtomicInteger::get)
                .description("Live listeners")
                .register(registry);
        Gauge.builder("millrace.redis.up", up, AtomicInteger::get)
                .description("1 if Redis answered when it was last asked")
                .register(registry);
        Gauge.builder("millrace.queues.left.out", leftOut, AtomicInteger::get)
                .description("Registered queues beyond the first " + MAX_QUEUES + ", whose figures are missing here")
                .register(registry);
        // Now, on the caller's thread: what the first scrape loads and initialises reads files.
        keep(List.of());
        registry.scrape();
    }

    void delivered(Delivered event) {
        delivered.increment();
        if (!event.duplicateIn().isEmpty()) {
            duplicates.increment();
        }
        if (!event.refusedBy().isEmpty()) {
            overLimit.increment();
        }
        displaced.increment(event.displaced().size());
    }

    void rejected() {
        rejected.increment();
    }

    void kept(Upkeep.Report report) {
        streams.kept(report);
    }

    void pulled(int messages) {
        pulled.increment(messages);
    }

    void acknowledged(int held, int gone) {
        acknowledged.increment(held);
        refused.increment(gone);
    }

    void request(String method, String route, int status, long nanos) {
        Timer.builder("millrace.http.requests")
                .description("Time from a request's head to the end of its answer")
                .tags("method", method, "route", route, "status", String.valueOf(status))
                .register(registry)
                .record(Duration.ofNanos(nanos));
    }

    /** All figures as text; queues are looked at anew if that was more than a few seconds ago. */
    Mono<String> scrape() {
        return look().then(Mono.fromSupplier(registry::scrape));
    }

    void close() {
        registry.close();
    }

    private Mono<Void> look() {
        return Mono.defer(() -> {
            if (System.nanoTime() - looked < MAX_AGE_NANOS || !looking.compareAndSet(false, true)) {
                return Mono.empty();
            }
            // Each has a budget of its own: what takes too long keeps nothing else from being shown.
            return Mono.when(
                            inTime(mill.redis()
                                    .call("PING")
                                    .timeout(LOOK_BUDGET)
                                    .doOnSuccess(pong -> up.set(1))
                                    .doOnError(away -> up.set(0))),
                            inTime(queues()),
                            inTime(streams.look(mill, MAX_QUEUES, LOOK_BUDGET.minusMillis(500))),
                            inTime(drain == null ? Mono.empty() : drain.state().doOnNext(drained::set)))
                    .doFinally(end -> {
                        looked = System.nanoTime();
                        looking.set(false);
                    });
        });
    }

    private Mono<?> queues() {
        return mill.queues()
                .registrations()
                .count()
                .flatMap(registered -> QueueState.all(mill)
                        .take(MAX_QUEUES)
                        .collectList()
                        .doOnNext(states -> {
                            leftOut.set((int) (registered - states.size()));
                            keep(states);
                        })
                        .delayUntil(states -> dwell.look(mill, states)));
    }

    /** What fails or is late keeps its figures from before. */
    private static Mono<Void> inTime(Mono<?> look) {
        return look.timeout(LOOK_BUDGET)
                .then()
                .onErrorResume(
                        e -> e instanceof MillraceException || e instanceof TimeoutException, away -> Mono.empty());
    }

    private void keep(List<QueueState> states) {
        rows(waiting, states, QueueState::waiting);
        rows(facets, states, state -> state.facets().size());
        rows(inFlight, states, QueueState::inFlight);
        rows(later, states, QueueState::later);
        rows(dead, states, QueueState::deadLetters);
        rows(oldest, states, state -> state.oldestAge().toMillis() / 1000.0);
    }

    private static void rows(MultiGauge gauge, List<QueueState> states, ToDoubleFunction<QueueState> value) {
        gauge.register(
                states.stream()
                        .<Row<?>>map(state -> Row.of(Tags.of("queue", state.queue()), value.applyAsDouble(state)))
                        .toList(),
                true);
    }

    private void drainGauge(
            String name, String description, @Nullable String unit, ToDoubleFunction<DrainState> value) {
        Gauge.builder("millrace." + name, drained, state -> value.applyAsDouble(state.get()))
                .description(description)
                .baseUnit(unit)
                .register(registry);
    }

    private Counter counter(String name, String description) {
        return Counter.builder("millrace." + name).description(description).register(registry);
    }

    private MultiGauge gauge(String name, String description) {
        return MultiGauge.builder("millrace.queue." + name)
                .description(description)
                .register(registry);
    }
}
