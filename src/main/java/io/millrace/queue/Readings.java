package io.millrace.queue;

import io.millrace.lock.GroupKeys;
import io.millrace.lock.Lock;
import io.millrace.lock.LockKeys;
import io.millrace.lock.Membership;
import io.millrace.redis.Redis;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.ToIntFunction;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Begins to read a queue. Who reads a queue of several partitions is a member of its group and is given a share of them, which he reads
 * before all others. Shares are for speed only: messages are protected by their own leases.
 */
final class Readings {

    /** How long the number of a lease of a partition is remembered that nobody reads any more. */
    private static final Duration FENCE_MEMORY = Duration.ofMinutes(1);

    private final Redis redis;
    private final Partitions partitions;

    Readings(Redis redis, Partitions partitions) {
        this.redis = redis;
        this.partitions = partitions;
        Lock.load(); // on the caller's thread
    }

    /** A lease for each message. */
    <R> Flux<R> deliveries(LeaseOptions options, Function<Reading<Delivery>, Flux<R>> use) {
        return read(
                options,
                options.batchSize(),
                (partition, request) -> partition.pulls().each(options, request),
                each -> 1,
                Delivery::giveBack,
                use);
    }

    /** One lease for many. */
    <R> Flux<R> batches(LeaseOptions options, Function<Reading<DeliveryBatch>, Flux<R>> use) {
        return read(
                options,
                1,
                (partition, request) -> partition.pulls().batch(options, request),
                batch -> batch.messages().size(),
                DeliveryBatch::giveBack,
                use);
    }

    /** How a lease for each message is pulled by somebody who reads all partitions. */
    static Reading.Pull<Delivery> each(Partitions.Layout now, LeaseOptions options) {
        PartedPull.From<Delivery> from =
                (partition, request) -> partition.pulls().each(options, request);
        return now.size() == 1
                ? only(now, from)
                : new PartedPull<>(now.all(), options.pollInterval(), delivery -> 1, from);
    }

    private static <T> Reading.Pull<T> only(Partitions.Layout now, PartedPull.From<T> from) {
        Partition only = now.all().get(0);
        return request -> from.pull(only, request);
    }

    private <T, R> Flux<R> read(
            LeaseOptions options,
            int perPull,
            PartedPull.From<T> from,
            ToIntFunction<T> size,
            Consumer<T> giveBack,
            Function<Reading<T>, Flux<R>> use) {
        return partitions.whileSo((now, changed) -> {
            if (now.size() == 1) {
                Reading<T> reading = reading(now, options, perPull, only(now, from), giveBack);
                return use.apply(reading.alongside(changed.then(Mono.fromRunnable(reading::stop))));
            }
            PartedPull<T> parted = new PartedPull<>(now.all(), options.pollInterval(), size, from);
            Reading<T> reading = reading(now, options, perPull, parted, giveBack);
            return use.apply(reading.alongside(changed.then(Mono.fromRunnable(reading::stop)))
                    .alongside(membership(now.all(), parted, reading)));
        });
    }

    private <T> Reading<T> reading(
            Partitions.Layout now, LeaseOptions options, int perPull, Reading.Pull<T> pull, Consumer<T> giveBack) {
        List<Unit> units = now.all().stream().map(Partition::unit).toList();
        // Who reads several partitions looks at its own ones; where there is one, all look at the same place.
        Lookout lookout = now.size() == 1 ? now.all().get(0).lookout() : new Lookout(redis.worker());
        return new Reading<>(
                redis,
                lookout,
                units,
                receipt -> now.all().get(receipt.partition()).leases(),
                options,
                perPull,
                pull,
                giveBack);
    }

    private Mono<Void> membership(List<Partition> all, PartedPull<?> parted, Reading<?> reading) {
        Unit first = all.get(0).unit();
        List<Lock> locks = all.stream()
                .map(Partition::unit)
                .map(unit -> new LockKeys(
                        unit.queue() + "/" + unit.partition(), unit.part("owner"), unit.part("fence"), null))
                .map(keys -> new Lock(redis, keys).forgettingAfter(FENCE_MEMORY))
                .toList();
        String unit = new String(first.prefix(), StandardCharsets.UTF_8);
        return new Membership(redis, GroupKeys.within(first.queue(), unit), locks)
                .share(share -> share.revoked()
                        .doOnSubscribe(begun -> {
                            parted.own(share.index(), true);
                            reading.wake();
                        })
                        .doFinally(end -> parted.own(share.index(), false)))
                .then();
    }
}
