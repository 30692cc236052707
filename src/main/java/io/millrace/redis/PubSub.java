package io.millrace.redis;

import io.lettuce.core.RedisChannelHandler;
import io.lettuce.core.RedisConnectionStateListener;
import io.lettuce.core.pubsub.RedisPubSubAdapter;
import io.lettuce.core.pubsub.StatefulRedisPubSubConnection;
import io.millrace.MillraceException;
import java.net.SocketAddress;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.util.retry.Retry;

/**
 * What is published on channels, over one connection for all listeners. Lossy by nature: what is published while the connection is
 * away, or faster than a listener takes it, is gone, and a {@link Signal.Gap} says so.
 *
 * <p>The SUBSCRIBE commands are subscribed to here: they belong to all listeners of a channel; a failure ends their fluxes.
 */
public final class PubSub {

    private static final Logger log = LoggerFactory.getLogger(PubSub.class);

    /** What a listener gets. */
    public sealed interface Signal {

        /** From now on messages arrive; again after each reconnect. */
        record Listening() implements Signal {}

        /** A message. */
        record Message(byte[] channel, byte[] body) implements Signal {}

        /**
         * Messages are missing here.
         *
         * @param lost how many were dropped because the listener was slow; 0 when the connection was away and nobody knows
         */
        record Gap(long lost) implements Signal {}

        /** Listening is not possible, and trying again would not help. */
        record Failed(Throwable error) implements Signal {}
    }

    /** Ends what {@link #attach} began. */
    public interface Attachment extends AutoCloseable {

        @Override
        void close();
    }

    private record Topic(ByteBuffer name, boolean pattern) {

        static Topic of(byte[] name, boolean pattern) {
            return new Topic(ByteBuffer.wrap(name), pattern);
        }

        byte[] bytes() {
            byte[] bytes = new byte[name.remaining()];
            name.duplicate().get(bytes);
            return bytes;
        }
    }

    private final Mono<StatefulRedisPubSubConnection<byte[], byte[]>> connection;
    private final Scheduler scheduler;
    private final Map<Topic, List<Consumer<Signal>>> listeners = new ConcurrentHashMap<>();

    PubSub(Supplier<Mono<StatefulRedisPubSubConnection<byte[], byte[]>>> connect, Scheduler scheduler) {
        this.scheduler = scheduler;
        this.connection = Once.of(() -> connect.get().doOnNext(this::listenTo));
    }

    /**
     * Messages of one channel or glob pattern from the time of {@link Signal.Listening} on, until cancelled.
     *
     * @param channel its name, or a glob pattern
     * @param pattern which of both
     * @param maxElements how many messages are kept for a slow listener
     * @param maxBytes how many bytes of them
     */
    public Flux<Signal> listen(byte[] channel, boolean pattern, int maxElements, long maxBytes) {
        return Flux.defer(() -> {
            LossyBuffer<Signal> buffer = new LossyBuffer<>(maxElements, maxBytes, Signal.Gap::new, scheduler);
            AtomicReference<@Nullable Attachment> attachment = new AtomicReference<>();
            return buffer.flux(
                    () -> attachment.set(attach(channel, pattern, signal -> pass(signal, buffer))),
                    () -> close(attachment.get()));
        });
    }

    /**
     * Calls back for every signal of a channel or pattern until closed.
     *
     * @param callback is called on the connection's event loop: it must return at once
     */
    public Attachment attach(byte[] channel, boolean pattern, Consumer<Signal> callback) {
        Topic topic = Topic.of(channel, pattern);
        Consumer<Signal> own = signal -> callback.accept(signal); // not the same as another attachment of this callback
        listeners.compute(topic, (key, known) -> {
            List<Consumer<Signal>> all = known == null ? new CopyOnWriteArrayList<>() : known;
            all.add(own);
            return all;
        });
        subscribing(topic, () -> isAttached(topic, own))
                .subscribe(
                        done -> {},
                        error -> {
                            if (isAttached(topic, own)) { // else nobody asks any more
                                own.accept(new Signal.Failed(error));
                            }
                        },
                        () -> own.accept(new Signal.Listening()));
        return () -> detach(topic, own);
    }

    private boolean isAttached(Topic topic, Consumer<Signal> callback) {
        return listeners.getOrDefault(topic, List.of()).contains(callback);
    }

    private void detach(Topic topic, Consumer<Signal> callback) {
        boolean[] last = new boolean[1];
        listeners.computeIfPresent(topic, (key, known) -> {
            last[0] = known.remove(callback) && known.isEmpty();
            return known.isEmpty() ? null : known;
        });
        if (last[0]) {
            connection
                    .filter(open -> !listeners.containsKey(topic))
                    .flatMap(open -> topic.pattern()
                            ? open.reactive().punsubscribe(topic.bytes())
                            : open.reactive().unsubscribe(topic.bytes()))
                    .subscribe(
                            done -> {},
                            error -> log.debug("unsubscribing failed; the connection is away", error),
                            () -> subscribeAgainIfWanted(topic));
        }
    }

    /**
     * Completes when the server has heard of it. A SUBSCRIBE to what is subscribed is answered all the same: that is how later listeners,
     * and all of them after a reconnect, learn that they are heard.
     */
    private Mono<Void> subscribing(Topic topic, BooleanSupplier wanted) {
        return connection
                .flatMap(open -> subscribe(open, topic))
                .onErrorMap(RedisErrors::translate)
                .retryWhen(Retry.backoff(Long.MAX_VALUE, Duration.ofMillis(50))
                        .maxBackoff(ClientProfile.MAX_RECONNECT_DELAY)
                        .filter(error -> wanted.getAsBoolean()
                                && error instanceof MillraceException failure
                                && failure.retryable()));
    }

    /**
     * After a reconnect; and somebody may have come while the last one's UNSUBSCRIBE was on its way, and been unsubscribed with it.
     */
    private void subscribeAgainIfWanted(Topic topic) {
        if (listeners.containsKey(topic)) {
            subscribing(topic, () -> listeners.containsKey(topic))
                    .subscribe(
                            done -> {},
                            error -> log.debug("subscribing failed; the connection is away", error),
                            () -> tell(topic, new Signal.Listening()));
        }
    }

    private static Mono<Void> subscribe(StatefulRedisPubSubConnection<byte[], byte[]> open, Topic topic) {
        return topic.pattern()
                ? open.reactive().psubscribe(topic.bytes())
                : open.reactive().subscribe(topic.bytes());
    }

    private static void pass(Signal signal, LossyBuffer<Signal> buffer) {
        if (signal instanceof Signal.Failed failed) {
            buffer.fail(failed.error());
        } else if (signal instanceof Signal.Message message) {
            buffer.offer(message, message.channel().length + message.body().length);
        } else {
            buffer.offer(signal, 0);
        }
    }

    private static void close(@Nullable Attachment attachment) {
        if (attachment != null) {
            attachment.close();
        }
    }

    private void listenTo(StatefulRedisPubSubConnection<byte[], byte[]> open) {
        open.addListener(new RedisPubSubAdapter<>() {
            @Override
            public void message(byte[] channel, byte[] body) {
                dispatch(Topic.of(channel, false), channel, body);
            }

            @Override
            public void message(byte[] pattern, byte[] channel, byte[] body) {
                dispatch(Topic.of(pattern, true), channel, body);
            }
        });
        open.addListener(new RedisConnectionStateListener() {
            @Override
            public void onRedisDisconnected(RedisChannelHandler<?, ?> handler) {
                listeners.keySet().forEach(topic -> tell(topic, new Signal.Gap(0)));
            }

            @Override
            public void onRedisConnected(RedisChannelHandler<?, ?> handler, SocketAddress address) {
                listeners.keySet().forEach(PubSub.this::subscribeAgainIfWanted);
            }
        });
    }

    private void dispatch(Topic topic, byte[] channel, byte[] body) {
        tell(topic, new Signal.Message(channel, body));
    }

    private void tell(Topic topic, Signal signal) {
        List<Consumer<Signal>> all = listeners.get(topic);
        if (all != null) {
            all.forEach(callback -> callback.accept(signal));
        }
    }
}
