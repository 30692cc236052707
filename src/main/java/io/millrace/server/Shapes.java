package io.millrace.server;

import io.millrace.json.EventCodec;
import io.millrace.json.Json;
import io.millrace.queue.Delivered;
import io.millrace.queue.Delivery;
import io.millrace.queue.DoctorReport;
import io.millrace.queue.FacetState;
import io.millrace.queue.Message;
import io.millrace.queue.Receipt;
import io.millrace.queue.Registration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * What things look like as JSON objects, the same on the command line and over HTTP. Scripts rely on them: fields may be added,
 * those that are here stay.
 */
public final class Shapes {

    private Shapes() {}

    /** {@code queue, facet, id, attempt, event}. */
    public static Map<String, @Nullable Object> message(Message message) {
        return message(message, null);
    }

    /** {@code queue, facet, id, attempt, receipt, event}. */
    public static Map<String, @Nullable Object> delivery(Delivery delivery) {
        return message(delivery.message(), delivery.receipt().toString());
    }

    private static Map<String, @Nullable Object> message(Message message, @Nullable String receipt) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("queue", message.queue());
        shape.put("facet", message.facet());
        shape.put("id", message.id());
        shape.put("attempt", message.attempt());
        if (receipt != null) {
            shape.put("receipt", receipt);
        }
        shape.put("event", EventCodec.plain(message.event()));
        return shape;
    }

    /** {@code id, queues, duplicateIn[, refusedBy][, displaced]}. */
    public static Map<String, @Nullable Object> delivered(Delivered delivered) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("id", delivered.id());
        shape.put("queues", delivered.queues());
        shape.put("duplicateIn", delivered.duplicateIn());
        if (!delivered.refusedBy().isEmpty()) {
            shape.put("refusedBy", delivered.refusedBy());
        }
        if (!delivered.displaced().isEmpty()) {
            shape.put("displaced", delivered.displaced());
        }
        return shape;
    }

    /** {@code line, id[, refusedBy][, displaced]}: a line whose event met a limit. */
    static Map<String, @Nullable Object> limited(long line, Delivered delivered) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("line", line);
        shape.putAll(delivered(delivered));
        shape.remove("queues");
        shape.remove("duplicateIn");
        return shape;
    }

    /** {@code line, problem}. */
    public static Map<String, @Nullable Object> rejected(long line, String problem) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("line", line);
        shape.put("problem", Json.legal(problem));
        return shape;
    }

    /** {@code queue, pattern[, limit, overflow][, partitions]}; one partition is not mentioned. */
    public static Map<String, @Nullable Object> registration(Registration registration) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("queue", registration.queue());
        shape.put("pattern", registration.pattern());
        if (registration.admission().limit() > 0) {
            shape.put("limit", registration.admission().limit());
            shape.put("overflow", registration.admission().overflow().name().toLowerCase(Locale.ROOT));
        }
        if (registration.partitions() > 1) {
            shape.put("partitions", registration.partitions());
        }
        return shape;
    }

    /** {@code queue, pattern, waiting, facets (how many), inFlight, later, oldestAgeMs, deadLetters, paused}. */
    public static Map<String, @Nullable Object> summary(QueueState state) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("queue", state.queue());
        shape.put("pattern", state.pattern());
        shape.put("waiting", state.waiting());
        shape.put("facets", state.facets().size());
        shape.put("inFlight", state.inFlight());
        shape.put("later", state.later());
        shape.put("oldestAgeMs", state.oldestAge().toMillis());
        shape.put("deadLetters", state.deadLetters());
        shape.put("paused", state.paused());
        return shape;
    }

    /** {@code queue, pattern, waiting, inFlight, later, facets[{facet, waiting, inFlight, later, oldestAgeMs, standing}],
     * deadLetters, paused[, partitions[{partition, facets, waiting, inFlight, later}]]}; of several partitions facets tell theirs. */
    public static Map<String, @Nullable Object> details(QueueState state) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("queue", state.queue());
        shape.put("pattern", state.pattern());
        shape.put("waiting", state.waiting());
        shape.put("inFlight", state.inFlight());
        shape.put("later", state.later());
        boolean several = state.partitions() > 1;
        shape.put(
                "facets",
                state.facets().stream().map(facet -> facet(facet, several)).toList());
        shape.put("deadLetters", state.deadLetters());
        shape.put("paused", state.paused());
        if (several) {
            shape.put(
                    "partitions",
                    IntStream.range(0, state.partitions())
                            .mapToObj(i -> partition(i, state))
                            .toList());
        }
        return shape;
    }

    private static Map<String, @Nullable Object> partition(int partition, QueueState queue) {
        QueueState state = queue.partition(partition);
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("partition", partition);
        shape.put("facets", state.facets().size());
        shape.put("waiting", state.waiting());
        shape.put("inFlight", state.inFlight());
        shape.put("later", state.later());
        return shape;
    }

    private static Map<String, @Nullable Object> facet(FacetState facet, boolean withPartition) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("facet", facet.facet());
        shape.put("waiting", facet.waiting());
        shape.put("inFlight", facet.inFlight());
        shape.put("later", facet.later());
        shape.put("oldestAgeMs", facet.oldestAge().toMillis());
        shape.put("standing", facet.standing().name().toLowerCase(Locale.ROOT));
        if (withPartition) {
            shape.put("partition", facet.partition());
        }
        return shape;
    }

    /** {@code receipt, acknowledged}. */
    public static Map<String, @Nullable Object> acknowledged(String receipt, boolean acknowledged) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("receipt", receipt);
        shape.put("acknowledged", acknowledged);
        return shape;
    }

    /**
     * What became of a lease that was to be ended or extended.
     *
     * @param done false: it was not held any more
     * @param renewed its receipt from now on, if it was extended
     */
    public record Treated(boolean done, @Nullable Receipt renewed) {

        /** The lease was not held any more. */
        public static final Treated GONE = new Treated(false, null);

        /** It was ended, or was not held any more. */
        public static Treated of(boolean done) {
            return new Treated(done, null);
        }
    }

    /** {@code receipt, done[, renewed]}. */
    public static Map<String, @Nullable Object> treated(String receipt, Treated treated) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("receipt", receipt);
        shape.put("done", treated.done());
        if (treated.renewed() != null) {
            shape.put("renewed", treated.renewed().toString());
        }
        return shape;
    }

    /**
     * {@code queue, healthy, facets, waiting, inFlight, later, deadLetters, findings[{kind, where, count}][, partitions[{partition, facets,
     * waiting, inFlight, later, deadLetters}]]}.
     */
    public static Map<String, @Nullable Object> report(DoctorReport report) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("queue", report.queue());
        shape.put("healthy", report.healthy());
        numbers(shape, report);
        List<Map<String, Object>> findings = report.findings().stream()
                .map(finding -> {
                    Map<String, Object> one = new LinkedHashMap<>(); // in this order
                    one.put("kind", finding.kind().name());
                    one.put("where", finding.where());
                    one.put("count", finding.count());
                    return one;
                })
                .toList();
        shape.put("findings", findings);
        if (!report.partitions().isEmpty()) {
            shape.put(
                    "partitions",
                    IntStream.range(0, report.partitions().size())
                            .mapToObj(i -> {
                                Map<String, @Nullable Object> partition = new LinkedHashMap<>();
                                partition.put("partition", i);
                                numbers(partition, report.partitions().get(i));
                                return partition;
                            })
                            .toList());
        }
        return shape;
    }

    private static void numbers(Map<String, @Nullable Object> shape, DoctorReport report) {
        shape.put("facets", report.facets());
        shape.put("waiting", report.waiting());
        shape.put("inFlight", report.inFlight());
        shape.put("later", report.later());
        shape.put("deadLetters", report.deadLetters());
    }

    /** {@code check, level, value, meaning[, advice]}. */
    public static Map<String, @Nullable Object> finding(ServerDoctor.Finding finding) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("check", finding.check());
        shape.put("level", finding.level().word());
        shape.put("value", finding.value());
        shape.put("meaning", finding.meaning());
        if (!finding.advice().isEmpty()) {
            shape.put("advice", finding.advice());
        }
        return shape;
    }
}
