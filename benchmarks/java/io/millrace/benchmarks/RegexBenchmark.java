package io.millrace.benchmarks;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;
import org.openjdk.jmh.infra.Blackhole;

/**
 * What does one queue pattern cost per delivered event? Compares {@code java.util.regex}, which backtracks, with RE2/J,
 * which is linear in the topic, on full matches over topics {@code environment:type:name}. One operation matches one
 * pattern against {@value #TOPICS} topics.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class RegexBenchmark {

    static final int TOPICS = 64;

    /** A literal, a pattern as users write it, and one on which a backtracking matcher tries many splits. */
    @Param({"env-1:page:google-1", ".*:page:.*google.*", "(.*-)*[0-9]+:page:(.*g)*oogle.*"})
    String pattern;

    private final String[] topics = new String[TOPICS];
    private java.util.regex.Pattern backtracking;
    private com.google.re2j.Pattern linear;

    @Setup
    public void compile() {
        backtracking = java.util.regex.Pattern.compile(pattern);
        linear = com.google.re2j.Pattern.compile(pattern);
        for (int i = 0; i < TOPICS; i++) {
            topics[i] = "env-" + i + (i % 2 == 1 ? ":page:google-" : ":click:example-") + i;
        }
    }

    @Benchmark
    public void javaUtilRegex(Blackhole sink) {
        for (String topic : topics) {
            sink.consume(backtracking.matcher(topic).matches());
        }
    }

    @Benchmark
    public void re2j(Blackhole sink) {
        for (String topic : topics) {
            sink.consume(linear.matcher(topic).matches());
        }
    }
}
