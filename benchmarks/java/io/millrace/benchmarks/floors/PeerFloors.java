package io.millrace.benchmarks.floors;

import java.util.Arrays;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The facet queue beside other job queues on Redis, on the same server in one run: how long messages of quiet tenants wait while others
 * flood, and plain rates. Peers that are not installed are left out, with a word. Run it pinned, with nothing else going on:
 *
 * <pre>taskset -c 1 ./mvnw -Pfloors -Dfloors.main=PeerFloors ['-Dfloors.repetitions=10 bullmq']</pre>
 *
 * The arguments are the seconds of each quiet case, and {@code bullmq}, {@code sidekiq} or {@code rates} for the library and that part only.
 */
public final class PeerFloors {

    /** Who add one message at a time, independent of each other. */
    static final int CALLERS = 64;

    /** Who add 100 at a time. */
    static final int BULK_CALLERS = 4;

    private static final int SECONDS = 10;
    private static final int COUNT = 20_000;
    private static final int RATE_REPETITIONS = 3;

    private enum Case {
        IDLE(0),
        ONE(1),
        TWENTY(20);

        private final int flooders;

        Case(int flooders) {
            this.flooders = flooders;
        }
    }

    private final BenchServer server;
    private final int seconds;
    private final Map<String, Map<Case, QuietTenant.Dwell>> dwell = new LinkedHashMap<>();

    private PeerFloors(BenchServer server, int seconds) {
        this.server = server;
        this.seconds = seconds;
    }

    public static void main(String[] args) {
        int seconds = args.length > 0 ? Integer.parseInt(args[0]) : SECONDS;
        List<String> parts =
                args.length > 1 ? Arrays.asList(args).subList(1, args.length) : List.of("bullmq", "sidekiq", "rates");
        List<Peer> peers = List.of(Peer.BULLMQ, Peer.SIDEKIQ).stream()
                .filter(PeerFloors::installed)
                .toList();
        try (BenchServer server = new BenchServer()) {
            PeerFloors floors = new PeerFloors(server, seconds);
            List<Peer> beside = peers.stream()
                    .filter(peer -> parts.contains(peer.name().toLowerCase(Locale.ROOT)))
                    .toList();
            if (!beside.isEmpty()) {
                floors.quiet(beside);
            }
            if (parts.contains("rates")) {
                floors.rates(peers);
            }
        }
    }

    private static boolean installed(Peer peer) {
        String version = peer.version();
        System.out.println(
                version == null
                        ? peer.name() + " is left out, it is not installed: " + peer.install()
                        : peer.name() + " " + version);
        return version != null;
    }

    private void quiet(List<Peer> peers) {
        try (QuietTenant tenant = new QuietTenant(server)) {
            tenant.run("warm up", QuietTenant.tenants(1), 5);
            measure("Millrace", flooders -> tenant.run("Millrace", flooders, seconds));
        }
        for (Peer peer : peers) {
            for (Peer.Arrangement arrangement : peer.arrangements()) {
                measure(
                        peer.name() + ", " + arrangement.name(),
                        flooders -> peer.quiet(server.port(), arrangement, flooders, seconds));
            }
        }
        System.out.println("""

                | p50 / p99 ms | idle | one tenant floods | twenty tenants flood | handled a second, one floods | twenty flood |
                |---|---|---|---|---|---|""");
        dwell.forEach((side, of) -> System.out.printf(
                Locale.ROOT,
                "| %s | %s | %s | %s | %,.0f | %,.0f |%n",
                side,
                shown(of, Case.IDLE),
                shown(of, Case.ONE),
                shown(of, Case.TWENTY),
                of.get(Case.ONE).floodedPerSecond(),
                of.get(Case.TWENTY).floodedPerSecond()));
    }

    private interface Side {
        QuietTenant.Dwell run(List<String> flooders);
    }

    private void measure(String name, Side side) {
        Map<Case, QuietTenant.Dwell> of = new EnumMap<>(Case.class);
        for (Case one : Case.values()) {
            System.err.println(name + ", " + one.flooders + " flood");
            server.flush();
            of.put(one, side.run(QuietTenant.tenants(one.flooders)));
        }
        dwell.put(name, of);
    }

    private static String shown(Map<Case, QuietTenant.Dwell> dwell, Case one) {
        QuietTenant.Dwell of = dwell.get(one);
        return String.format(Locale.ROOT, "%,.2f / %,.2f", of.percentile(0.5) / 1e3, of.percentile(0.99) / 1e3);
    }

    private void rates(List<Peer> peers) {
        Table table = new Table();
        String one = "add one, " + CALLERS + " callers";
        String bulk = "add 100 at a time, " + BULK_CALLERS + " callers";
        String process = "process, four consumers of one at a time";
        String many = "process, 400 at once (Sidekiq 50)";
        String batches = "process, 100 at a time";
        try (Library library = new Library(server)) {
            WarmUp.untilCompiled(() -> {
                library.prepare();
                library.deliver(CALLERS, 5 * COUNT, 100);
                library.deliverAll(BULK_CALLERS, 100, 5 * COUNT, 100);
                library.prepare();
                library.consume(QuietTenant.CONSUMERS, 100, 5 * COUNT, 100);
                library.consume(QuietTenant.CONSUMERS, 1, COUNT, 100);
                library.handle(400, 5 * COUNT, 100);
            });
            for (int i = 0; i < RATE_REPETITIONS; i++) {
                library.prepare();
                add(table, one, "Millrace", library.deliver(CALLERS, 5 * COUNT, 100));
                library.prepare();
                add(table, bulk, "Millrace", library.deliverAll(BULK_CALLERS, 100, 5 * COUNT, 100));
                library.prepare();
                add(table, process, "Millrace", library.consume(QuietTenant.CONSUMERS, 1, 2 * COUNT, 100));
                library.prepare();
                add(table, many, "Millrace", library.handle(400, 5 * COUNT, 100));
                library.prepare();
                add(table, batches, "Millrace", library.consume(QuietTenant.CONSUMERS, 100, 5 * COUNT, 100));
                for (Peer peer : peers) {
                    server.flush();
                    Map<String, Peer.Rate> rates = peer.rates(server.port(), COUNT);
                    add(table, one, peer.name(), rates.get("one"));
                    add(table, bulk, peer.name(), rates.get("bulk"));
                    add(table, many, peer.name(), rates.get("process"));
                }
            }
        }
        System.out.println("\n"
                + table.markdown(
                        "Millrace",
                        "BullMQ",
                        "Sidekiq",
                        "Millrace, server µs",
                        "BullMQ, server µs",
                        "Sidekiq, server µs"));
    }

    private static void add(Table table, String row, String side, Library.Measured measured) {
        add(table, row, side, new Peer.Rate(measured.perSecond(), measured.serverMicros()));
    }

    private static void add(Table table, String row, String side, Peer.Rate rate) {
        table.add(row, side, rate.perSecond());
        table.add(row, side + ", server µs", rate.serverMicros());
    }
}
