package io.millrace.benchmarks.floors;

import java.lang.management.CompilationMXBean;
import java.lang.management.ManagementFactory;
import java.util.Locale;
import java.util.concurrent.TimeUnit;

/**
 * Repeats work until hardly anything is compiled any more. The compiler shares the core with what is measured: on one core it is busy for
 * the first twenty seconds or so, and would be counted as the client's.
 */
final class WarmUp {

    private static final double QUIET = 0.02; // of the time, two rounds in a row
    private static final long AT_MOST_NANOS = TimeUnit.SECONDS.toNanos(90);

    private WarmUp() {}

    static void untilCompiled(Runnable round) {
        CompilationMXBean compiler = ManagementFactory.getCompilationMXBean();
        long begin = System.nanoTime();
        double share = 1;
        for (int quiet = 0; quiet < 2 && System.nanoTime() - begin < AT_MOST_NANOS; ) {
            long compiled = compiler.getTotalCompilationTime();
            long from = System.nanoTime();
            round.run();
            share = (compiler.getTotalCompilationTime() - compiled) * 1e6 / (System.nanoTime() - from);
            quiet = share < QUIET ? quiet + 1 : 0;
        }
        System.err.printf(
                Locale.ROOT,
                "warmed up for %.0f s, %.1f %% of the last round spent compiling%n",
                (System.nanoTime() - begin) / 1e9,
                share * 100);
    }
}
