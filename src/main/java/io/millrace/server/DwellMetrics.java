package io.millrace.server;

import io.millrace.Millrace;
import io.millrace.queue.DwellTimes;
import io.prometheus.metrics.model.registry.Collector;
import io.prometheus.metrics.model.snapshots.ClassicHistogramBuckets;
import io.prometheus.metrics.model.snapshots.HistogramSnapshot;
import io.prometheus.metrics.model.snapshots.HistogramSnapshot.HistogramDataPointSnapshot;
import io.prometheus.metrics.model.snapshots.Labels;
import io.prometheus.metrics.model.snapshots.MetricSnapshot;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** How long messages waited, by queue, as a histogram that can be added up and have its rate taken: it is kept in Redis. */
final class DwellMetrics implements Collector {

    static final String NAME = "millrace_queue_dwell_seconds";

    private volatile Map<String, DwellTimes> looked = Map.of();

    /** Looks at the queues anew. */
    Mono<Void> look(Millrace mill, List<QueueState> queues) {
        return Flux.fromIterable(queues)
                .concatMap(queue -> mill.queue(queue.queue()).dwell().map(times -> Map.entry(queue.queue(), times)))
                .collectMap(Map.Entry::getKey, Map.Entry::getValue, LinkedHashMap::new)
                .doOnNext(now -> looked = now)
                .then();
    }

    @Override
    public MetricSnapshot collect() {
        HistogramSnapshot.Builder all = HistogramSnapshot.builder()
                .name(NAME)
                .help("How long messages waited between delivery and being handed out, by whichever process");
        looked.forEach((queue, times) -> all.dataPoint(HistogramDataPointSnapshot.builder()
                .labels(Labels.of("queue", queue))
                .classicHistogramBuckets(buckets(times))
                .sum(times.sum().toMillis() / 1000.0)
                .build()));
        return all.build();
    }

    private static ClassicHistogramBuckets buckets(DwellTimes times) {
        List<Double> bounds = new ArrayList<>();
        List<Long> counts = new ArrayList<>();
        int last = times.buckets().size() - 1;
        for (int i = 0; i <= last; i++) {
            DwellTimes.Bucket bucket = times.buckets().get(i);
            bounds.add(i == last ? Double.POSITIVE_INFINITY : bucket.upTo().toMillis() / 1000.0);
            counts.add(bucket.count());
        }
        return ClassicHistogramBuckets.of(bounds, counts);
    }
}
