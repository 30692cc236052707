package io.millrace.queue;

import static io.millrace.queue.QueueRig.SOON;

import io.millrace.RedisUnavailableException;
import io.millrace.testing.Violations;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.provider.Arguments;

/** Random steps on a queue and on its model, compared after each. {@code -Dmodel.seeds=20} for more, {@code -Dmodel.seed=n} for one. */
final class ModelRun {

    private static final int STEPS = Integer.getInteger("model.steps", 1_000);

    private ModelRun() {}

    static Stream<Long> seeds() {
        Long only = Long.getLong("model.seed");
        LongStream seeds =
                only != null ? LongStream.of(only) : LongStream.rangeClosed(1, Integer.getInteger("model.seeds", 2));
        return seeds.boxed();
    }

    /** Seeds, each with one partition and with four. */
    static Stream<Arguments> runs() {
        return seeds().flatMap(seed -> IntStream.of(1, 4).mapToObj(partitions -> Arguments.of(seed, partitions)));
    }

    /** @param step does one and says what it was */
    static void of(long seed, int partitions, Supplier<String> step, Runnable compare, Runnable end) {
        of(seed, partitions, STEPS, step, compare, end);
    }

    /** As above, with fewer steps, where each costs more. */
    static void fewer(long seed, int partitions, Supplier<String> step, Runnable compare, Runnable end) {
        of(seed, partitions, STEPS / 3, step, compare, end);
    }

    private static void of(
            long seed, int partitions, int count, Supplier<String> step, Runnable compare, Runnable end) {
        List<String> steps = new ArrayList<>();
        try {
            for (int i = 0; i < count; i++) {
                steps.add("?");
                steps.set(i, step.get());
                compare.run();
            }
            end.run();
        } catch (RuntimeException | AssertionError e) {
            AssertionError failed = new AssertionError(
                    "-Dmodel.seed=" + seed + ", " + partitions + " partitions, step " + steps.size()
                            + ", the last ones: " + steps.subList(Math.max(0, steps.size() - 15), steps.size()),
                    e);
            throw e instanceof RedisUnavailableException ? failed : Violations.recorded(failed); // it was late
        }
    }

    /** Has everything that is due or over looked after. */
    static void maintain(QueueRig rig, LeaseOptions options) {
        for (int i = 0; i < rig.partitions; i++) {
            rig.mill
                    .redis()
                    .run(
                            QueueScripts.PULL,
                            List.of(Leases.bytes(rig.key(i, ""))),
                            Stream.of("0", "each", options.profile(), "1")
                                    .map(Leases::bytes)
                                    .toList())
                    .block(SOON);
        }
    }

    /** Whether a key may be there of a queue that has nothing but dead letters. */
    static boolean mayStay(String key) {
        return key.contains("{registry}")
                || key.endsWith(":dead")
                || key.contains(":ids")
                || key.endsWith(":leases")
                || key.contains(":l:")
                || key.endsWith(":fence")
                || key.endsWith(":dwell")
                || key.contains(":answer:");
    }
}
