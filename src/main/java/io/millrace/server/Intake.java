package io.millrace.server;

import io.millrace.queue.Delivered;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What became of the events of one request; its lists are bounded, its counts are not. */
final class Intake {

    /** How many one answer lists of each kind; the others are counted. */
    static final int MAX_LISTED = 1_000;

    private final Metrics metrics;
    private final boolean listEvents;
    private final List<Map<String, @Nullable Object>> events = new ArrayList<>();
    private final List<Map<String, @Nullable Object>> rejected = new ArrayList<>();
    private final List<Map<String, @Nullable Object>> limited = new ArrayList<>();
    private long delivered;
    private long duplicates;
    private long bad;
    private long refused;
    private long displaced;

    /** @param listEvents whether the answer lists all of them; else only those that met a limit */
    Intake(Metrics metrics, boolean listEvents) {
        this.metrics = metrics;
        this.listEvents = listEvents;
    }

    void add(EventIntake.Outcome outcome) {
        if (outcome instanceof EventIntake.Accepted accepted) {
            add(accepted.line(), accepted.delivered());
        } else if (outcome instanceof EventIntake.Rejected no) {
            bad++;
            metrics.rejected();
            if (rejected.size() < MAX_LISTED) {
                rejected.add(Shapes.rejected(no.line(), no.problem()));
            }
        }
    }

    private void add(long line, Delivered event) {
        delivered++;
        duplicates += event.duplicateIn().isEmpty() ? 0 : 1;
        refused += event.refusedBy().isEmpty() ? 0 : 1;
        displaced += event.displaced().size();
        metrics.delivered(event);
        if (listEvents) {
            events.add(Shapes.delivered(event));
        } else if (!(event.refusedBy().isEmpty() && event.displaced().isEmpty()) && limited.size() < MAX_LISTED) {
            limited.add(Shapes.limited(line, event));
        }
    }

    /** {@code delivered, duplicates, rejected[{line, problem}][, rejectedInAll][, refused][, displaced]}, {@code events} or {@code limited}. */
    Map<String, @Nullable Object> shape() {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("delivered", delivered);
        shape.put("duplicates", duplicates);
        shape.put("rejected", rejected);
        putIf(bad > rejected.size(), shape, "rejectedInAll", bad);
        putIf(refused > 0, shape, "refused", refused);
        putIf(displaced > 0, shape, "displaced", displaced);
        if (listEvents) {
            shape.put("events", events);
        } else if (!limited.isEmpty()) {
            shape.put("limited", limited);
        }
        return shape;
    }

    private static void putIf(boolean tell, Map<String, @Nullable Object> shape, String field, long count) {
        if (tell) {
            shape.put(field, count);
        }
    }

    /** The failure that ended it, with what had been done. Events with ids may all be sent again. */
    Problem stopped(Throwable failure) {
        Problem problem = Problem.from(failure);
        shape().forEach((field, value) -> {
            if (!field.equals("events")) { // it may be large
                problem.with(field, value);
            }
        });
        return problem;
    }
}
