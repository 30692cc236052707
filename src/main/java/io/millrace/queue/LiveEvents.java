package io.millrace.queue;

import io.millrace.Event;
import io.millrace.MalformedEventException;
import io.millrace.json.EventCodec;
import io.millrace.redis.PubSub;
import io.millrace.redis.Redis;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Listens to events as they are delivered, whether a queue wants them or not. Lossy by nature, and it says so: what happens while the
 * connection is away, or faster than the listener takes it, is gone. Who must not miss anything registers a queue.
 */
public final class LiveEvents {

    /** How many events are kept for a slow listener. */
    public static final int BUFFERED_EVENTS = 4_096;

    /** How many bytes of events are kept for a slow listener. */
    public static final long BUFFERED_BYTES = 16L << 20;

    private static final Logger log = LoggerFactory.getLogger(LiveEvents.class);

    private final Redis redis;

    /** For the facade. */
    public LiveEvents(Redis redis) {
        this.redis = redis;
    }

    /**
     * Events whose topic, {@code environment:type:name}, matches a Redis glob pattern such as {@code *:page:*google*}. Where some are
     * missing a warning is logged; use {@link #signals} to act on it. Never ends by itself.
     */
    public Flux<Event> events(String pattern) {
        return signals(pattern).handle((signal, sink) -> {
            if (signal instanceof LiveSignal.Heard heard) {
                sink.next(heard.event());
            } else if (signal instanceof LiveSignal.Gap gap) {
                log.warn(
                        "events matching {} are missing here: {}",
                        pattern,
                        gap.lost() == 0 ? "the connection to Redis was away" : gap.lost() + " came too fast");
            }
        });
    }

    /**
     * As {@link #events}, with word of when listening began and of what is missing.
     *
     * <p>Demand is met from a buffer of {@value #BUFFERED_EVENTS} events; what comes on top is dropped and told as a
     * {@link LiveSignal.Gap} in its place. Signals arrive on Millrace's worker threads.
     */
    public Flux<LiveSignal> signals(String pattern) {
        return redis.pubSub()
                .listen(redis.keys().topicPattern(pattern), true, BUFFERED_EVENTS, BUFFERED_BYTES)
                .concatMap(LiveEvents::heard, 0)
                .takeUntilOther(redis.closed());
    }

    private static Mono<LiveSignal> heard(PubSub.Signal signal) {
        if (signal instanceof PubSub.Signal.Listening) {
            return Mono.just(new LiveSignal.Listening());
        }
        if (signal instanceof PubSub.Signal.Gap gap) {
            return Mono.just(new LiveSignal.Gap(gap.lost()));
        }
        if (signal instanceof PubSub.Signal.Message message && message.body().length > 0 && message.body()[0] == '{') {
            try {
                return Mono.just(new LiveSignal.Heard(EventCodec.read(message.body())));
            } catch (MalformedEventException e) {
                log.debug("something on an event channel is no event: {}", e.getMessage());
            }
        }
        return Mono.empty(); // a signal of ours, or somebody else's message, on a channel that the pattern matches too
    }
}
