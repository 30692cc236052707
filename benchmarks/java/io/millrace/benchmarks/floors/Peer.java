package io.millrace.benchmarks.floors;

import io.millrace.json.EventCodec;
import io.millrace.json.Json;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Another job queue: a script in {@code benchmarks/peers} that does one case in a process of its own, on cpu 1 and on the same server as
 * the library, and prints its figures as one line of JSON.
 *
 * @param arrangements ways to use it for tenants; the first is for plain rates
 * @param install what to do where it is not installed
 */
record Peer(String name, List<String> command, List<Arrangement> arrangements, String install) {

    private static final Path FOLDER = Path.of("benchmarks", "peers");
    private static final int PATIENCE_SECONDS = 60;

    /**
     * A Worker for all holds as many jobs at once as four of our consumers hold in batches of 100. Where each tenant has a Worker, no number
     * is good for both one and twenty of them that have work, so there are two.
     */
    static final Peer BULLMQ = new Peer(
            "BullMQ",
            List.of("node", "bullmq.mjs"),
            List.of(
                    new Arrangement("one queue", false, QuietTenant.CONSUMERS * QuietTenant.BATCH),
                    new Arrangement("a queue for each tenant, a worker of 10 each", true, 10),
                    new Arrangement("a queue for each tenant, a worker of 50 each", true, 50)),
            "Node.js, npm install --prefix benchmarks/peers");

    /** As many threads as its documentation allows. */
    static final Peer SIDEKIQ = new Peer(
            "Sidekiq",
            List.of("ruby", "sidekiq.rb"),
            List.of(
                    new Arrangement("one queue", false, 50),
                    new Arrangement("a queue for each tenant, of equal weight", true, 50)),
            "apt-get install ruby-sidekiq");

    /** How its queues can be laid out, and how many jobs a worker has at once where each takes time. */
    record Arrangement(String name, boolean queuePerTenant, int concurrency) {}

    /** What a rate is, and what one message costs the server. */
    record Rate(double perSecond, double serverMicros) {}

    /** Which version is installed, or null. */
    @Nullable
    String version() {
        return run("version", setting(0));
    }

    /** One case of {@link QuietTenant}. */
    QuietTenant.Dwell quiet(int port, Arrangement arrangement, List<String> flooders, int seconds) {
        Map<String, Object> setting = setting(port);
        setting.put("queuePerTenant", arrangement.queuePerTenant());
        setting.put("concurrency", arrangement.concurrency());
        setting.put("flooders", flooders);
        setting.put("quiet", QuietTenant.quiet());
        setting.put("seconds", seconds);
        Map<?, ?> figures = figures("quiet", setting);
        List<?> handled = (List<?>) Objects.requireNonNull(figures.get("dwell"));
        double[] dwell = new double[seconds * QuietTenant.TENANTS];
        Arrays.fill(dwell, Double.POSITIVE_INFINITY); // those that waited until our patience ended
        for (int i = 0; i < handled.size(); i++) {
            dwell[i] = ((Number) handled.get(i)).doubleValue();
        }
        Arrays.sort(dwell);
        if (flooders.isEmpty()) {
            return new QuietTenant.Dwell(name, dwell, 0, 0);
        }
        System.err.printf("%s: %,.0f were waiting at the end%n", name, number(figures, "waiting"));
        double perSecond = number(figures, "handledPerSecond");
        double batchMicros = QuietTenant.CONSUMERS * QuietTenant.BATCH * 1e6 / perSecond; // as if there were batches
        return new QuietTenant.Dwell(name, dwell, Math.round(perSecond * seconds), batchMicros);
    }

    /** {@code one}, {@code bulk} and {@code process}: adding by 64 callers, 100 at a time by 4, and jobs without work. */
    Map<String, Rate> rates(int port, int count) {
        Map<String, Object> setting = setting(port);
        setting.put("workMs", 0);
        setting.put("count", count);
        Map<?, ?> figures = figures("rates", setting);
        Map<String, Rate> rates = new HashMap<>();
        for (String rate : List.of("one", "bulk", "process")) {
            Map<?, ?> of = (Map<?, ?>) Objects.requireNonNull(figures.get(rate));
            rates.put(rate, new Rate(number(of, "perSecond"), number(of, "serverMicros")));
        }
        return rates;
    }

    private static double number(Map<?, ?> figures, String name) {
        return ((Number) Objects.requireNonNull(figures.get(name))).doubleValue();
    }

    /** The same message, the same work, the same flood as {@link QuietTenant}. */
    private Map<String, Object> setting(int port) {
        Map<String, Object> setting = new HashMap<>();
        setting.put("port", port);
        setting.put("event", EventCodec.plain(Library.event(1, 1)));
        setting.put("concurrency", arrangements.get(0).concurrency());
        setting.put("backlog", QuietTenant.BACKLOG);
        setting.put("batch", QuietTenant.BATCH);
        setting.put("workMs", QuietTenant.WORK.toMillis());
        setting.put("patienceSeconds", PATIENCE_SECONDS);
        setting.put("warmUp", 50 * arrangements.get(0).concurrency());
        setting.put("queuePerTenant", false);
        setting.put("flooders", List.of());
        setting.put("quiet", List.of("env-0"));
        setting.put("callers", PeerFloors.CALLERS);
        setting.put("bulkCallers", PeerFloors.BULK_CALLERS);
        return setting;
    }

    private Map<?, ?> figures(String mode, Map<String, Object> setting) {
        String line = run(mode, setting);
        if (line == null) {
            throw new IllegalStateException(name + " has failed at " + mode + ", see above");
        }
        return (Map<?, ?>) Objects.requireNonNull(Json.read(line));
    }

    /** What it prints, or null where it fails. */
    private @Nullable String run(String mode, Map<String, Object> setting) {
        List<String> words = new ArrayList<>(List.of("taskset", "-c", "1"));
        words.addAll(command);
        words.add(mode);
        ProcessBuilder builder = new ProcessBuilder(words)
                .directory(FOLDER.toFile())
                .redirectError(
                        mode.equals("version") ? ProcessBuilder.Redirect.DISCARD : ProcessBuilder.Redirect.INHERIT);
        builder.environment().put("PEER_SETTING", Json.text(setting));
        try {
            Process process = builder.start();
            if (process.waitFor(3, TimeUnit.MINUTES) && process.exitValue() == 0) { // what it prints fits into the pipe
                return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
            }
            process.descendants().forEach(ProcessHandle::destroyForcibly);
            process.destroyForcibly();
            return null;
        } catch (IOException e) {
            throw new UncheckedIOException("this needs taskset on the PATH", e);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
