package io.millrace.stream;

import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Removes from a stream what every registered consumer has committed, and nothing else. Without a registered consumer it removes
 * nothing. A consumer that stands still holds everything back; it is reported, and only {@link ChangeStream#unregister} or {@link
 * #before} lets go of what it has not read.
 *
 * <p>With {@link Streams#rubyKeys keys of the Ruby library} its consumers count as registered once they have committed anything; until
 * then register them by hand. To find them each pass looks through the names of all keys.
 */
public final class Trimmer {

    /** How old the first entry may be that a consumer has not committed before it is reported as stale: 1 h. */
    public static final Duration DEFAULT_STALE_AFTER = Duration.ofHours(1);

    /** The pause between passes: 30 s. */
    public static final Duration DEFAULT_EVERY = Duration.ofSeconds(30);

    private static final Logger log = LoggerFactory.getLogger(Trimmer.class);

    private static final int AT_ONCE = 10_000;
    private static final Duration LEAST = Duration.ofMillis(10);

    /**
     * What one pass did.
     *
     * @param removed how many entries
     * @param heldBackBy who has committed least; empty if nobody is registered
     * @param stale whose offset is older than allowed while there are entries behind it
     */
    public record Report(long removed, List<String> heldBackBy, List<String> stale) {}

    private final Redis redis;
    private final Layout layout;
    private final Duration every;
    private final Duration staleAfter;
    private final Set<String> told = ConcurrentHashMap.newKeySet();

    Trimmer(Redis redis, Layout layout) {
        this(redis, layout, DEFAULT_EVERY, DEFAULT_STALE_AFTER);
    }

    private Trimmer(Redis redis, Layout layout, Duration every, Duration staleAfter) {
        this.redis = redis;
        this.layout = layout;
        this.every = every;
        this.staleAfter = staleAfter;
    }

    /** The same with another pause between passes; 10 ms or more, 30 s by default. */
    public Trimmer every(Duration pause) {
        if (pause.compareTo(LEAST) < 0) {
            throw new IllegalArgumentException("every must be " + LEAST + " or more, was " + pause);
        }
        return new Trimmer(redis, layout, pause, staleAfter);
    }

    /** The same with another idea of who is stale. */
    public Trimmer staleAfter(Duration age) {
        return new Trimmer(redis, layout, every, age);
    }

    /** One pass over all shards. */
    public Mono<Report> runOnce() {
        return layout.shards()
                .flatMapIterable(shards -> shards)
                .concatMap(keys -> othersKnown(keys).then(Mono.defer(() -> pass(keys, ""))))
                .reduce(new Report(0, List.of(), List.of()), Trimmer::plus);
    }

    /**
     * Removes everything before an id, read or not. A consumer that has not read it gets a {@link Gap}.
     *
     * @return how many entries were removed
     */
    public Mono<Long> before(EntryId id) {
        return layout.shards()
                .flatMapIterable(shards -> shards)
                .concatMap(keys -> pass(keys, id.toString()))
                .reduce(0L, (sum, report) -> sum + report.removed());
    }

    /** One pass after the other, with a pause in between, until cancelled; goes on by itself after trouble with Redis. */
    public Mono<Void> run() {
        return reports().then();
    }

    /** As {@link #run}, telling what each pass did. */
    public Flux<Report> reports() {
        return runOnce()
                .onErrorResume(Delayer::isPassing, error -> {
                    log.warn("streams cannot be trimmed for now, trying again: {}", error.getMessage());
                    return Mono.empty();
                })
                .repeatWhen(passes -> passes.delayElements(every, redis.worker()))
                .takeUntilOther(redis.closed());
    }

    /**
     * Consumers of the Ruby library register nowhere: each that has ever committed has an offset, and is registered by it before
     * anything is removed. So all keys are looked through, some at a time.
     */
    private Mono<Void> othersKnown(StreamKeys keys) {
        String pattern = keys.offsets().replaceAll("([\\[\\]*?\\\\])", "\\\\$1") + "*";
        Mono<Reply> first = scan("0", pattern);
        return !keys.ruby()
                ? Mono.empty()
                : first.expand(page -> page.text(0).equals("0") ? Mono.empty() : scan(page.text(0), pattern))
                        .concatMap(page -> {
                            List<Object> words = new ArrayList<>(List.of(StreamKeys.bytes(keys.unit() + "consumers")));
                            Reply found = page.list(1);
                            for (int i = 0; i < found.size(); i++) {
                                words.add(found.text(i).substring(keys.offsets().length()));
                            }
                            return words.size() == 1 ? Mono.empty() : Calls.call(redis, "SADD", words.toArray());
                        })
                        .then();
    }

    private Mono<Reply> scan(String cursor, String pattern) {
        return Calls.call(redis, "SCAN", cursor, "MATCH", pattern, "COUNT", AT_ONCE)
                .map(Reply::of);
    }

    private Mono<Report> pass(StreamKeys keys, String before) {
        return redis.run(
                        StreamScripts.TRIM,
                        List.of(keys.logKey(), keys.unitKey(), StreamKeys.bytes(keys.offsets())),
                        List.of(StreamKeys.bytes(AT_ONCE), StreamKeys.bytes(before)))
                .repeat()
                .takeUntil(reply -> reply.number(3) == 0)
                .map(reply -> report(keys, reply))
                .reduce(Trimmer::plus);
    }

    private Report report(StreamKeys keys, Reply reply) {
        List<String> heldBackBy = new ArrayList<>();
        List<String> stale = new ArrayList<>();
        @Nullable EntryId least = null;
        for (int i = 4; i < reply.size(); i += 3) {
            String consumer = reply.text(i);
            EntryId offset = EntryId.parse(reply.text(i + 1));
            if (least == null || least.isAfter(offset)) {
                heldBackBy.clear();
                least = offset;
            }
            if (least.equals(offset)) {
                heldBackBy.add(consumer);
            }
            long waitingMs = reply.number(i + 2);
            if (waitingMs > staleAfter.toMillis()) {
                stale.add(consumer);
                if (told.add(keys.shard() + "/" + consumer)) {
                    log.warn(
                            "consumer \"{}\" of stream \"{}\" has not read what was added {} ago; nothing behind its offset {} is removed",
                            consumer,
                            keys.stream(),
                            Duration.ofMillis(waitingMs),
                            offset);
                }
            } else {
                told.remove(keys.shard() + "/" + consumer);
            }
        }
        return new Report(reply.number(1), heldBackBy, stale);
    }

    private static Report plus(Report one, Report other) {
        return new Report(
                one.removed() + other.removed(),
                union(one.heldBackBy(), other.heldBackBy()),
                union(one.stale(), other.stale()));
    }

    private static List<String> union(List<String> one, List<String> other) {
        List<String> all = new ArrayList<>(one);
        other.stream().filter(name -> !all.contains(name)).forEach(all::add);
        return all;
    }
}
