package io.millrace.queue;

import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Event;
import io.millrace.json.EventCodec;
import io.millrace.queue.Admission.Overflow;
import io.millrace.queue.FairFacet.Item;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;

/** Random steps of producers, done to a queue and to its {@link FairRun#models}. */
final class FairDeliveries {

    private static final Overflow[] OVERFLOWS = Overflow.values();

    private final FairRun run;
    private Admission limits = Admission.UNLIMITED;

    FairDeliveries(FairRun run) {
        this.run = run;
    }

    private record Coming(Event event, Item item) {}

    private Coming coming() {
        String facet = run.anyFacet();
        String name = "n" + run.random.nextInt(4);
        Event event = Event.of(facet, "test", name)
                .withId("m" + run.random.nextInt(1_500))
                .withData("x".repeat(run.random.nextInt(300)));
        int bytes = EventCodec.writeStored(event, Instant.now(), EventCodec.DEFAULT_MAX_BYTES).length;
        return new Coming(event, new Item(event.id(), facet, name, bytes));
    }

    String deliver() {
        Coming coming = coming();
        FairAdmission admission = run.model(coming.item.facet).admission;
        if (limits.overflow() == Overflow.WAIT && admission.refuses(coming.item)) {
            return waitForRoom(coming);
        }
        Delivered delivered = run.rig.mill.deliver(coming.event).block(SOON);
        return compare("deliver", coming, delivered, admission.deliver(coming.item));
    }

    /** Several at once, of which each has its own outcome. */
    String deliverAll() {
        if (limits.overflow() == Overflow.WAIT) {
            return deliver();
        }
        List<Coming> some = IntStream.rangeClosed(0, run.random.nextInt(6))
                .mapToObj(i -> coming())
                .toList();
        List<Delivered> delivered = run.rig
                .mill
                .queues()
                .deliverAll(some.stream().map(Coming::event).toList())
                .block(SOON);
        List<String> said = new ArrayList<>();
        for (int i = 0; i < some.size(); i++) {
            Coming coming = some.get(i);
            String expected = run.model(coming.item.facet).admission.deliver(coming.item);
            said.add(compare("deliver", coming, delivered.get(i), expected));
        }
        return "together " + said;
    }

    /** Its producer hears nothing until consumers make room, then it is in. */
    private String waitForRoom(Coming coming) {
        FairModel model = run.model(coming.item.facet);
        CompletableFuture<Delivered> waiting =
                run.rig.mill.deliver(coming.event).toFuture();
        Partition from = run.rig.queue.layout().now().block(SOON).of(coming.item.facet);
        for (int tries = 0; tries < 4 && model.admission.refuses(coming.item); tries++) {
            assertThat(waiting).isNotDone();
            List<Message> got = from.pulls().take(3).block(SOON).items();
            assertThat(FairRun.shownMessages(got)).isEqualTo(FairRun.shown(model.take(3, false)));
        }
        if (model.admission.refuses(coming.item)) {
            FairPolicies.ownLimit(run, coming.item.facet, 0);
        }
        return compare(
                "room for",
                coming,
                waiting.orTimeout(10, java.util.concurrent.TimeUnit.SECONDS).join(),
                model.admission.deliver(coming.item));
    }

    private static String compare(String what, Coming coming, Delivered delivered, String expected) {
        assertThat(outcome(delivered)).isEqualTo(expected);
        return what + " " + coming.item.id + " to " + coming.item.facet + ": " + expected;
    }

    private static String outcome(Delivered delivered) {
        if (!delivered.duplicateIn().isEmpty()) {
            return FairAdmission.DUPLICATE;
        } else if (!delivered.refusedBy().isEmpty()) {
            return FairAdmission.REFUSED;
        }
        return delivered.displaced().isEmpty()
                ? FairAdmission.QUEUED
                : delivered.displaced().get(0);
    }

    /** Delivers later, or takes one that was delivered so out again, or lets its time come. */
    String delay() {
        List<Item> delayed = run.models.stream()
                .flatMap(each -> each.admission.delayed.values().stream())
                .toList();
        if (!delayed.isEmpty() && run.random.nextInt(3) > 0) {
            Item item = delayed.get(run.random.nextInt(delayed.size()));
            boolean single =
                    delayed.stream().filter(one -> one.id.equals(item.id)).count() == 1; // facets may share an id
            if (single && run.random.nextBoolean()) {
                assertThat(run.rig.queue.cancel(item.id).block(SOON)).isTrue();
                run.model(item.facet).admission.cancel(item.id);
                return "cancel " + item.id;
            }
            run.rig.raw("ZADD", run.rig.key(run.rig.of(item.facet), "later"), 1, "=" + item.id);
            ModelRun.maintain(run.rig, FairRun.LONG);
            run.model(item.facet).admission.due(item.id);
            return "due " + item.id;
        }
        Coming coming = coming();
        FairAdmission admission = run.model(coming.item.facet).admission;
        if (limits.overflow() == Overflow.WAIT && admission.refuses(coming.item)) {
            return "no room for a delayed one";
        }
        Delivered delivered = run.rig
                .mill
                .queues()
                .deliverAfter(coming.event, Duration.ofHours(1))
                .block(SOON);
        return compare("delay", coming, delivered, admission.delay(coming.item));
    }

    String limit() {
        if (run.random.nextBoolean()) {
            return FairPolicies.ownLimit(run, run.anyFacet(), run.random.nextInt(6) - 1);
        }
        limits = run.random.nextInt(3) == 0
                ? Admission.UNLIMITED
                : Admission.of(3 + run.random.nextInt(5), OVERFLOWS[run.random.nextInt(OVERFLOWS.length)]);
        run.models.forEach(model -> model.admission.limits = limits);
        run.rig.mill.queues().register("q", ".*", limits).block(SOON);
        return "limit " + limits;
    }

    /** The queue was destroyed and is there again. */
    void begin() {
        limits = Admission.UNLIMITED;
    }
}
