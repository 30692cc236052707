package io.millrace.benchmarks.floors;

import io.millrace.redis.Redis;
import io.millrace.redis.RedisSettings;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A {@code redis-server} from the PATH on a free loopback port, pinned to cpu 0, without persistence; and what it reports. */
final class BenchServer implements AutoCloseable {

    private static final Pattern CPU = Pattern.compile("used_cpu_(?:sys|user):([0-9.]+)");

    private final Process process;
    private final int port;
    private final Redis admin;

    BenchServer() {
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = free.getLocalPort();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        process = start(List.of(
                "taskset",
                "-c",
                "0",
                "redis-server",
                "--port",
                Integer.toString(port),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no"));
        admin = Redis.open(RedisSettings.builder(uri())
                .commandTimeout(Duration.ofSeconds(30)) // freeing millions of messages takes its time
                .build());
        for (int i = 0; ; i++) {
            try {
                admin.call("PING").block();
                return;
            } catch (RuntimeException e) {
                if (i == 100 || !process.isAlive()) {
                    process.destroyForcibly();
                    throw new IllegalStateException(
                            "no answer from a redis-server on cpu 0; redis-server, redis-benchmark and taskset must be on the PATH",
                            e);
                }
                pause();
            }
        }
    }

    String uri() {
        return "redis://127.0.0.1:" + port;
    }

    int port() {
        return port;
    }

    Redis admin() {
        return admin;
    }

    void flush() {
        admin.call("FLUSHALL").block();
    }

    String load(String script) {
        return new String((byte[]) admin.call("SCRIPT", "LOAD", script).block(), StandardCharsets.UTF_8);
    }

    static String benchScript(String name) {
        try {
            return Files.readString(Path.of("benchmarks/lua", name));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** CPU time the server has used, in microseconds. */
    double cpuMicros() {
        String info = new String((byte[]) admin.call("INFO", "cpu").block(), StandardCharsets.UTF_8);
        Matcher cpu = CPU.matcher(info);
        double seconds = 0;
        while (cpu.find()) {
            seconds += Double.parseDouble(cpu.group(1));
        }
        return seconds * 1e6;
    }

    /** What redis-benchmark says of one command: calls a second, median and 99th percentile in milliseconds. */
    record Limit(double callsPerSecond, double p50, double p99) {}

    Limit limit(int clients, int pipeline, long calls, String... command) {
        List<String> words = new ArrayList<>(List.of(
                "taskset",
                "-c",
                "1",
                "redis-benchmark",
                "-h",
                "127.0.0.1",
                "-p",
                Integer.toString(port),
                "-c",
                Integer.toString(clients),
                "-P",
                Integer.toString(pipeline),
                "-n",
                Long.toString(calls),
                "-r",
                "1000000000",
                "--csv"));
        words.addAll(List.of(command));
        Process benchmark = start(words);
        try (BufferedReader out = benchmark.inputReader(StandardCharsets.UTF_8)) {
            String last = "";
            for (String line = out.readLine(); line != null; line = out.readLine()) {
                if (!line.isBlank()) {
                    last = line;
                }
            }
            // "test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
            String[] columns = last.split("\",\"");
            int n = columns.length;
            return new Limit(
                    Double.parseDouble(columns[n - 7]),
                    Double.parseDouble(columns[n - 4]),
                    Double.parseDouble(columns[n - 2]));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Process start(List<String> words) {
        try {
            return new ProcessBuilder(words).redirectErrorStream(true).start();
        } catch (IOException e) {
            throw new UncheckedIOException("this needs redis-server, redis-benchmark and taskset on the PATH", e);
        }
    }

    private static void pause() {
        java.util.concurrent.locks.LockSupport.parkNanos(50_000_000);
    }

    @Override
    public void close() {
        admin.close().block();
        process.destroy();
    }
}
