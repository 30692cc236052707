package io.millrace.queue;

import io.millrace.MillraceException;
import io.millrace.redis.Detached;
import io.millrace.redis.Redis;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.function.Function;
import org.reactivestreams.Publisher;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.SignalType;
import reactor.core.publisher.Sinks;

/** Handles what a {@link Reading} hands out: acknowledges, retries, keeps leases alive. One instance a subscription. */
final class Consuming {

    private static final Logger log = LoggerFactory.getLogger(Consuming.class);

    /** How long a reason of a dead letter may be. */
    private static final int MAX_REASON = 500;

    private final Redis redis;
    private final String name;
    private final Reading<?> reading;
    private final ConsumeOptions options;
    private final Set<Delivery> running = ConcurrentHashMap.newKeySet(); // or waiting for a handler

    Consuming(Redis redis, String name, Reading<?> reading, ConsumeOptions options) {
        this.redis = redis;
        this.name = name;
        this.reading = reading;
        this.options = options;
    }

    @SuppressWarnings("unchecked")
    Mono<Void> run(Function<? super Message, ? extends Publisher<?>> handler) {
        return run(
                ((Reading<Delivery>) reading).flux(Delivery.class, options.prefetch(), running::add),
                Delivery::giveBack,
                delivery -> handle(delivery, delivery.message(), () -> handler.apply(delivery.message())));
    }

    @SuppressWarnings("unchecked")
    Mono<Void> runBatches(Function<? super List<Message>, ? extends Publisher<?>> handler) {
        return run(
                ((Reading<DeliveryBatch>) reading)
                        .flux(DeliveryBatch.class, options.prefetch(), batch -> running.add(batch.lease())),
                DeliveryBatch::giveBack,
                batch -> handle(batch.lease(), batch.messages().get(0), () -> handler.apply(batch.messages())));
    }

    /** In flight to its handler. A type of its own, so that what a handler drops of its own deliveries is not given back for it. */
    private record Handed<T>(T what) {}

    @SuppressWarnings("unchecked")
    private <T> Mono<Void> run(Flux<T> handedOut, Consumer<T> giveBack, Function<T, Mono<Void>> handle) {
        Mono<Void> work = handedOut
                .map(Handed::new)
                .flatMap(handed -> handle.apply(handed.what()), options.concurrency(), 1)
                .doOnDiscard(
                        Handed.class, handed -> giveBack.accept((T) handed.what())) // cancelled on its way to a handler
                .then(Mono.defer(reading::acknowledgeRest))
                .takeUntilOther(ending());
        return options.extendLeases() ? work.takeUntilOther(renewals()) : work;
    }

    /**
     * Tells the loop when to end; ends never itself. Not an operator on what is handed out: one that ends a flux drops what it gets in
     * that very moment, and the message would stay leased.
     */
    private Mono<Void> ending() {
        return Flux.from(options.until())
                .next()
                .then(Mono.fromRunnable(reading::stop))
                .then(Mono.never());
    }

    private Mono<Void> handle(Delivery lease, Message message, java.util.function.Supplier<Publisher<?>> call) {
        if (isOver(lease)) {
            running.remove(lease);
            log.warn(
                    "message {} in queue \"{}\" waited for a handler for longer than its lease; it comes again",
                    message.id(),
                    name);
            return Mono.empty();
        }
        if (options.prefetch() > 0 && reading.isStopping()) {
            return release(lease, message);
        }
        AtomicBoolean begun = new AtomicBoolean(); // the call; or there will be none
        AtomicBoolean settled = new AtomicBoolean();
        return limited(() -> begun.compareAndSet(false, true) ? call.get() : Mono.never())
                .then(Mono.defer(() -> {
                    Mono<Void> acknowledged = acknowledge(lease);
                    settled.set(true);
                    return acknowledged;
                }))
                .onErrorResume(error -> {
                    settled.set(true);
                    return retry(lease, message, error);
                })
                .doFinally(end -> {
                    finish(lease);
                    if (settled.compareAndSet(false, true)) { // cancelled: the next consumer may have it at once
                        if (begun.compareAndSet(false, true)) {
                            lease.giveBack(); // no thread was free for it yet
                        } else {
                            lease.abandon("its consumer was stopped while handling it");
                        }
                    } else if (end == SignalType.CANCEL) {
                        reading.flushAcknowledgements();
                    }
                });
    }

    /** What was leased ahead and could not be kept is somebody else's by now. */
    private boolean isOver(Delivery lease) {
        return !running.contains(lease)
                || System.nanoTime() - lease.leasedNanos()
                        >= options.lease().lease().toNanos();
    }

    /** What waits when consuming ends: others may have it at once, as if it had never been taken. */
    private Mono<Void> release(Delivery lease, Message message) {
        finish(lease);
        return toItsEnd(message, lease.release());
    }

    /** The time begins with the call, not while a thread is waited for, and ends it also when the call itself blocks. */
    private Mono<Void> limited(java.util.function.Supplier<Publisher<?>> call) {
        Duration timeout = options.handlerTimeout();
        if (timeout == null) {
            return Mono.defer(() -> called(call)).subscribeOn(options.scheduler());
        }
        return Mono.defer(() -> {
            Sinks.Empty<Void> begun = Sinks.empty();
            Mono<Void> work = Mono.defer(() -> {
                begun.tryEmitEmpty();
                return called(call);
            });
            return work.subscribeOn(options.scheduler())
                    .timeout(
                            begun.asMono().then(Mono.delay(timeout, redis.worker())),
                            Mono.error(() -> new TimeoutException("its handler took longer than " + timeout)));
        });
    }

    /** Reactor takes these errors for the end of the process and lets them pass; here they are a handler's that failed. */
    private static Mono<Void> called(java.util.function.Supplier<Publisher<?>> call) {
        try {
            return Mono.when(call.get());
        } catch (LinkageError | StackOverflowError e) {
            return Mono.error(new MillraceException("its handler failed: " + e, false, e));
        }
    }

    /** What is done is done: a cancel that comes while an extension is under way does not keep it from being acknowledged. */
    private Mono<Void> acknowledge(Delivery lease) {
        finish(lease);
        return lease.isExtending()
                ? Detached.run(
                                lease.settled()
                                        .flatMap(receipt -> reading.acknowledge(lease, receipt))
                                        .thenReturn(true),
                                done -> {})
                        .then()
                : reading.acknowledge(lease, lease.receipt());
    }

    /** Before the receipt is read: no extension may change it any more. */
    private void finish(Delivery lease) {
        running.remove(lease);
        lease.finish();
    }

    private Mono<Void> retry(Delivery lease, Message message, Throwable error) {
        finish(lease);
        Duration delay = options.delayAfter(
                message.attempt(), ThreadLocalRandom.current().nextDouble());
        log.warn(
                "attempt {} of message {} in queue \"{}\" failed: {}",
                message.attempt(),
                message.id(),
                name,
                error.toString());
        return toItsEnd(message, lease.nack(delay, reason(error)));
    }

    /** A cancel would withdraw what is not sent yet. */
    private static Mono<Void> toItsEnd(Message message, Mono<Boolean> ending) {
        return Detached.run(ending, done -> {})
                .onErrorResume(away -> {
                    log.warn("message {} comes again when its lease ends: {}", message.id(), away.getMessage());
                    return Mono.empty();
                })
                .then();
    }

    /** Every sixth of the lease time extends what is running and a third into its lease; ends never. */
    private Mono<Void> renewals() {
        Duration lease = options.lease().lease();
        long renewAfter = lease.toNanos() / 3;
        return Flux.interval(lease.dividedBy(6), redis.worker())
                .onBackpressureDrop()
                .concatMap(
                        tick -> Flux.fromIterable(running)
                                .filter(held -> System.nanoTime() - held.leasedNanos() >= renewAfter)
                                .flatMap(this::renew, 256),
                        1)
                .then();
    }

    private Mono<Boolean> renew(Delivery held) {
        return held.extend()
                .doOnNext(extended -> {
                    if (!extended && running.remove(held)) {
                        log.warn(
                                "the lease of message {} in queue \"{}\" ended while it was handled; it is handled again",
                                held.message().id(),
                                name);
                    }
                })
                .onErrorResume(away -> Mono.empty()); // the next tick tries again
    }

    private static String reason(Throwable error) {
        String text = error.toString();
        return text.length() > MAX_REASON ? text.substring(0, MAX_REASON) : text;
    }
}
