package io.millrace.stream;

import static io.millrace.stream.StreamRig.SOON;

import io.millrace.Millrace;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.ReadmeSnippet;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;

/** The README's change stream is compiled here, runs, and is the same as there. */
@RedisTest
class ReadmeStreamsIT {

    private record ProductChanged(int id) {}

    private static final class Database {
        Mono<Long> updateAll(List<Integer> ids) {
            return Mono.just((long) ids.size());
        }
    }

    private static final class Index {
        final Set<Integer> indexed = ConcurrentHashMap.newKeySet();

        Mono<Void> bulk(List<ProductChanged> changes) {
            return Mono.fromRunnable(() -> changes.forEach(change -> indexed.add(change.id())));
        }
    }

    private final Database db = new Database();
    private final Index index = new Index();

    @Test
    @DisplayName("the README's change stream: a bulk, a consumer, a delayer, a trimmer")
    void example(RedisServer redis, @Namespace String namespace) {
        try (StreamRig rig = StreamRig.on(redis, namespace)) {
            Millrace mill = rig.mill;
            List<Integer> ids = List.of(1, 2, 3);
            // <streams>
            StreamProducer products = mill.streams().producer("products");
            products.bulk(ids, db.updateAll(ids))
                    .subscribe(); // note, work, entry; also when the work fails or is cancelled

            mill.streams()
                    .consumer("products", "indexer")
                    .batchSize(500)
                    .consume(batch -> index.bulk(batch.latest().payloads(ProductChanged.class)))
                    .subscribe();
            mill.streams().delayer("products", Duration.ofMinutes(5)).run().subscribe(); // longer than any transaction
            mill.streams().trimmer("products").run().subscribe();
            // </streams>
            Eventually.await("all indexed", SOON, () -> index.indexed.equals(Set.of(1, 2, 3)));
        }
    }

    @Test
    @DisplayName("the README shows exactly the change stream that is compiled here")
    void readmeShowsIt() {
        ReadmeSnippet.assertShown(ReadmeStreamsIT.class, "streams");
    }
}
