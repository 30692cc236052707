package io.millrace.queue;

import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Walks a queue in bounded steps and asserts what must hold: a facet has exactly one turn if it has messages and none if it has not,
 * all leases are on record, ids expire. Candidates are found page by page; each is judged, and repaired, in one script of its own, so
 * that the queue may be in use meanwhile.
 */
final class QueueDoctor {

    private static final int SCAN_COUNT = 500;
    private static final int BACK_COUNT = 500;

    private final Redis redis;
    private final Unit unit;
    private final Insight insight;

    QueueDoctor(Redis redis, Unit unit) {
        this.redis = redis;
        this.unit = unit;
        this.insight = new Insight(redis, unit);
    }

    Mono<DoctorReport> examine() {
        return Mono.defer(() -> {
            Set<String> inRing = new LinkedHashSet<>();
            Set<String> suspects = new LinkedHashSet<>();
            Set<String> profiles = new LinkedHashSet<>();
            return ring(inRing, suspects)
                    .then(Mono.defer(() -> keys(inRing, suspects, profiles)))
                    .then(Mono.defer(() -> back(inRing, suspects)))
                    .then(Mono.defer(() -> treat(suspects, profiles)))
                    .flatMap(this::report);
        });
    }

    /** Facets that stand twice in the ring, or in two places, or have nothing. */
    private Mono<Void> ring(Set<String> inRing, Set<String> suspects) {
        return insight.standings()
                .doOnNext(page -> page.forEach((facet, waiting, oldest) -> {
                    if (!inRing.add(facet) || waiting == 0) {
                        suspects.add(facet);
                    }
                }))
                .then();
    }

    /** Facets that have messages but were not met in the ring, and all lease profiles, by their keys. */
    private Mono<Void> keys(Set<String> inRing, Set<String> suspects, Set<String> profiles) {
        return keyPage("0")
                .expand(reply -> reply.text(1).equals("0") ? Mono.empty() : keyPage(reply.text(1)))
                .doOnNext(reply -> {
                    for (int i = 2; i < reply.size(); i++) {
                        byte[] key = reply.bytes(i);
                        byte[] part = Arrays.copyOfRange(key, unit.prefix().length, key.length);
                        String name = text(part).substring(2);
                        if (part[0] == 'l') {
                            profiles.add(name);
                        } else if (!inRing.contains(name)) {
                            suspects.add(name);
                        }
                    }
                })
                .then();
    }

    private Mono<Reply> keyPage(String cursor) {
        return run("scan", cursor, escapeGlob(text(unit.prefix())) + "[fl]:*", SCAN_COUNT);
    }

    /** Facets of messages that came back, and were not met in the ring. */
    private Mono<Void> back(Set<String> inRing, Set<String> suspects) {
        AtomicInteger from = new AtomicInteger();
        return run("back", 0, BACK_COUNT)
                .expand(reply -> reply.number(1) < BACK_COUNT
                        ? Mono.empty()
                        : run("back", from.addAndGet(BACK_COUNT), BACK_COUNT))
                .doOnNext(reply -> {
                    for (int i = 2; i < reply.size(); i++) {
                        if (!inRing.contains(reply.text(i))) {
                            suspects.add(reply.text(i));
                        }
                    }
                })
                .then();
    }

    private Mono<Reply> run(Object... words) {
        return redis.run(QueueScripts.DOCTOR, List.of(unit.prefix()), Insight.args(words));
    }

    private Mono<List<DoctorReport.Finding>> treat(Set<String> suspects, Set<String> profiles) {
        Flux<DoctorReport.Finding> facets = Flux.fromIterable(suspects).concatMap(facet -> step(facet, "facet", facet));
        Flux<DoctorReport.Finding> leases =
                Flux.fromIterable(profiles).concatMap(profile -> step(profile, "profile", profile));
        Flux<DoctorReport.Finding> uncounted = Flux.fromIterable(profiles)
                .concatMap(profile -> findings(
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
                        sweep("later", DoctorReport.Kind.TIMELESS))
                .collectList();
    }

    /** Looks through an index; a finding for each entry that had to be mended. */
    private Flux<DoctorReport.Finding> sweep(String index, DoctorReport.Kind kind) {
        return findings(
                run(index, "0").expand(reply -> reply.text(1).equals("0") ? Mono.empty() : run(index, reply.text(1))),
                kind,
                index);
    }

    private static Flux<DoctorReport.Finding> findings(Flux<Reply> pages, DoctorReport.Kind kind, String where) {
        return pages.reduce(0L, (repaired, reply) -> repaired + reply.number(2))
                .flatMapMany(
                        repaired -> Flux.range(0, repaired.intValue()).map(i -> new DoctorReport.Finding(kind, where)));
    }

    private Mono<DoctorReport.Finding> step(String where, Object... words) {
        return run(words)
                .filter(reply -> !reply.text(1).equals("FINE"))
                .map(reply -> new DoctorReport.Finding(kind(reply), where));
    }

    private Mono<DoctorReport> report(List<DoctorReport.Finding> findings) {
        return insight.facets()
                .collectList()
                .zipWith(new DeadLetters(redis, unit).list().count(), (facets, dead) -> {
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
