package io.millrace.benchmarks.floors;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Floor 10: batches of 1, 20 and 100 events over HTTP, against a bare Reactor Netty that answers 204, and the same with Jackson's
 * parsing; each server a process of its own on cpu 1, {@code wrk} and Redis on cpu 0, one after the other, several times. Every request
 * has a body of its own: a drain does not store the same one twice. Needs {@code wrk}, {@code redis-server} and {@code taskset}.
 *
 * <pre>./mvnw -Pdrain-floors [-Dfloors.repetitions=3 -Dfloors.seconds=4]</pre>
 */
public final class DrainFloors {

    private static final int CONNECTIONS = 64;

    /** Rounds over all sizes before anything is measured: compiling takes seconds on one cpu, and counts as CPU time of the server. */
    private static final int WARM_UP = 2;

    private static final int[] SIZES = {1, 20, 100};
    private static final Pattern RATE = Pattern.compile("Requests/sec:\\s+([0-9.]+)");
    private static final Pattern COUNT = Pattern.compile("(\\d+) requests in");
    private static final Pattern OTHERS = Pattern.compile("Non-2xx or 3xx responses: (\\d+)");
    private static final Pattern LATENCY = Pattern.compile("(50|99)%\\s+([0-9.]+)(us|ms|s)\\b");

    private final Table table = new Table();
    private final BenchServer redis;
    private final int seconds;
    private final Map<DrainServers.Kind, Server> servers = new LinkedHashMap<>();

    private DrainFloors(BenchServer redis, int seconds) {
        this.redis = redis;
        this.seconds = seconds;
    }

    public static void main(String[] args) throws IOException {
        int repetitions = args.length > 0 ? Integer.parseInt(args[0]) : 3;
        int seconds = args.length > 1 ? Integer.parseInt(args[1]) : 4;
        try (BenchServer redis = new BenchServer()) {
            DrainFloors floors = new DrainFloors(redis, seconds);
            try {
                floors.run(repetitions);
            } finally {
                floors.servers.values().forEach(server -> server.process.destroy());
            }
        }
    }

    private void run(int repetitions) throws IOException {
        for (DrainServers.Kind kind : DrainServers.Kind.values()) {
            servers.put(kind, Server.start(kind, redis.uri()));
        }
        for (DrainServers.Kind kind : servers.keySet()) {
            System.err.println("warming up: " + kind);
            for (int i = 0; i < WARM_UP; i++) {
                for (int size : SIZES) {
                    wrk(servers.get(kind), size, seconds);
                }
            }
        }
        for (int i = 0; i < repetitions; i++) {
            System.err.println("repetition " + (i + 1) + " of " + repetitions);
            for (int size : SIZES) {
                for (DrainServers.Kind kind : servers.keySet()) {
                    redis.flush();
                    measure(kind, size);
                }
            }
        }
        print();
    }

    private void measure(DrainServers.Kind kind, int size) throws IOException {
        Server server = servers.get(kind);
        double before = server.cpuMicros();
        double redisBefore = redis.cpuMicros();
        Result result = wrk(server, size, seconds);
        String row = row(kind, size);
        table.add(row, "req/s", result.perSecond);
        table.add(row, "p50 ms", result.p50);
        table.add(row, "p99 ms", result.p99);
        table.add(row, "not accepted %", 100.0 * result.refused / result.requests);
        table.add(row, "server µs/req", (server.cpuMicros() - before) / result.requests);
        table.add(row, "redis µs/req", (redis.cpuMicros() - redisBefore) / result.requests);
    }

    private static String row(DrainServers.Kind kind, int size) {
        return size + (size == 1 ? " event, " : " events, ") + kind.title();
    }

    private void print() {
        System.out.println(
                table.markdown("req/s", "p50 ms", "p99 ms", "server µs/req", "redis µs/req", "not accepted %"));
        System.out.println("| events | against | server CPU | req/s |\n|---|---|---|---|");
        for (int size : SIZES) {
            for (DrainServers.Kind kind : DrainServers.Kind.values()) {
                if (kind != DrainServers.Kind.BARE) {
                    ratio(size, kind, DrainServers.Kind.BARE);
                }
            }
            ratio(size, DrainServers.Kind.STORE, DrainServers.Kind.JACKSON);
        }
        double parse = against("server µs/req", 20, DrainServers.Kind.CHECK, DrainServers.Kind.BARE);
        double store = against("server µs/req", 20, DrainServers.Kind.STORE, DrainServers.Kind.BARE);
        System.out.println("\n| floor | asked | measured |\n|---|---|---|");
        System.out.printf(
                Locale.ROOT, "| 10 parse and validate, 20 events, server CPU against bare | 1.8 | %.2f |%n", parse);
        System.out.printf(Locale.ROOT, "| 10 with the store, 20 events, server CPU against bare | 4 | %.2f |%n", store);
    }

    private void ratio(int size, DrainServers.Kind kind, DrainServers.Kind base) {
        System.out.printf(
                Locale.ROOT,
                "| %d | %s / %s | %.2f | %.2f |%n",
                size,
                kind.title(),
                base.title(),
                against("server µs/req", size, kind, base),
                against("req/s", size, kind, base));
    }

    private double against(String column, int size, DrainServers.Kind kind, DrainServers.Kind base) {
        return table.median(row(kind, size), column) / table.median(row(base, size), column);
    }

    /** What wrk says: requests a second, how many there were, and how long they took in ms. */
    private record Result(double perSecond, long requests, long refused, double p50, double p99) {}

    private static Result wrk(Server server, int size, int seconds) throws IOException {
        Path script = Files.createTempFile("drain-wrk", ".lua");
        try {
            Files.writeString(script, script(size));
            Process wrk = new ProcessBuilder(
                            "taskset",
                            "-c",
                            "0",
                            "wrk",
                            "-t1",
                            "-c" + CONNECTIONS,
                            "-d" + seconds + "s",
                            "--latency",
                            "-s",
                            script.toString(),
                            "http://127.0.0.1:" + server.port + "/events")
                    .redirectErrorStream(true)
                    .start();
            String out = new String(wrk.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            Matcher others =
                    OTHERS.matcher(out); // a drain with no room sheds load with 503, which is cheap: to be seen
            double[] latency = new double[2];
            Matcher matcher = LATENCY.matcher(out);
            while (matcher.find()) {
                double unit = switch (matcher.group(3)) {
                    case "us" -> 1e-3;
                    case "ms" -> 1;
                    default -> 1e3;
                };
                latency[matcher.group(1).equals("50") ? 0 : 1] = Double.parseDouble(matcher.group(2)) * unit;
            }
            long refused = others.find() ? Long.parseLong(others.group(1)) : 0;
            return new Result(number(RATE, out), (long) number(COUNT, out), refused, latency[0], latency[1]);
        } finally {
            Files.delete(script);
        }
    }

    private static double number(Pattern pattern, String text) {
        Matcher matcher = pattern.matcher(text);
        if (!matcher.find()) {
            throw new IllegalStateException("wrk said something else:\n" + text);
        }
        return Double.parseDouble(matcher.group(1));
    }

    /** Each request has another time in its first event; about 200 bytes an event. */
    private static String script(int size) {
        StringBuilder rest = new StringBuilder();
        for (int i = 1; i < size; i++) {
            rest.append(',').append(event(i, "1503000000000"));
        }
        String first = event(0, "@");
        int at = first.indexOf('@');
        // Runs that follow each other do not repeat bodies: they begin at the time of day.
        return "local head = '[" + first.substring(0, at) + "'\nlocal tail = '" + first.substring(at + 1) + rest
                + "]'\n"
                + "local n = os.time() * 1000\n"
                + "local headers = {['Authorization'] = 'Basic ZGVtbzp4', ['Content-Type'] = 'application/json'}\n"
                + "request = function()\n"
                + "  n = n + 1\n"
                + "  return wrk.format('POST', nil, headers, head .. (n - 100000000000) .. tail)\n"
                + "end\n";
    }

    private static String event(int i, String t) {
        String url = "https://example.com/api/v1/restaurants/1000/menus/20/widgets/" + (1_000 + i);
        return "{\"topic\":\"widgets\",\"type\":\"update\",\"url\":\"" + url + "\",\"t\":" + t
                + ",\"data\":{\"region\":\"eu-west-1\"," + "\"version\":7,\"tags\":[\"a\",\"b\"]}}";
    }

    /** A server process. */
    private record Server(Process process, int port) {

        static Server start(DrainServers.Kind kind, String redis) throws IOException {
            List<String> command = new ArrayList<>(List.of(
                    "taskset",
                    "-c",
                    "1",
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "-Xmx1g",
                    "-cp",
                    System.getProperty("java.class.path"),
                    DrainServers.class.getName(),
                    kind.name(),
                    redis));
            Process process = new ProcessBuilder(command)
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            BufferedReader out = process.inputReader(StandardCharsets.UTF_8);
            String line = out.readLine();
            while (line != null && !line.startsWith("port ")) {
                line = out.readLine();
            }
            if (line == null) {
                throw new IllegalStateException("the server did not start: " + kind);
            }
            return new Server(process, Integer.parseInt(line.substring(5)));
        }

        /** CPU time it has used. */
        double cpuMicros() {
            try {
                String stat = Files.readString(Path.of("/proc/" + process.pid() + "/stat"));
                String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
                return (Double.parseDouble(fields[11]) + Double.parseDouble(fields[12])) * 10_000; // ticks of 10 ms
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }
}
