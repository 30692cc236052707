package io.millrace.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** How partitions take turns. */
class TurnsTest {

    private static long count(int[] plan, int partition) {
        return Arrays.stream(plan).filter(turn -> turn == partition).count();
    }

    @Test
    @Tag("P11")
    @DisplayName("P11 turns go by the number of active facets, spread evenly over the plan")
    void byFacets() {
        Turns turns = new Turns(3);
        turns.share(0, 20);
        turns.share(1, 1);
        turns.share(2, 4);
        turns.plan(250, List.of(0, 1, 2)); // where each begins is drawn by lot
        int[] plan = turns.plan(250, List.of(0, 1, 2));
        assertThat(count(plan, 0)).isBetween(199L, 201L);
        assertThat(count(plan, 1)).isBetween(9L, 11L);
        assertThat(count(plan, 2)).isBetween(39L, 41L);
        for (int from = 0; from + 50 <= plan.length; from += 50) {
            assertThat(count(Arrays.copyOfRange(plan, from, from + 50), 1)).isBetween(1L, 3L);
        }
    }

    @Test
    @DisplayName("a partition that was away gains nothing by it, and loses nothing")
    void away() {
        Turns turns = new Turns(2);
        turns.share(0, 1);
        turns.share(1, 1);
        turns.settle(1, 0, 0, false);
        turns.plan(1_000, List.of(0));
        assertThat(count(turns.plan(100, List.of(0, 1)), 1)).isBetween(49L, 51L);
    }

    @Test
    @DisplayName("turns that brought nothing are not paid for; a batch pays for all of its messages")
    void settled() {
        Turns turns = new Turns(2);
        turns.share(0, 1);
        turns.share(1, 1);
        int first = (int) count(turns.plan(100, List.of(0, 1)), 0);
        turns.settle(0, first, 0, true); // it failed
        assertThat(count(turns.plan(50, List.of(0, 1)), 0)).isGreaterThanOrEqualTo(48);

        Turns batches = new Turns(2);
        batches.share(0, 1);
        batches.share(1, 1);
        long[] got = new long[2];
        for (int i = 0; i < 200; i++) {
            int turn = batches.plan(1, List.of(0, 1))[0];
            int size = turn == 0 ? 10 : 1;
            got[turn] += size;
            batches.settle(turn, 1, size, true);
        }
        assertThat((double) got[0] / (got[0] + got[1])).isCloseTo(0.5, within(0.1));
    }

    @Test
    @DisplayName("readers who come for one message each meet partitions as often as these have facets")
    void lots() {
        long first = IntStream.range(0, 4_000)
                .filter(i -> {
                    Turns turns = new Turns(2);
                    turns.share(0, 3);
                    turns.share(1, 1);
                    return turns.plan(1, List.of(0, 1))[0] == 0;
                })
                .count();
        assertThat(first / 4_000.0).isCloseTo(0.75, within(0.05));
    }

    @Test
    @DisplayName("nobody to give turns to: no turns")
    void nobody() {
        assertThat(new Turns(2).plan(5, List.of())).isEmpty();
    }

    @Test
    @DisplayName("a facet's partition is the same for ever, and facets spread evenly")
    void facets() {
        assertThat(List.of("", "acme", "globex", "é\u0000", "😀", "env-1"))
                .extracting(facet -> Facets.partition(facet, 64))
                .containsExactly(PINNED);
        for (int partitions : new int[] {1, 2, 3, 4, 7, 8, 16, 64}) {
            int[] counts = new int[partitions];
            IntStream.range(0, 64_000).forEach(i -> counts[Facets.partition("env-" + i, partitions)]++);
            assertThat(Arrays.stream(counts).boxed().toList())
                    .allMatch(count -> Math.abs(count - 64_000.0 / partitions) < 6 * Math.sqrt(64_000.0 / partitions));
        }
    }

    private static final Integer[] PINNED = {38, 6, 49, 46, 6, 60};
}
