package io.millrace.spring;

import io.millrace.stream.Change;
import io.millrace.stream.StreamProducer;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** What a transaction has written, by stream, equal changes once, in the order of first writes. Thread safe. */
final class Gathered {

    private final Map<StreamProducer, Map<ByteBuffer, Change>> changes = new LinkedHashMap<>();

    /** False: it is there already. */
    synchronized boolean add(StreamProducer producer, Change change) {
        return changes.computeIfAbsent(producer, any -> new LinkedHashMap<>())
                        .putIfAbsent(ByteBuffer.wrap(change.payload()), change)
                == null;
    }

    synchronized boolean has(StreamProducer producer, Change change) {
        return changes.getOrDefault(producer, Map.of()).containsKey(ByteBuffer.wrap(change.payload()));
    }

    synchronized void clear() {
        changes.clear();
    }

    Mono<Void> takeNotes() {
        return each(StreamProducer::delayAll);
    }

    /** Never fails. */
    Mono<Void> queue() {
        return each(StreamProducer::queueOrLeave);
    }

    private Mono<Void> each(BiFunction<StreamProducer, List<Change>, Mono<Void>> work) {
        return Mono.defer(() -> Flux.fromIterable(all().entrySet())
                .flatMap(each -> work.apply(each.getKey(), each.getValue()))
                .then());
    }

    private synchronized Map<StreamProducer, List<Change>> all() {
        Map<StreamProducer, List<Change>> all = new LinkedHashMap<>();
        changes.forEach((producer, some) -> all.put(producer, List.copyOf(some.values())));
        return all;
    }
}
