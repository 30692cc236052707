package io.millrace.queue;

import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Walks a queue in bounded steps and asserts what must hold: a facet has exactly one turn if it has messages and none if it has not, and
 * stands aside only if its policies say so; all leases are on record, ids expire. Candidates are found page by page; each is judged, and repaired, in one script of its own, so
 * that the queue may be in use meanwhile.
 */
final class QueueDoctor {

    private static final int SCAN_COUNT = 500;
    private static final int BACK_COUNT = 500;

    private final Redis redis;
    private final Unit unit;
    private final Insight insight;

    private final Set<String> standing = new LinkedHashSet<>();
    private final Set<String> suspects = new LinkedHashSet<>();
    private final Set<String> profiles = new LinkedHashSet<>();
    private final List<DoctorReport.Finding> findings = new ArrayList<>();

    private QueueDoctor(Redis redis, Unit unit) {
        this.redis = redis;
        this.unit = unit;
        this.insight = new Insight(redis, unit);
    }

    /** A report of each of the partitions of a queue. */
    static Mono<List<DoctorReport>> examine(Redis redis, List<Unit> units) {
        return Mono.defer(() -> {
            List<QueueDoctor> all =
                    units.stream().map(unit -> new QueueDoctor(redis, unit)).toList();
            return Flux.fromIterable(all)
                    .concatMap(QueueDoctor::turns)
                    .thenMany(Flux.defer(() -> redis.isCluster() // where each may lie on another server
                            ? Flux.fromIterable(all)
                                    .concatMap(one -> one.keys(escapeGlob(text(one.unit.prefix())), List.of(one)))
                            : all.get(0).keys(ofAll(units), all)))
                    .thenMany(Flux.fromIterable(all))
                    .concatMap(one -> one.back().then(Mono.defer(one::treat)).then(Mono.defer(one::report)))
                    .collectList();
        });
    }

    /** Where facets stand: that they can be found there, that they are there for a reason, and who stands twice or has nothing. */
    private Mono<Void> turns() {
        return Flux.concat(sweep("fair", DoctorReport.Kind.MISPLACED), sweep("place", DoctorReport.Kind.MISPLACED))
                .doOnNext(findings::add)
                .thenMany(Flux.concat(aside("parked"), aside("throttled")))
                .thenMany(Flux.defer(insight::standings))
                .doOnNext(page -> page.forEach((facet, waiting, oldest) -> {
                    if (!standing.add(facet) || waiting == 0) {
                        suspects.add(facet);
                    }
                }))
                .then();
    }

    /** Facets that stand aside without a reason are suspects, too. */
    private Flux<Reply> aside(String where) {
        return judge(where, "0")
                .expand(reply -> reply.text(1).equals("0") ? Mono.empty() : judge(where, reply.text(1)))
                .doOnNext(reply -> {
                    for (int i = 2; i < reply.size(); i++) {
                        suspects.add(reply.text(i));
                    }
                });
    }

    private Mono<Reply> judge(Object... words) {
        return redis.run(QueueScripts.JUDGE, List.of(unit.prefix()), Insight.args(words));
    }

    /** Facets that have messages but were met nowhere, and all lease profiles, by their keys. */
    private Mono<Void> keys(String prefix, List<QueueDoctor> all) {
        String pattern = prefix + "[fl]:*";
        return run("scan", "0", pattern, SCAN_COUNT)
                .expand(reply ->
                        reply.text(1).equals("0") ? Mono.empty() : run("scan", reply.text(1), pattern, SCAN_COUNT))
                .doOnNext(reply -> {
                    for (int i = 2; i < reply.size(); i++) {
                        byte[] key = reply.bytes(i);
                        all.forEach(one -> one.met(key));
                    }
                })
                .then();
    }

    private void met(byte[] key) {
        int length = unit.prefix().length;
        if (key.length < length + 2 || !Arrays.equals(unit.prefix(), 0, length, key, 0, length)) {
            return; // another partition's
        }
        String name = text(Arrays.copyOfRange(key, length, key.length));
        if (name.startsWith("l:")) {
            profiles.add(name.substring(2));
        } else if (name.startsWith("f:") && !standing.contains(name.substring(2))) {
            suspects.add(name.substring(2));
        }
    }

    /** What the keys of all partitions begin with, as a pattern. */
    private static String ofAll(List<Unit> units) {
        String first = text(units.get(0).prefix());
        String end = "/0}:";
        return units.size() == 1
                ? escapeGlob(first)
                : escapeGlob(first.substring(0, first.length() - end.length())) + "/*}:";
    }

    /** Facets of messages that came back, and were not met in the ring. */
    private Mono<Void> back() {
        AtomicInteger from = new AtomicInteger();
        return run("back", 0, BACK_COUNT)
                .expand(reply -> reply.number(1) < BACK_COUNT
                        ? Mono.empty()
                        : run("back", from.addAndGet(BACK_COUNT), BACK_COUNT))
                .doOnNext(reply -> {
                    for (int i = 2; i < reply.size(); i++) {
                        if (!standing.contains(reply.text(i))) {
                            suspects.add(reply.text(i));
                        }
                    }
                })
                .then();
    }

    private Mono<Reply> run(Object... words) {
        return redis.run(QueueScripts.DOCTOR, List.of(unit.prefix()), Insight.args(words));
    }

    private Mono<Void> treat() {
        Flux<DoctorReport.Finding> facets =
                new RingJudge(redis, unit, suspects).verdicts().collectList().flatMapIterable(QueueDoctor::findings);
        Flux<DoctorReport.Finding> leases =
                Flux.fromIterable(profiles).concatMap(profile -> step(profile, "profile", profile));
        Flux<DoctorReport.Finding> uncounted = Flux.fromIterable(profiles)
                .concatMap(profile -> finding(
                        run("leases", profile, "-")
                                .expand(reply ->
                                        reply.text(1).isEmpty() ? Mono.empty() : run("leases", profile, reply.text(1))),
                        DoctorReport.Kind.MISCOUNTED,
                        profile));
        return Flux.concat(
                        facets,
                        leases,
                        step("", "window"),
                        sweep("busy", DoctorReport.Kind.MISCOUNTED),
                        uncounted,
                        sweep("later", DoctorReport.Kind.TIMELESS),
                        sweep("promised", DoctorReport.Kind.MISCOUNTED))
                .doOnNext(findings::add)
                .then();
    }

    /** One for each facet, and one for all that stood aside. */
    private static List<DoctorReport.Finding> findings(List<RingJudge.Verdict> verdicts) {
        List<DoctorReport.Finding> findings = new ArrayList<>();
        for (String where : List.of("parked", "throttled")) {
            long stuck = verdicts.stream()
                    .filter(verdict -> verdict.word().equals(where.toUpperCase(Locale.ROOT)))
                    .count();
            if (stuck > 0) {
                findings.add(new DoctorReport.Finding(DoctorReport.Kind.STUCK, where, stuck));
            }
        }
        for (RingJudge.Verdict verdict : verdicts) {
            if (!verdict.word().equals("PARKED") && !verdict.word().equals("THROTTLED")) {
                findings.add(new DoctorReport.Finding(DoctorReport.Kind.valueOf(verdict.word()), verdict.facet(), 1));
            }
        }
        return findings;
    }

    /** Looks through a set or hash. */
    private Mono<DoctorReport.Finding> sweep(String part, DoctorReport.Kind kind) {
        return finding(
                run(part, "0").expand(reply -> reply.text(1).equals("0") ? Mono.empty() : run(part, reply.text(1))),
                kind,
                part);
    }

    /** One for all that had to be mended. */
    private static Mono<DoctorReport.Finding> finding(Flux<Reply> pages, DoctorReport.Kind kind, String where) {
        return pages.reduce(0L, (repaired, reply) -> repaired + reply.number(2))
                .filter(repaired -> repaired > 0)
                .map(repaired -> new DoctorReport.Finding(kind, where, repaired));
    }

    private Mono<DoctorReport.Finding> step(String where, Object... words) {
        return run(words)
                .filter(reply -> !reply.text(1).equals("FINE"))
                .map(reply -> new DoctorReport.Finding(kind(reply), where, 1));
    }

    private Mono<DoctorReport> report() {
        return insight.facets().collectList().zipWith(new DeadLetters(redis, unit).count(), (facets, dead) -> {
            long[] sums = new long[4];
            for (FacetState facet : facets) {
                sums[0] += facet.waiting() > 0 ? 1 : 0;
                sums[1] += facet.waiting();
                sums[2] += facet.inFlight();
                sums[3] += facet.later();
            }
            return new DoctorReport(
                    unit.queue(), sums[0], sums[1], sums[2], sums[3], dead, List.copyOf(findings), List.of());
        });
    }

    private static DoctorReport.Kind kind(Reply reply) {
        return reply.word(1, DoctorReport.Kind.class);
    }

    private static String escapeGlob(String text) {
        return text.replaceAll("([*?\\[\\]\\\\^])", "\\\\$1");
    }

    private static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }
}
