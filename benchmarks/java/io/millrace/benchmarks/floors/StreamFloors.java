package io.millrace.benchmarks.floors;

import java.util.Locale;

/**
 * Floor 13: change streams beside their limit and their peers, one after the other, several times; medians and ratios, as Markdown for
 * {@code RESULTS.md}. Run it pinned, with nothing else going on:
 *
 * <pre>taskset -c 1 java -cp … io.millrace.benchmarks.floors.StreamFloors [repetitions] [entries]</pre>
 */
public final class StreamFloors {

    private static final int BATCH = 1_000;
    private static final String PRODUCE = "produce, 1,000 at a time";
    private static final String AHEAD = "produce, 1,000 at a time, two calls under way";
    private static final String CONSUME = "consume and commit, 1,000 at a time";
    private static final String KEYED =
            "the same by " + StreamSides.HANDLERS + " handlers, in order for each of " + StreamSides.KEYS + " keys";

    private final Table figures = new Table();
    private final BenchServer server;
    private final StreamSides sides;
    private final int entries;

    private StreamFloors(BenchServer server, StreamSides sides, int entries) {
        this.server = server;
        this.sides = sides;
        this.entries = entries;
    }

    public static void main(String[] args) {
        int repetitions = args.length > 0 ? Integer.parseInt(args[0]) : 3;
        int entries = args.length > 1 ? Integer.parseInt(args[1]) : 200_000;
        if (entries % BATCH != 0) {
            throw new IllegalArgumentException("entries must be a multiple of " + BATCH + ", was " + entries);
        }
        try (BenchServer server = new BenchServer();
                StreamSides sides = new StreamSides(server, BATCH, entries)) {
            StreamFloors floors = new StreamFloors(server, sides, entries);
            System.err.println("warming up");
            WarmUp.untilCompiled(floors::round);
            floors.figures.clear();
            for (int i = 0; i < repetitions; i++) {
                System.err.println("repetition " + (i + 1) + " of " + repetitions);
                floors.round();
            }
            floors.print();
        }
    }

    private void round() {
        produce();
        consume();
        consumeKeyed();
    }

    private void produce() {
        server.flush();
        figures.add(PRODUCE, "redis-benchmark XADD", limit(BATCH));
        measure(PRODUCE, "raw Lettuce", () -> sides.produceRaw(entries));
        measure(PRODUCE, "Millrace", () -> sides.produce(entries));
        measure(PRODUCE, "Millrace in halves", () -> sides.produceAhead(entries, BATCH / 2));
        measure(PRODUCE, "Spring", () -> sides.produceSpring(entries));
        measure(PRODUCE, "Redisson", () -> sides.produceRedisson(entries));
        server.flush();
        figures.add(AHEAD, "redis-benchmark XADD", limit(2 * BATCH));
        measure(AHEAD, "Millrace", () -> sides.produceAhead(entries, BATCH));
    }

    private double limit(int depth) {
        return server.limit(1, depth, entries, "XADD", "limit", "*", "payload", StreamSides.payload(1))
                .callsPerSecond();
    }

    private void consume() {
        for (String side : new String[] {"raw Lettuce", "Millrace", "Spring", "Redisson"}) {
            server.flush();
            sides.fill(side, entries);
            time(CONSUME, side, () -> {
                switch (side) {
                    case "raw Lettuce" -> sides.consumeRaw(entries);
                    case "Millrace" -> sides.consume(entries);
                    case "Spring" -> sides.consumeSpring(entries);
                    default -> sides.consumeRedisson(entries);
                }
            });
        }
    }

    private void consumeKeyed() {
        for (String side : new String[] {"raw Lettuce", "Millrace"}) {
            server.flush();
            sides.fill(side, entries);
            time(KEYED, side, () -> {
                if (side.equals("Millrace")) {
                    sides.consumeKeyed(entries);
                } else {
                    sides.consumeKeyedRaw(entries);
                }
            });
        }
    }

    private void measure(String row, String column, Runnable work) {
        server.flush();
        time(row, column, work);
    }

    private void time(String row, String column, Runnable work) {
        System.gc();
        double cpu = server.cpuMicros();
        long begin = System.nanoTime();
        work.run();
        double seconds = (System.nanoTime() - begin) / 1e9;
        figures.add(row, column, entries / seconds);
        figures.add(row, column + ", server µs", (server.cpuMicros() - cpu) / entries);
    }

    private void print() {
        System.out.println("## Change streams (floor 13)\n\nEntries a second, medians (least–most); payload "
                + StreamSides.payload(1).length() + " bytes, " + entries + " entries a case.\n");
        System.out.println(figures.markdown(
                "redis-benchmark XADD", "raw Lettuce", "Millrace", "Millrace in halves", "Spring", "Redisson"));
        System.out.println(figures.markdown(
                "raw Lettuce, server µs",
                "Millrace, server µs",
                "Millrace in halves, server µs",
                "Spring, server µs",
                "Redisson, server µs"));
        System.out.println("| floor 13 | asked | measured | |\n|---|---|---|---|");
        floor("consume against raw Lettuce", 0.8, CONSUME, "Millrace", "raw Lettuce");
        floor("consume against Spring's StreamReceiver", 3, CONSUME, "Millrace", "Spring");
        floor(
                "produce, one call after the other, against redis-benchmark",
                0.8,
                PRODUCE,
                "Millrace",
                "redis-benchmark XADD");
        floor("produce, as many under way in halves", 0.8, PRODUCE, "Millrace in halves", "redis-benchmark XADD");
        floor("produce, two calls under way, of depth 2,000 both", 0.8, AHEAD, "Millrace", "redis-benchmark XADD");
    }

    private void floor(String name, double asked, String row, String side, String against) {
        double ratio = figures.median(row, side) / figures.median(row, against);
        System.out.printf(
                Locale.ROOT, "| %s | ≥ %s | %.2f | %s |%n", name, asked, ratio, ratio >= asked ? "met" : "missed");
    }
}
