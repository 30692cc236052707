package io.millrace.server;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.MultiGauge;
import io.micrometer.core.instrument.MultiGauge.Row;
import io.micrometer.core.instrument.Tags;
import io.millrace.Millrace;
import io.millrace.stream.StreamState;
import io.millrace.stream.StreamState.ConsumerState;
import java.util.ArrayList;
import java.util.List;
import java.util.function.ToDoubleFunction;
import reactor.core.publisher.Mono;

/** Figures of change streams, looked at when they are asked for. Tags: stream, and consumers that are registered. */
final class StreamMetrics {

    private final MultiGauge length;
    private final MultiGauge notes;
    private final MultiGauge lag;
    private final MultiGauge age;
    private final MultiGauge backfillLag;
    private final MultiGauge dead;
    private final MultiGauge active;

    StreamMetrics(MeterRegistry registry) {
        this.length = gauge(registry, "length", "Entries that were not trimmed");
        this.notes = gauge(registry, "notes", "Repair notes that wait");
        this.lag = gauge(registry, "lag", "Entries a consumer has not committed");
        this.age = gauge(registry, "lag.age.seconds", "Since when the first of them has been there");
        this.backfillLag = gauge(registry, "backfill.lag", "Entries of backfills that wait for a consumer");
        this.dead = gauge(registry, "dead", "Entries a consumer could not handle");
        this.active = gauge(registry, "active", "1 if an instance of a consumer is active");
    }

    /** Looks at the streams anew. */
    Mono<Void> look(Millrace mill, int most) {
        return mill.streams()
                .names()
                .take(most)
                .concatMap(name -> mill.streams().stream(name).state())
                .collectList()
                .doOnNext(this::keep)
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
