package io.millrace.benchmarks.floors;

import io.millrace.Event;
import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.queue.Cap;
import io.millrace.queue.FacetQueue;
import io.millrace.queue.LeaseOptions;
import io.millrace.queue.Policies;
import io.millrace.queue.Rate;
import io.millrace.redis.LuaSource;
import io.millrace.redis.RedisSettings;
import io.millrace.redis.Reply;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Floors 15 to 17: a quiet tenant beside flooding ones, memory, growth with the number of facets, what policies cost, and the longest
 * script with 100,000 facets and a million messages. Writes {@code benchmarks/quiet-tenant.svg}.
 *
 * <pre>taskset -c 1 ./mvnw -Pfloors -Dfloors.main=FairnessFloors [-Dfloors.repetitions=3]</pre>
 *
 * The arguments are the number of repetitions, each quiet case lasts 25 s for each of them, and {@code quiet}, {@code memory},
 * {@code growth} or {@code longest} for that part only.
 */
public final class FairnessFloors {

    private static final String FILL = "x".repeat(52);
    private static final Pattern MEMORY = Pattern.compile("used_memory:(\\d+)");

    private final BenchServer server;
    private final Millrace mill;
    private final int repetitions;

    private FairnessFloors(BenchServer server, Millrace mill, int repetitions) {
        this.server = server;
        this.mill = mill;
        this.repetitions = repetitions;
    }

    public static void main(String[] args) {
        int repetitions = args.length > 0 ? Integer.parseInt(args[0]) : 3;
        try (BenchServer server = new BenchServer()) {
            Millrace mill = Millrace.connect(MillraceSettings.of(
                    RedisSettings.builder(server.uri()).namespace("bench").build()));
            try {
                FairnessFloors floors = new FairnessFloors(server, mill, repetitions);
                String part = args.length > 1 ? args[1] : "all";
                boolean all = part.equals("all");
                if (all || part.equals("quiet")) {
                    floors.quietTenant();
                }
                if (all || part.equals("memory")) {
                    floors.memory();
                    floors.memoryOfFacets();
                    floors.left();
                }
                if (all || part.equals("growth")) {
                    floors.growth();
                }
                if (all || part.equals("longest")) {
                    floors.longestScript();
                }
            } finally {
                mill.shutdown().block(Duration.ofSeconds(10));
            }
        }
    }

    private void quietTenant() {
        int seconds = 25 * repetitions;
        List<QuietTenant.Dwell> cases = new ArrayList<>();
        try (QuietTenant tenant = new QuietTenant(server)) {
            tenant.run("warm up", QuietTenant.tenants(1), 5);
            cases.add(tenant.run("idle", List.of(), seconds));
            cases.add(tenant.run("one tenant floods", QuietTenant.tenants(1), seconds));
            cases.add(tenant.run("twenty tenants flood", QuietTenant.tenants(20), seconds));
            cases.add(tenant.run("in the same facets as the flood", QuietTenant.quiet(), Math.min(25, seconds)));
        }
        double idle = cases.get(0).percentile(0.99);
        System.out.println("| " + QuietTenant.TENANTS
                + " quiet tenants, each with one message a second | messages | p50 ms | p99 ms | p99 against 2 × idle + one batch"
                + " | flood handled | one batch ms |\n|---|---|---|---|---|---|---|");
        for (QuietTenant.Dwell dwell : cases) {
            double allowed = 2 * idle + dwell.batchMicros();
            System.out.printf(
                    Locale.ROOT,
                    "| %s | %d | %.2f | %.2f | %.2f | %,d | %.2f |%n",
                    dwell.name(),
                    dwell.dwellMicros().length,
                    dwell.percentile(0.5) / 1e3,
                    dwell.percentile(0.99) / 1e3,
                    dwell.percentile(0.99) / allowed,
                    dwell.flooded(),
                    dwell.batchMicros() / 1e3);
        }
        DwellPlot.write(Path.of("benchmarks", "quiet-tenant.svg"), cases);
    }

    private void memory() {
        System.out.println("\n| memory | bytes a message | floor |\n|---|---|---|");
        for (int facets : new int[] {100, 10_000}) {
            FacetQueue queue = fresh();
            long before = used();
            int messages = 200_000;
            fill(messages, facets);
            long filled = used();
            removeIds();
            long withoutIds = used();
            row(
                    "waiting, " + facets + " facets",
                    (withoutIds - before) / (double) messages,
                    facets == 100 ? "240" : "320");
            row("its id, while duplicates are recognised", (filled - withoutIds) / (double) messages, "–");
            long leasedFrom = used();
            queue.receiveBatches(LeaseOptions.builder()
                            .batchSize(100)
                            .lease(Duration.ofHours(1))
                            .build())
                    .take(messages / 200)
                    .collectList()
                    .block();
            row("more when in flight, 100 a lease", (used() - leasedFrom) / (messages / 2.0), "–");
            long singleFrom = used();
            queue.receive(LeaseOptions.builder().lease(Duration.ofHours(1)).build())
                    .take(messages / 2)
                    .collectList()
                    .block();
            row("more when in flight, a lease each", (used() - singleFrom) / (messages / 2.0), "–");
            row("in flight, in all", (used() - before) / (double) messages, "300");
            queue.destroy().block();
            row("left when it is destroyed, in all", (double) (used() - before), "about 0");
        }
    }

    /** What one facet costs besides its messages: the difference to the same messages in few facets. */
    private void memoryOfFacets() {
        int facets = 100_000;
        double[] bytes = new double[2];
        for (int i = 0; i < 2; i++) {
            fresh();
            long before = used();
            fill(facets, i == 0 ? 100 : facets);
            removeIds();
            bytes[i] = (used() - before) / (double) facets;
        }
        System.out.println("\n| memory, 100,000 facets with one message each | bytes a facet | floor |\n|---|---|---|");
        row("facet and message", bytes[1], "–");
        row("the facet alone, against 100,000 messages of 100 facets", bytes[1] - bytes[0], "–");
    }

    /** What a queue leaves when all of it was acknowledged and looked after, and when it is destroyed. */
    private void left() {
        FacetQueue queue = fresh();
        queue.destroy().block();
        long keys = keys();
        long bytes = used();
        mill.queues().register("q", ".*:page:.*").block();
        int messages = 200_000;
        fill(messages, 10_000);
        long[] left = {messages};
        LeaseOptions lease = LeaseOptions.builder()
                .batchSize(100)
                .lease(Duration.ofSeconds(1))
                .build();
        Flux.defer(() -> queue.receiveBatches(lease))
                .concatMap(batch -> batch.ack().thenReturn(batch.messages().size()), 1)
                .takeUntil(count -> (left[0] -= count) <= 0)
                .then(Mono.delay(Duration.ofSeconds(4))) // until the last lease would have ended
                .thenMany(queue.pull(1)) // looks after what is over
                .blockLast(Duration.ofMinutes(3));
        System.out.println("\n| what is left of 200,000 messages of 10,000 facets | keys | bytes |\n|---|---|---|");
        leftRow("drained", keys, bytes);
        removeIds();
        leftRow("drained, without the ids that tell duplicates", keys, bytes);
        queue.destroy().block();
        leftRow("destroyed", keys, bytes);
    }

    private void leftRow(String name, long keys, long bytes) {
        System.out.printf(Locale.ROOT, "| %s | %d | %,d |%n", name, keys() - keys, used() - bytes);
    }

    /** Server time a message for few and for many facets, plain and with policies. */
    private void growth() {
        Table table = new Table();
        for (int i = 0; i < repetitions; i++) {
            for (int facets : new int[] {100, 10_000, 100_000}) {
                cost(table, facets, "plain", queue -> Mono.empty());
                cost(table, facets, "a weight", queue -> queue.policies().weight("env-1", 2));
                cost(table, facets, "caps", queue -> queue.policies().capEach(Cap.of(1_000)));
                cost(table, facets, "caps, rates and a weight", queue -> {
                    Policies policies = queue.policies();
                    return policies.weight("env-1", 2)
                            .then(policies.capEach(Cap.of(1_000)))
                            .then(policies.rateEach(new Rate(100_000, Duration.ofSeconds(1), 100_000)));
                });
            }
        }
        System.out.println("\n" + table.markdown("deliver server µs/msg", "pull and acknowledge 100 server µs/msg"));
    }

    private interface Setup {
        Mono<Void> on(FacetQueue queue);
    }

    private void cost(Table table, int facets, String name, Setup setup) {
        FacetQueue queue = fresh();
        setup.on(queue).block();
        int messages = Math.max(100_000, 2 * facets);
        double before = server.cpuMicros();
        fill(messages, facets);
        double delivered = server.cpuMicros();
        long[] left = {messages};
        Flux.defer(() -> queue.receiveBatches(
                        LeaseOptions.builder().batchSize(100).build()))
                .concatMap(batch -> batch.ack().thenReturn(batch.messages().size()), 1)
                .takeUntil(count -> (left[0] -= count) <= 0)
                .then()
                .block(Duration.ofMinutes(3));
        String row = facets + " facets, " + name;
        table.add(row, "deliver server µs/msg", (delivered - before) / messages);
        table.add(row, "pull and acknowledge 100 server µs/msg", (server.cpuMicros() - delivered) / messages);
    }

    /** 100,000 facets, a million messages: everything that can be done with a queue, and what the server found slow. */
    private void longestScript() {
        FacetQueue queue = fresh();
        server.admin().call("CONFIG", "SET", "slowlog-log-slower-than", "2000").block();
        server.admin().call("CONFIG", "SET", "slowlog-max-len", "100000").block();
        server.admin().call("SLOWLOG", "RESET").block();
        int facets = 100_000;
        long start = keys();
        fill(1_000_000, facets);
        LeaseOptions lease = LeaseOptions.builder()
                .batchSize(256)
                .lease(Duration.ofSeconds(1))
                .build();
        use(queue, lease, "plain", facets);
        Policies policies = queue.policies();
        policies.weight("env-1", 2)
                .then(policies.capEach(Cap.of(3)))
                .then(policies.rateEach(Rate.perSecond(50)))
                .block();
        use(queue, lease, "weights, caps and rates", facets);
        policies.pause("env-2").block();
        policies.capEach(Cap.NONE).then(policies.rateEach(Rate.UNLIMITED)).block();
        use(queue, lease, "a pause and a weight", facets);
        queue.load(10).block(Duration.ofMinutes(2));
        System.out.println("doctor: "
                + queue.doctor().block(Duration.ofMinutes(5)).findings().size() + " findings");
        queue.destroy().block(Duration.ofMinutes(5));
        Map<String, String> scripts = new HashMap<>();
        for (String name : List.of(
                "deliver",
                "pull",
                "ack",
                "return",
                "extend",
                "peek",
                "facets",
                "inflight",
                "dead",
                "doctor",
                "judge",
                "destroy",
                "policy")) {
            String path = "queue/" + name + ".lua";
            scripts.put("EVALSHA " + server.load(LuaSource.load(path).text()), path);
        }
        System.out.println("slowest commands with 100,000 facets and 1 M messages (floor: 5 ms):");
        Reply log = Reply.of(server.admin().call("SLOWLOG", "GET", "100000").block());
        long worst = 0;
        Map<String, Long> longest = new TreeMap<>();
        for (int i = 0; i < log.size(); i++) {
            Reply words = log.list(i).list(3);
            String command = words.text(0) + " " + (words.size() > 1 ? words.text(1) : "");
            longest.merge(scripts.getOrDefault(command, command), log.list(i).number(2), Math::max);
            worst = Math.max(worst, log.list(i).number(2));
        }
        longest.forEach(
                (command, micros) -> System.out.printf(Locale.ROOT, "- %s: %.2f ms%n", command, micros / 1000.0));
        System.out.printf(
                Locale.ROOT,
                "%d of them took more than 2 ms, the longest %.2f ms; keys before %d, after it was destroyed %d%n",
                log.size(),
                worst / 1000.0,
                start,
                keys());
    }

    private static void use(FacetQueue queue, LeaseOptions lease, String name, int facets) {
        long took = queue.receiveBatches(lease)
                .take(100)
                .index()
                .concatMap(
                        batch -> switch ((int) (batch.getT1() % 3)) {
                            case 0 -> batch.getT2().ack();
                            case 1 -> batch.getT2().nack(Duration.ofMillis(500));
                            default -> Mono.just(true); // its lease ends by itself
                        },
                        1)
                .count()
                .block(Duration.ofMinutes(2));
        queue.lease(256, lease).count().block();
        queue.pull(256).count().block();
        queue.peek(256).count().block();
        System.out.println(name + ": " + took + " batches of 256 of " + facets + " facets");
    }

    private FacetQueue fresh() {
        server.flush();
        mill.queues().register("q", ".*:page:.*").block();
        mill.deliver(Event.of("warm", "page", "up")).block();
        mill.queue("q").pull().block();
        return mill.queue("q");
    }

    private void fill(int messages, int facets) {
        Flux.range(0, messages / 100)
                .flatMap(
                        batch -> {
                            List<Event> events = new ArrayList<>(100);
                            for (int i = 0; i < 100; i++) {
                                events.add(Event.of("env-" + (batch * 100 + i) % facets, "page", "http://example.com/1")
                                        .withData(FILL));
                            }
                            return mill.queues().deliverAll(events);
                        },
                        4)
                .then()
                .block(Duration.ofMinutes(5));
    }

    private void removeIds() {
        String prefix = mill.redis().keys().unitText("queue", "q", 0);
        server.admin().call("DEL", prefix + "ids", prefix + "ids.old").block();
    }

    private long used() {
        String info = new String((byte[]) server.admin().call("INFO", "memory").block(), StandardCharsets.UTF_8);
        Matcher memory = MEMORY.matcher(info);
        return memory.find() ? Long.parseLong(memory.group(1)) : 0;
    }

    private long keys() {
        return (Long) server.admin().call("DBSIZE").block();
    }

    private static void row(String name, double bytes, String floor) {
        System.out.printf(Locale.ROOT, "| %s | %,.0f | %s |%n", name, bytes, floor);
    }
}
