package io.millrace.queue;

import io.millrace.redis.Redis;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.Function;
import java.util.stream.IntStream;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Looks at a queue: at its only partition, or at all of them as one. */
final class Overview {

    private final String name;
    private final Redis redis;
    private final Partitions partitions;

    Overview(String name, Redis redis, Partitions partitions) {
        this.name = name;
        this.redis = redis;
        this.partitions = partitions;
    }

    /** One partition after another. */
    Flux<FacetState> facets() {
        return partitions.each(partition -> partition.insight().facets());
    }

    /** In the order of turns; of several partitions as somebody would read them who reads them all. */
    Flux<Message> peek(int n) {
        return partitions
                .now()
                .flatMapMany(now -> now.size() == 1
                        ? now.all().get(0).insight().peek(n).flatMapIterable(Insight.Peeked::messages)
                        : Flux.fromIterable(now.all())
                                .flatMapSequential(
                                        partition -> partition.insight().peek(n))
                                .collectList()
                                .flatMapIterable(peeked -> inTurn(peeked, n)));
    }

    private static List<Message> inTurn(List<Insight.Peeked> peeked, int n) {
        Turns turns = new Turns(peeked.size());
        IntStream.range(0, peeked.size())
                .forEach(i -> turns.share(i, peeked.get(i).active()));
        int[] next = new int[peeked.size()];
        List<Message> messages = new ArrayList<>();
        while (messages.size() < n) {
            List<Integer> left = IntStream.range(0, next.length)
                    .filter(i -> next[i] < peeked.get(i).messages().size())
                    .boxed()
                    .toList();
            if (left.isEmpty()) {
                break;
            }
            int turn = turns.plan(1, left)[0];
            messages.add(peeked.get(turn).messages().get(next[turn]++));
        }
        return messages;
    }

    Mono<QueueLoad> load(int top) {
        return partitions
                .each(partition -> partition
                        .dwell()
                        .times()
                        .flatMap(times -> partition.insight().load(top, times))
                        .flux())
                .collectList()
                .map(loads -> loads.size() == 1 ? loads.get(0) : together(loads, top));
    }

    private QueueLoad together(List<QueueLoad> loads, int top) {
        return new QueueLoad(
                name,
                loads.stream().mapToLong(QueueLoad::facets).sum(),
                loads.stream().mapToLong(QueueLoad::waiting).sum(),
                loads.stream()
                        .map(QueueLoad::oldestAge)
                        .max(Duration::compareTo)
                        .orElse(Duration.ZERO),
                most(loads, QueueLoad::noisiest, Comparator.comparingLong(FacetLoad::waiting), top),
                most(loads, QueueLoad::mostStarved, Comparator.comparing(FacetLoad::oldestAge), top),
                loads.stream().map(QueueLoad::dwell).reduce(DwellTimes.NONE, DwellTimes::plus),
                loads.stream().flatMap(load -> load.partitions().stream()).toList());
    }

    private static List<FacetLoad> most(
            List<QueueLoad> loads, Function<QueueLoad, List<FacetLoad>> some, Comparator<FacetLoad> order, int top) {
        return loads.stream()
                .flatMap(load -> some.apply(load).stream())
                .sorted(order.reversed())
                .limit(top)
                .toList();
    }

    Mono<DoctorReport> doctor() {
        return partitions
                .now()
                .flatMap(now -> QueueDoctor.examine(
                        redis, now.all().stream().map(Partition::unit).toList()))
                .map(reports -> reports.size() == 1 ? reports.get(0) : DoctorReport.together(name, reports));
    }
}
