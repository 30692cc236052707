package io.millrace.stream;

import io.millrace.lock.Lock;
import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** The change streams of a namespace. Nothing is stored before something is produced or a consumer is registered. Thread safe. */
public final class Streams {

    private final Redis redis;
    private final Map<String, StreamProducer> producers = new ConcurrentHashMap<>();

    /** The streams in this Redis' namespace. */
    public Streams(Redis redis) {
        StreamScripts.load();
        Lock.load();
        this.redis = redis;
    }

    /** Tells a stream about changes. One instance a stream and process. */
    public StreamProducer producer(String stream) {
        return producers.computeIfAbsent(
                stream,
                name -> new StreamProducer(
                        name,
                        shards(name).stream()
                                .map(keys -> new Outlet(keys, announce(name), redis::run, StreamProducer.ID_WINDOW))
                                .toList()));
    }

    /** Reads a stream under a name. */
    public StreamConsumer consumer(String stream, String consumer) {
        return new StreamConsumer(redis, shards(stream), consumer, announce(stream), ConsumerOptions.defaults());
    }

    /**
     * Moves repair notes to a stream when they are so old.
     *
     * @param delay longer than the longest transaction that writes records of this stream; 0 to 365 days
     */
    public Delayer delayer(String stream, Duration delay) {
        return new Delayer(redis, shards(stream), delay);
    }

    /** Removes from a stream what every registered consumer has committed. */
    public Trimmer trimmer(String stream) {
        return new Trimmer(redis, shards(stream));
    }

    /** A stream to look after. */
    public ChangeStream stream(String name) {
        return new ChangeStream(redis, name, shards(name));
    }

    /** The names of all streams something was produced to or read from, sorted. */
    public Flux<String> names() {
        return redis.call("SMEMBERS", (Object) known())
                .map(Reply::of)
                .flatMapIterable(names -> IntStream.range(0, names.size())
                        .mapToObj(names::text)
                        .sorted()
                        .toList());
    }

    private Mono<Void> announce(String stream) {
        return redis.call("SADD", known(), StreamKeys.bytes(stream)).then();
    }

    private byte[] known() {
        return redis.keys().single("streams", "names");
    }

    private List<StreamKeys> shards(String stream) {
        return List.of(StreamKeys.of(redis.keys(), stream, 0));
    }
}
