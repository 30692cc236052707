package io.millrace.drain;

import static io.millrace.drain.DrainRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** A cache as a user would write it, by the numbers of resources. */
@RedisTest
class CacheIndexIT {

    private static final String URL = "https://example.com/widgets/1?a={b}";

    private DrainRig rig;
    private CacheIndex index;

    /** Variant to the number it was stored with. */
    private final Map<String, Long> stored = new HashMap<>();

    @BeforeEach
    void open(RedisServer server, @Namespace String namespace) {
        rig = DrainRig.on(server, namespace);
        index = rig.mill.cacheIndex();
    }

    @AfterEach
    void close() {
        rig.close();
    }

    private long current() {
        return index.current(URL).block(SOON);
    }

    private boolean isFresh(String variant) {
        return stored.get(variant) == current();
    }

    @Test
    @Tag("D5")
    @DisplayName("D5 an event makes every variant stale, and one that is fetched again does not revive another")
    void variants() {
        Drain drain = rig.mill
                .drain()
                .cacheBusting()
                .tokens("t")
                .expireCache(event -> index.raise(event.url()))
                .build();
        stored.put("v1", current());
        stored.put("v2", current());
        assertThat(isFresh("v1") && isFresh("v2")).isTrue();
        Disposable running = drain.start();
        DrainRig.send(drain, DrainRig.update(URL, 1));
        Eventually.await("the event has reached the cache", SOON, () -> !isFresh("v1"));
        assertThat(isFresh("v2")).isFalse();
        stored.put("v1", current());
        assertThat(isFresh("v1")).isTrue();
        assertThat(isFresh("v2")).as("nobody fetched it").isFalse();
        running.dispose();
    }

    @Test
    @Tag("D6")
    @DisplayName("D6 what a change overtakes while it is fetched is never fresh, not even when the number is lost")
    void overtaken() {
        long before = current();
        stored.put("slow", before);
        long raised = index.raise(URL).block(SOON);
        assertThat(raised).isGreaterThan(before);
        assertThat(isFresh("slow")).isFalse();
        String key = rig.mill.redis().keys().unitText("cache", URL, 0) + "index";
        assertThat(rig.mill.redis().call("DEL", key).block(SOON)).isEqualTo(1L);
        Eventually.await("the clock has gone on", SOON, () -> current() > raised);
        assertThat(isFresh("slow")).isFalse();
    }

    @Test
    @DisplayName("numbers only go up, whoever raises them; each resource has its own")
    void rising() {
        long other = index.current("https://example.com/other").block(SOON);
        List<Long> numbers = Flux.range(0, 200)
                .flatMap(i -> Mono.defer(() -> index.raise(URL)), 20)
                .collectList()
                .block(SOON);
        assertThat(numbers).doesNotHaveDuplicates();
        assertThat(current())
                .isEqualTo(numbers.stream().mapToLong(Long::longValue).max().orElseThrow());
        assertThat(index.current("https://example.com/other").block(SOON)).isEqualTo(other);
    }
}
