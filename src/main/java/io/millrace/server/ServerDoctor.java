package io.millrace.server;

import io.millrace.Millrace;
import io.millrace.MillraceException;
import io.millrace.RedisUnavailableException;
import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Looks whether a Redis server is fit for Millrace, and says what each finding means. Changes nothing. What the user may not ask the
 * server is left out with a word about it.
 */
public final class ServerDoctor {

    /** How bad a finding is. */
    public enum Level {
        /** As it should be. */
        OK,
        /** Works, but something can be lost or slow. */
        WARNING,
        /** Does not work, or loses data in normal operation. */
        ERROR;

        /** In lower case. */
        public String word() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /**
     * One thing that was looked at.
     *
     * @param check what was looked at; stable
     * @param value what was found
     * @param meaning what that means
     * @param advice what to do; empty if nothing
     */
    public record Finding(String check, Level level, String value, String meaning, String advice) {

        static Finding ok(String check, String value, String meaning) {
            return new Finding(check, Level.OK, value, meaning, "");
        }

        static Finding unknown(String check) {
            return new Finding(
                    check,
                    Level.OK,
                    "unknown",
                    "This user may not ask the server about it.",
                    "Run doctor once as a user who may, or ask who runs the server.");
        }
    }

    private static final int PINGS = 20;
    private static final Duration SLOW_PING = Duration.ofMillis(10);
    private static final Duration STALLED_PING = Duration.ofMillis(250);
    private static final long CLOCK_TOLERANCE_MS = 1_000;

    private final Redis redis;
    private final boolean embedded;

    /** @param embedded whether the server was started by this process */
    public ServerDoctor(Millrace mill, boolean embedded) {
        this.redis = mill.redis();
        this.embedded = embedded;
    }

    /** All findings, in a fixed order; a server that cannot be reached is a finding too. */
    public Mono<List<Finding>> examine() {
        return redis.call("PING")
                .thenMany(Flux.defer(this::checks))
                .collectList()
                .onErrorResume(MillraceException.class, e -> Mono.just(List.of(unreachable(e))));
    }

    /** The ACL rule a user for this namespace needs. */
    public static String aclLine(String namespace) {
        return AclCheck.line(namespace);
    }

    private Flux<Finding> checks() {
        return info().flatMapMany(info -> Flux.concat(
                Mono.just(connection()),
                Mono.just(InfoChecks.version(info)),
                Mono.just(InfoChecks.role(info, redis.isCluster())),
                Mono.just(InfoChecks.policy(info)),
                Mono.just(InfoChecks.memory(info)),
                config("appendfsync").map(fsync -> InfoChecks.persistence(info, fsync)),
                config("min-replicas-to-write").map(least -> InfoChecks.replicas(info, least, redis.isCluster())),
                new AclCheck(redis).finding(),
                Mono.defer(this::clock),
                Flux.range(0, PINGS).concatMap(i -> ping()).collectList().map(ServerDoctor::latency)));
    }

    private Finding connection() {
        return embedded
                ? new Finding(
                        "connection",
                        Level.WARNING,
                        "embedded",
                        "The server is one that this command started itself, for trials, demos and tests.",
                        "In production name a server of your own: --redis URL, or MILLRACE_REDIS.")
                : Finding.ok("connection", redis.isCluster() ? "cluster" : "answers", "The server answers.");
    }

    private static Finding unreachable(MillraceException e) {
        return new Finding(
                "connection",
                Level.ERROR,
                e instanceof RedisUnavailableException ? "unreachable" : "refused",
                String.valueOf(e.getMessage()),
                "Check the address in --redis or MILLRACE_REDIS, the network between, and user and password.");
    }

    private Mono<Finding> clock() {
        return Mono.defer(() -> {
            long before = System.currentTimeMillis();
            return redis.call("TIME").map(answer -> {
                Reply time = Reply.of(answer);
                long middle = (before + System.currentTimeMillis()) / 2;
                return clock(time.number(0) * 1000 + time.number(1) / 1000 - middle);
            });
        });
    }

    static Finding clock(long offsetMs) {
        String value = offsetMs + " ms";
        return Math.abs(offsetMs) > CLOCK_TOLERANCE_MS
                ? new Finding(
                        "clock",
                        Level.WARNING,
                        value,
                        "The clocks of the server and of this machine differ. Leases and delays go by the server's"
                                + " alone; times of events, and ages computed from them, are off.",
                        "Synchronise both machines by NTP.")
                : Finding.ok("clock", value, "The server and this machine agree on the time.");
    }

    static Finding latency(List<Long> nanos) {
        List<Long> sorted = new ArrayList<>(nanos);
        Collections.sort(sorted);
        long middle = sorted.get(sorted.size() / 2);
        long longest = sorted.get(sorted.size() - 1);
        String value = String.format(Locale.ROOT, "p50 %.2f ms, max %.2f ms", middle / 1e6, longest / 1e6);
        return middle > SLOW_PING.toNanos() || longest > STALLED_PING.toNanos()
                ? new Finding(
                        "latency",
                        Level.WARNING,
                        value,
                        "Answers take long: every pull and every delivery waits for at least one.",
                        "Move closer to the server; look there with redis-cli --latency and SLOWLOG GET.")
                : Finding.ok("latency", value, "Over " + nanos.size() + " round trips.");
    }

    private Mono<Long> ping() {
        return Mono.defer(() -> {
            long before = System.nanoTime();
            return redis.call("PING").map(pong -> System.nanoTime() - before);
        });
    }

    private Mono<Map<String, String>> info() {
        return redis.call("INFO").map(answer -> {
            Map<String, String> fields = new HashMap<>();
            AclCheck.text(answer).lines().forEach(line -> {
                int colon = line.indexOf(':');
                if (colon > 0) {
                    fields.put(
                            line.substring(0, colon), line.substring(colon + 1).trim());
                }
            });
            return fields;
        });
    }

    /** Empty text: not known, because the user may not ask. */
    private Mono<String> config(String name) {
        return redis.call("CONFIG", "GET", name)
                .map(answer -> {
                    Reply reply = Reply.of(answer);
                    return reply.size() > 1 ? reply.text(1) : "";
                })
                .defaultIfEmpty("")
                .onErrorResume(MillraceException.class, e -> Mono.just(""));
    }

    /** The worst level among findings. */
    public static Level worst(List<Finding> findings) {
        return findings.stream().map(Finding::level).max(Level::compareTo).orElse(Level.OK);
    }
}
