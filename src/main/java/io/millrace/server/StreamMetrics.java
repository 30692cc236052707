package io.millrace.server;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.MultiGauge;
import io.micrometer.core.instrument.MultiGauge.Row;
import io.micrometer.core.instrument.Tags;
import io.millrace.Millrace;
import io.millrace.stream.StreamState;
import io.millrace.stream.StreamState.ConsumerState;
import io.millrace.stream.Upkeep;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.ToDoubleFunction;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Figures of change streams, looked at when they are asked for. Tags: stream, and consumers that are registered. */
final class StreamMetrics {

    /** Counting entries costs the server; whoever is this far behind is known to be. */
    static final int COUNTED = 10_000;

    private final MeterRegistry registry;
    private final Set<String> kept = ConcurrentHashMap.newKeySet();
    private final MultiGauge length;
    private final MultiGauge notes;
    private final MultiGauge lag;
    private final MultiGauge age;
    private final MultiGauge backfillLag;
    private final MultiGauge dead;
    private final MultiGauge active;
    private final MultiGauge oldestNote;
    private final MultiGauge paused;
    private final AtomicInteger leftOut = new AtomicInteger();

    StreamMetrics(MeterRegistry registry) {
        this.registry = registry;
        this.length = gauge(registry, "length", "Entries that were not trimmed");
        this.notes = gauge(registry, "notes", "Repair notes that wait");
        this.lag =
                gauge(registry, "lag", "Entries a consumer has not committed, counted up to " + COUNTED + " a shard");
        this.age = gauge(registry, "lag.age.seconds", "Since when the first of them has been there");
        this.backfillLag = gauge(registry, "backfill.lag", "Entries of backfills that wait for a consumer");
        this.dead = gauge(registry, "dead", "Entries a consumer could not handle");
        this.active = gauge(registry, "active", "1 if an instance of a consumer is active");
        this.oldestNote = gauge(registry, "notes.oldest.age.seconds", "Since when the oldest repair note waits");
        this.paused = gauge(registry, "paused", "1 if a consumer is paused");
        Gauge.builder("millrace.streams.left.out", leftOut, AtomicInteger::get)
                .description("Streams whose figures are missing here: beyond the first " + Metrics.MAX_QUEUES
                        + ", or not looked at in time")
                .register(registry);
    }

    /** Counts what this process did to a stream. Those beyond the first so many are counted together, without a name. */
    void kept(Upkeep.Report report) {
        String stream = report.stream();
        boolean known = kept.contains(stream) || (kept.size() < Metrics.MAX_QUEUES && kept.add(stream));
        count("notes.moved", "Repair notes this process moved", known ? stream : "", report.moved());
        count(
                "trimmed",
                "Entries this process removed, all having committed them",
                known ? stream : "",
                report.removed());
    }

    private void count(String name, String description, String stream, long many) {
        Counter.builder("millrace.stream." + name)
                .description(description)
                .tags("stream", stream)
                .register(registry)
                .increment((double) many);
    }

    /** Looks at the streams anew, for so long at the most; of what was not reached there are no figures. */
    Mono<Void> look(Millrace mill, int most, Duration budget) {
        return mill.streams()
                .names()
                .collectList()
                .flatMap(names -> Flux.fromIterable(names)
                        .take(most)
                        .concatMap(name ->
                                mill.streams().stream(name).state(COUNTED).collectList())
                        .take(budget, mill.redis().worker())
                        .collectList()
                        .doOnNext(looked -> {
                            leftOut.set(names.size() - looked.size());
                            keep(looked.stream().flatMap(List::stream).toList());
                        }))
                .then();
    }

    private void keep(List<StreamState> states) {
        rows(length, states, StreamState::length);
        rows(notes, states, StreamState::notes);
        consumers(lag, states, ConsumerState::lag);
        consumers(age, states, state -> state.age().toMillis() / 1000.0);
        consumers(backfillLag, states, ConsumerState::backfillLag);
        consumers(dead, states, ConsumerState::deadLetters);
        consumers(active, states, state -> state.active() ? 1 : 0);
        consumers(paused, states, state -> state.paused() ? 1 : 0);
        rows(
                oldestNote,
                states,
                state -> state.oldestNote() == null ? 0 : state.oldestNote().toMillis() / 1000.0);
    }

    private static void rows(MultiGauge gauge, List<StreamState> states, ToDoubleFunction<StreamState> value) {
        gauge.register(
                states.stream()
                        .<Row<?>>map(state -> Row.of(tags(state), value.applyAsDouble(state)))
                        .toList(),
                true);
    }

    private static void consumers(MultiGauge gauge, List<StreamState> states, ToDoubleFunction<ConsumerState> value) {
        List<Row<?>> rows = new ArrayList<>();
        for (StreamState state : states) {
            state.consumers()
                    .forEach(one ->
                            rows.add(Row.of(tags(state).and("consumer", one.name()), value.applyAsDouble(one))));
        }
        gauge.register(rows, true);
    }

    private static Tags tags(StreamState state) {
        return Tags.of("stream", state.stream(), "shard", String.valueOf(state.shard()));
    }

    private static MultiGauge gauge(MeterRegistry registry, String name, String description) {
        return MultiGauge.builder("millrace.stream." + name)
                .description(description)
                .register(registry);
    }
}
