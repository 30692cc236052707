package io.millrace.queue;

import static io.millrace.queue.QueueRig.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.queue.FairFacet.Item;
import io.millrace.testing.Eventually;
import java.time.Duration;
import java.util.List;
import java.util.stream.IntStream;
import reactor.core.publisher.Mono;

/** Random steps of consumers, done to a queue and to its {@link FairRun#models}. */
final class FairLeases {

    private final FairRun run;
    private int delays;

    FairLeases(FairRun run) {
        this.run = run;
    }

    String pull(int n) {
        Partition from = run.anyPartition();
        run.awaitNextMillisecond();
        List<String> peeked =
                FairRun.shownMessages(from.insight().peek(n).block(SOON).messages());
        List<String> got =
                FairRun.shownMessages(from.pulls().take(n).block(SOON).items());
        assertThat(got).isEqualTo(FairRun.shown(run.models.get(from.index()).take(n, false)));
        assertThat(peeked).isEqualTo(got);
        return "pull " + n + ": " + got;
    }

    String lease(int n) {
        Partition from = run.anyPartition();
        FairModel model = run.models.get(from.index());
        run.awaitNextMillisecond();
        List<Delivery> got = from.pulls().lease(n, FairRun.LONG).block(SOON).items();
        List<Item> expected = model.take(n, true);
        assertThat(FairRun.shownMessages(got.stream().map(Delivery::message).toList()))
                .isEqualTo(FairRun.shown(expected));
        for (int i = 0; i < got.size(); i++) {
            run.held.put(expected.get(i), got.get(i));
        }
        return "lease " + n + ": " + FairRun.shown(expected);
    }

    String endOne() {
        List<Item> leased = run.models.stream()
                .flatMap(each -> each.leased.stream())
                .filter(run.held::containsKey)
                .toList();
        if (leased.isEmpty()) {
            return "nothing to end";
        }
        Item item = leased.get(run.random.nextInt(leased.size()));
        FairModel model = run.model(item.facet);
        Delivery one = run.held.get(item);
        int how = run.random.nextInt(9);
        if (how == 7) {
            run.costs.extend(model, item, one.receipt(), () -> one.extend().block(SOON));
            return "extend " + item.id;
        }
        run.held.remove(item);
        Mono<Boolean> end = switch (how) {
            case 0, 1, 2 -> one.ack();
            case 3, 4 -> one.nack();
            case 5 -> one.release();
            case 6 -> one.bury("bad");
            default -> one.nack(Duration.ofHours(1).plusSeconds(10L * delays++));
        };
        run.costs.end(model, List.of(item), one.receipt(), () -> end.block(SOON));
        switch (how) {
            case 0, 1, 2 -> model.acknowledge(item);
            case 3, 4 -> model.giveBack(item, true);
            case 5 -> model.giveBack(item, false);
            case 6 -> model.bury(item);
            default -> model.giveBackLater(item);
        }
        return List.of("ack", "ack", "ack", "nack", "nack", "release", "bury", "", "nack later")
                        .get(how) + " " + item.id;
    }

    String leaseBatch(int n) {
        Partition from = run.anyPartition();
        FairModel model = run.models.get(from.index());
        run.awaitNextMillisecond();
        List<DeliveryBatch> got = from.pulls()
                .batch(FairRun.LONG.mutate().batchSize(n).build(), PullRequest.alone(1, List.of(), false))
                .block(SOON)
                .items();
        List<Item> expected = model.take(n, true);
        assertThat(FairRun.shownMessages(
                        got.stream().flatMap(batch -> batch.messages().stream()).toList()))
                .isEqualTo(FairRun.shown(expected));
        got.forEach(batch -> run.batches.add(new FairRun.Batch(model, expected, batch)));
        return "batch " + n + ": " + FairRun.shown(expected);
    }

    String endBatch() {
        if (run.batches.isEmpty()) {
            return "no batch to end";
        }
        FairRun.Batch batch = run.batches.remove(run.random.nextInt(run.batches.size()));
        List<Integer> places = IntStream.range(0, batch.items().size())
                .filter(i -> run.random.nextBoolean())
                .boxed()
                .toList();
        List<Item> again = places.stream().map(batch.items()::get).toList();
        Mono<Boolean> end =
                places.isEmpty() ? batch.lease().ack() : batch.lease().nack(places, Duration.ZERO);
        run.costs.end(batch.model(), batch.items(), batch.lease().receipt(), () -> end.block(SOON));
        batch.model().endBatch(batch.items(), again);
        return "batch " + FairRun.shown(batch.items()) + ", again " + FairRun.shown(again);
    }

    /** Leases that nobody ends: one step, for real time passes. One after another where each pays for its time. */
    String expire(int most) {
        Partition from = run.anyPartition();
        FairModel model = run.models.get(from.index());
        LeaseOptions brief = FairRun.LONG.mutate().lease(Duration.ofMillis(100)).build();
        int n = model.cost == Cost.TIME ? 1 : most;
        run.awaitNextMillisecond();
        List<Delivery> got = from.pulls().lease(n, brief).block(SOON).items();
        List<Item> expected = model.take(n, true);
        assertThat(got).hasSameSizeAs(expected);
        if (!got.isEmpty()) {
            run.costs.end(model, expected, got.get(0).receipt(), () -> {
                Eventually.await("the leases to end", SOON, () -> {
                    ModelRun.maintain(run.rig, FairRun.LONG);
                    return run.rig.number("XLEN", run.rig.key(from.index(), "l:" + brief.profile())) == 0;
                });
                return true;
            });
        }
        expected.forEach(item -> model.giveBack(item, true));
        return "expire " + FairRun.shown(expected);
    }

    String deadLetter() {
        List<DeadLetter> letters = run.rig.deadLetters();
        if (letters.isEmpty()) {
            return "nothing is dead";
        }
        if (run.random.nextInt(4) == 0) {
            return allDeadLetters(letters.size());
        }
        DeadLetter letter = letters.get(run.random.nextInt(letters.size()));
        String entry = letter.entry();
        FairModel model = run.model(letter.message().facet());
        Item item = model.dead.get((int) letters.stream()
                .takeWhile(before -> !before.entry().equals(entry))
                .filter(before -> run.model(before.message().facet()) == model)
                .count());
        if (run.random.nextBoolean()) {
            assertThat(run.rig.queue.redrive(List.of(entry)).block(SOON)).isEqualTo(1);
            model.redrive(item);
            return "redrive " + item.id;
        }
        assertThat(run.rig.queue.dropDeadLetters(List.of(entry)).block(SOON)).isEqualTo(1);
        model.dead.remove(item);
        return "drop " + item.id;
    }

    private String allDeadLetters(int count) {
        if (run.random.nextInt(3) > 0) {
            assertThat(run.rig.queue.redriveAll().block(SOON)).isEqualTo(count);
            run.models.forEach(model -> List.copyOf(model.dead).forEach(model::redrive));
            return "redrive all";
        }
        String facet = run.anyFacet();
        List<Item> dead = run.model(facet).dead.stream()
                .filter(item -> item.facet.equals(facet))
                .toList();
        assertThat(run.rig.queue.dropAllDeadLetters(facet).block(SOON)).isEqualTo(dead.size());
        run.model(facet).dead.removeAll(dead);
        return "drop all of " + facet;
    }

    /** What was held back comes: messages that stepped aside, and facets in strict order or at their rates. */
    String due() {
        List<Item> later =
                run.models.stream().flatMap(each -> each.later.stream()).toList();
        List<String> facets = run.heldFacets();
        if (!later.isEmpty() && (facets.isEmpty() || run.random.nextBoolean())) {
            Item item = later.get(run.random.nextInt(later.size()));
            run.dueAgain(item);
            return "due again " + item.id;
        }
        if (facets.isEmpty()) {
            return "nothing is held back";
        }
        String facet = facets.get(run.random.nextInt(facets.size()));
        run.release(facet);
        return "due facet " + facet;
    }
}
