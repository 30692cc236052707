package io.millrace.benchmarks.floors;

import io.millrace.redis.LuaSource;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import reactor.core.scheduler.Schedulers;

/**
 * Floors 1 to 5: each case as {@code redis-benchmark} does it with the same script (the limit) and as the library does it, one after
 * the other, several times; medians and ratios. Run it pinned, with nothing else going on:
 *
 * <pre>taskset -c 1 java -cp … io.millrace.benchmarks.floors.QueueFloors [repetitions [pulls]]</pre>
 *
 * {@code pulls}: floor 4 only.
 */
public final class QueueFloors {

    private static final String UNIT = Library.NAMESPACE + ":queue:{q/0}:";
    private static final String VERSION_KEY = Library.NAMESPACE + ":{registry}:version";

    private final Table figures = new Table();
    private final BenchServer server;
    private final Library library;
    private final Library onEventLoop;

    private QueueFloors(BenchServer server, Library library, Library onEventLoop) {
        this.server = server;
        this.library = library;
        this.onEventLoop = onEventLoop;
    }

    public static void main(String[] args) {
        int repetitions = args.length > 0 ? Integer.parseInt(args[0]) : 3;
        boolean pullsOnly = args.length > 1 && args[1].equals("pulls");
        try (BenchServer server = new BenchServer();
                Library library = new Library(server);
                Library onEventLoop = new Library(server, settings -> settings.answersOn(Schedulers.immediate()))) {
            QueueFloors floors = new QueueFloors(server, library, onEventLoop);
            floors.warmUp();
            for (int i = 0; i < repetitions; i++) {
                System.err.println("repetition " + (i + 1) + " of " + repetitions);
                if (!pullsOnly) {
                    floors.deliver();
                }
                floors.pull();
                if (!pullsOnly) {
                    floors.serverCpu();
                }
            }
            floors.print();
        }
    }

    private void warmUp() {
        WarmUp.untilCompiled(() -> {
            library.prepare();
            library.deliver(256, 60_000, 100);
            library.deliver(64, 60_000, 100);
            library.deliver(64, 60_000, 1);
            library.deliver(16, 30_000, 100);
            library.deliver(1, 5_000, 1);
            onEventLoop.deliver(1, 5_000, 1);
            library.deliverAll(4, 100, 100_000, 1);
            library.prepare();
            library.consume(4, 100, 100_000, 100);
            library.consume(4, 10, 50_000, 100);
            library.consume(4, 1, 10_000, 100);
            library.prepare();
            library.consume(1, 100, 100_000, 100, 2);
        });
    }

    private void deliver() {
        for (int[] size : new int[][] {{1, 1, 20_000}, {16, 16, 100_000}, {64, 64, 150_000}, {256, 256, 200_000}}) {
            String name = "deliver, " + size[0] + " callers";
            limit(name, 1, size[1], size[2], 1, deliverCommand(1));
            library.prepare();
            measured(name, library.deliver(size[0], size[2], size[0] == 1 ? 1 : 100));
            if (size[0] == 1) {
                String direct = name + ", answers on the event loop";
                limit(direct, 1, 1, size[2], 1, deliverCommand(1));
                onEventLoop.prepare();
                measured(direct, onEventLoop.deliver(1, size[2], 1));
            }
        }
        String same = "deliver, 64 callers, all of one facet";
        limit(same, 1, 64, 150_000, 1, deliverCommand(1));
        library.prepare();
        measured(same, library.deliver(64, 150_000, 1));
        String name = "deliver 100 at a time, 4 callers";
        limit(name, 1, 4, 2_000, 100, deliverCommand(100));
        library.prepare();
        measured(name, library.deliverAll(4, 100, 200_000, 1));
    }

    private void pull() {
        int[][] sizes = {
            {1, 4, 40_000, 0},
            {10, 4, 100_000, 0},
            {100, 1, 200_000, 0},
            {100, 1, 200_000, 1},
            {100, 1, 200_000, 2},
            {100, 4, 200_000, 0}
        };
        for (int[] size : sizes) {
            String name = "pull and acknowledge " + size[0] + ", " + size[1] + " consumers"
                    + (size[3] > 0 ? ", prefetch " + size[3] : "");
            library.prepare();
            library.deliverAll(4, 100, size[2], 100);
            String pull = LuaSource.load("queue/pull.lua")
                    .text()
                    .replace(
                            "return reply",
                            "call('XDEL', stream, mode == 'batch' and reply[4] or reply[5] or '0-1')\nreturn reply");
            String sha = server.load(pull);
            limit(
                    name,
                    1,
                    size[1],
                    size[2] / size[0],
                    size[0],
                    "EVALSHA",
                    sha,
                    "1",
                    UNIT,
                    "" + size[0],
                    size[0] == 1 ? "each" : "batch",
                    "30000.20",
                    "0");
            library.prepare();
            measured(name, library.consume(size[1], size[0], size[2], 100, size[3]));
        }
    }

    /** Floor 5: what the server spends on a message, against other ways to store queues. */
    private void serverCpu() {
        int messages = 100_000;
        library.prepare();
        library.deliverAll(4, 100, messages, 100);
        String pull = LuaSource.load("queue/pull.lua")
                .text()
                .replace("return reply", "call('XDEL', stream, reply[4])\nreturn reply");
        cpu(
                "pull and acknowledge 100 of 100 facets",
                "millrace",
                messages,
                100,
                "EVALSHA",
                server.load(pull),
                "1",
                UNIT,
                "100",
                "batch",
                "30000.20",
                "0");
        server.flush();
        fillLayoutA(messages);
        cpu(
                "pull and acknowledge 100 of 100 facets",
                "layout A",
                messages,
                100,
                "EVALSHA",
                server.load(BenchServer.benchScript("layout-a-pull.lua")),
                "1",
                "{a}:",
                "100");
        library.prepare();
        cpu("deliver 1", "millrace", messages, 1, deliverCommand(1));
        String[] least = deliverCommand(1);
        least[1] = server.load(BenchServer.benchScript("deliver-least.lua"));
        cpu("deliver 1", "least", messages, 1, least);
        library.prepare();
        cpu("deliver 100", "millrace", messages, 100, deliverCommand(100));
        fairway(messages, 1);
        fairway(messages, 20);
    }

    /** The seed's successor matches each message against every queue that is registered. */
    private void fairway(int messages, int queues) {
        server.flush();
        server.admin().call("HSET", "fw:registered_queues", "q", ".*:page:.*").block();
        for (int i = 1; i < queues; i++) {
            server.admin()
                    .call("HSET", "fw:registered_queues", "q" + i, ".*:another" + i + ":.*")
                    .block();
        }
        cpu(
                "deliver 1",
                queues == 1 ? "fairway" : "fairway, " + queues + " queues",
                messages,
                1,
                "EVALSHA",
                server.load(BenchServer.benchScript("fairway-deliver.lua")),
                "1",
                "fw:",
                "env-1:page:http://example.com/1",
                "env-1",
                element("__rand_int__"));
    }

    private void fillLayoutA(int messages) {
        String sha = server.load(BenchServer.benchScript("layout-a-deliver.lua"));
        for (int i = 0; i < messages; i += 100) {
            List<Object> words = new ArrayList<>(List.of(sha, "1", "{a}:"));
            for (int j = i; j < i + 100; j++) {
                words.add("env-" + j % 100);
                words.add(String.format(Locale.ROOT, "%024d%s", j, element("abcdefgh.1")));
            }
            server.admin().call("EVALSHA", words.toArray()).block();
        }
    }

    private String[] deliverCommand(int batch) {
        library.prepare();
        String version =
                new String((byte[]) server.admin().call("GET", VERSION_KEY).block(), StandardCharsets.UTF_8);
        List<String> words = new ArrayList<>(List.of(
                "EVALSHA",
                server.load(LuaSource.load("queue/deliver.lua").text()),
                "2",
                VERSION_KEY,
                UNIT,
                version,
                "0",
                "" + batch));
        for (int i = 0; i < batch; i++) {
            String facet = "env-0";
            words.addAll(List.of(
                    Library.NAMESPACE + ":" + facet + ":page:http://example.com/1",
                    element("id.__rand_int__"),
                    "id.__rand_int__",
                    facet));
        }
        words.add("0");
        return words.toArray(String[]::new);
    }

    private static String element(String id) {
        return "{\"_at\":1790000000000,\"environment\":\"env-0\",\"type\":\"page\",\"name\":\"http://example.com/1\",\"id\":\""
                + id + "\",\"time\":\"2026-11-20T00:00:00.000Z\",\"data\":\"" + "x".repeat(52) + "\"}";
    }

    private void limit(String name, int clients, int pipeline, int calls, int messagesPerCall, String... command) {
        BenchServer.Limit limit = server.limit(clients, pipeline, calls, command);
        figures.add(name, "limit msg/s", limit.callsPerSecond() * messagesPerCall);
        figures.add(name, "limit p99 ms", limit.p99());
    }

    private void measured(String name, Library.Measured measured) {
        figures.add(name, "Millrace msg/s", measured.perSecond());
        figures.add(name, "p50 µs", measured.p50Micros());
        figures.add(name, "p99 µs", measured.p99Micros());
        figures.add(name, "client µs/msg", measured.clientMicros());
        figures.add(name, "client B/msg", measured.clientBytes());
        figures.add(name, "server µs/msg", measured.serverMicros());
        figures.add(name, "ratio", measured.perSecond() / figures.median(name, "limit msg/s"));
    }

    private void cpu(String name, String who, int messages, int perCall, String... command) {
        double before = server.cpuMicros();
        server.limit(1, perCall == 1 ? 64 : 4, messages / perCall, command);
        figures.add(name, "server µs/msg " + who, (server.cpuMicros() - before) / messages);
    }

    private void print() {
        System.out.println(figures.markdown(
                "limit msg/s",
                "Millrace msg/s",
                "ratio",
                "p50 µs",
                "p99 µs",
                "limit p99 ms",
                "client µs/msg",
                "client B/msg",
                "server µs/msg"));
        System.out.println(figures.markdown(
                "server µs/msg millrace",
                "server µs/msg layout A",
                "server µs/msg fairway",
                "server µs/msg fairway, 20 queues",
                "server µs/msg least"));
    }
}
