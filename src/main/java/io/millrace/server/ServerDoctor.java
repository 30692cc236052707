package io.millrace.server;

import io.millrace.Millrace;
import io.millrace.MillraceException;
import io.millrace.RedisUnavailableException;
import io.millrace.redis.Redis;
import io.millrace.redis.Reply;
import java.nio.charset.StandardCharsets;
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
    public record Finding(String check, Level level, String value, String meaning, String advice) {}

    private static final int PINGS = 20;
    private static final Duration SLOW_PING = Duration.ofMillis(10);
    private static final Duration STALLED_PING = Duration.ofMillis(250);
    private static final long CLOCK_TOLERANCE_MS = 1_000;

    /** What Millrace sends, each with arguments that a server accepts in ACL DRYRUN. {@code %s} is a key of the namespace. */
    private static final List<List<String>> COMMANDS = List.of(
            List.of("EVALSHA", "0000000000000000000000000000000000000000", "1", "%s"),
            List.of("EVAL", "return 1", "1", "%s"),
            List.of("LPUSH", "%s", "x"),
            List.of("ZADD", "%s", "1", "x"),
            List.of("HSET", "%s", "f", "x"),
            List.of("XADD", "%s", "*", "f", "x"),
            List.of("XAUTOCLAIM", "%s", "g", "c", "1", "0"),
            List.of("UNLINK", "%s"),
            List.of("PUBLISH", "%s", "x"),
            List.of("SUBSCRIBE", "%s"),
            List.of("SSUBSCRIBE", "%s"),
            List.of("PSUBSCRIBE", "%s*"),
            List.of("SCAN", "0"),
            List.of("TIME"),
            List.of("PING"));

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
        String keys = namespace.isEmpty() ? "~*" : "~" + namespace + ":*";
        String channels = namespace.isEmpty() ? "&*" : "&" + namespace + ":*";
        return "ACL SETUSER millrace on >PASSWORD resetkeys " + keys + " resetchannels " + channels
                + " -@all +@connection +@read +@write +@scripting +@pubsub +@transaction +@blocking -@dangerous"
                + " -function -script|flush -script|kill +info +wait +time"
                + " +cluster|slots +cluster|shards +cluster|nodes +cluster|info +cluster|myid";
    }

    private Flux<Finding> checks() {
        return info().flatMapMany(info -> Flux.concat(
                Mono.just(connection()),
                Mono.just(version(info)),
                Mono.just(role(info)),
                Mono.just(policy(info)),
                Mono.just(memory(info)),
                Mono.defer(() -> persistence(info)),
                Mono.defer(() -> replicas(info)),
                Mono.defer(this::acl),
                Mono.defer(this::clock),
                Mono.defer(this::latency)));
    }

    private Finding connection() {
        return embedded
                ? new Finding(
                        "connection",
                        Level.WARNING,
                        "embedded",
                        "The server is one that this command started itself, for trials, demos and tests.",
                        "In production name a server of your own: --redis URL, or MILLRACE_REDIS.")
                : ok("connection", redis.isCluster() ? "cluster" : "answers", "The server answers.");
    }

    private static Finding unreachable(MillraceException e) {
        return new Finding(
                "connection",
                Level.ERROR,
                e instanceof RedisUnavailableException ? "unreachable" : "refused",
                String.valueOf(e.getMessage()),
                "Check the address in --redis or MILLRACE_REDIS, the network between, and user and password.");
    }

    private static Finding version(Map<String, String> info) {
        RedisVersion version = RedisVersion.of(info);
        boolean old = version.product().equals("Valkey") ? !version.isAtLeast("7.2.0") : !version.isAtLeast("7.0.0");
        if (old) {
            return new Finding(
                    "version",
                    Level.ERROR,
                    version.toString(),
                    "Millrace needs Redis 7.0 or Valkey 7.2; commands that its scripts use are missing here.",
                    "Upgrade the server.");
        }
        if (!version.hasLuaFixes()) {
            return new Finding(
                    "version",
                    Level.WARNING,
                    version.toString(),
                    "This release has known holes in its Lua engine (CVE-2025-49844, CVE-2025-46817, CVE-2025-46818):"
                            + " who may run scripts may take over the server.",
                    "Upgrade to Redis 7.2.11, 7.4.6, 8.0.4, 8.2.2 or Valkey 7.2.11, 8.0.6, 8.1.4 at least, unless your"
                            + " vendor has brought the fix to this release.");
        }
        if (version.hasBlockedClientHole()) {
            return new Finding(
                    "version",
                    Level.WARNING,
                    version.toString(),
                    "This release has a known hole in how blocked clients are woken (CVE-2026-23479).",
                    "Upgrade to Redis 8.6.3 at least, unless your vendor has brought the fix to this release.");
        }
        return ok("version", version.toString(), "New enough, and without the holes known to us.");
    }

    private Finding role(Map<String, String> info) {
        String role = info.getOrDefault("role", "unknown");
        if (redis.isCluster()) { // whichever of its nodes happens to answer
            return ok("role", "cluster", "Writes go to the master of each slot.");
        }
        return role.equals("slave")
                ? new Finding(
                        "role",
                        Level.ERROR,
                        "replica",
                        "This server is a replica: it refuses writes, or loses them with the next synchronisation.",
                        "Connect to its master, or through Sentinel: redis-sentinel://host1,host2#master.")
                : ok("role", role, "Writes go to a master.");
    }

    private static Finding policy(Map<String, String> info) {
        String policy = info.getOrDefault("maxmemory_policy", "unknown");
        if (policy.equals("noeviction")) {
            return ok("maxmemory-policy", policy, "Nothing is thrown away to make room.");
        }
        if (policy.equals("unknown")) {
            return unknown("maxmemory-policy");
        }
        boolean unlimited = info.getOrDefault("maxmemory", "0").equals("0");
        return new Finding(
                "maxmemory-policy",
                unlimited ? Level.WARNING : Level.ERROR,
                policy,
                "When memory is full the server throws keys away: messages vanish without a trace.",
                "CONFIG SET maxmemory-policy noeviction, and the same in redis.conf.");
    }

    private static Finding memory(Map<String, String> info) {
        long limit = number(info, "maxmemory");
        long used = number(info, "used_memory");
        if (limit == 0) {
            return ok("maxmemory", "unlimited", "Memory is bounded by the machine only.");
        }
        long percent = 100 * used / limit;
        String value = used / (1 << 20) + " of " + limit / (1 << 20) + " MiB (" + percent + " %)";
        return percent >= 80
                ? new Finding(
                        "maxmemory",
                        Level.WARNING,
                        value,
                        "Memory is nearly full. When it is, deliveries are refused (OOM) until queues drain.",
                        "Drain queues or raise maxmemory.")
                : ok("maxmemory", value, "There is room.");
    }

    private Mono<Finding> persistence(Map<String, String> info) {
        String on = info.getOrDefault("aof_enabled", "unknown");
        if (on.equals("unknown")) {
            return Mono.just(unknown("appendonly"));
        }
        if (!on.equals("1")) {
            return Mono.just(new Finding(
                    "appendonly",
                    Level.WARNING,
                    "no",
                    "There is no append-only file: when the server restarts, what came since the last snapshot is gone.",
                    "CONFIG SET appendonly yes, and the same in redis.conf. For an embedded server: --data-dir DIR."));
        }
        return config("appendfsync").map(fsync -> switch (fsync) {
            case "always" ->
                ok("appendonly", "yes, fsync always", "What was acknowledged survives a crash of the host.");
            case "no" ->
                new Finding(
                        "appendonly",
                        Level.WARNING,
                        "yes, fsync no",
                        "The operating system decides when data reach the disk; a crash of the host loses up to half a"
                                + " minute.",
                        "CONFIG SET appendfsync everysec, or always.");
            default ->
                ok(
                        "appendonly",
                        "yes, fsync " + (fsync.isEmpty() ? "unknown" : fsync),
                        "A crash of the process loses nothing acknowledged, a crash of the host up to one second.");
        });
    }

    private Mono<Finding> replicas(Map<String, String> info) {
        long connected = number(info, "connected_slaves");
        return config("min-replicas-to-write").map(text -> {
            if (text.isEmpty()) {
                return unknown("min-replicas-to-write");
            }
            if (connected == 0 && !redis.isCluster()) {
                return ok(
                        "min-replicas-to-write",
                        text,
                        "There are no replicas, so there is no failover to lose data in.");
            }
            return text.equals("0")
                    ? new Finding(
                            "min-replicas-to-write",
                            Level.WARNING,
                            "0, with " + connected + " replicas",
                            "A master that was cut off goes on accepting what the failover then throws away.",
                            "CONFIG SET min-replicas-to-write 1 and min-replicas-max-lag 1, on every server.")
                    : ok(
                            "min-replicas-to-write",
                            text + ", with " + connected + " replicas",
                            "A master that was cut off refuses writes.");
        });
    }

    private Mono<Finding> acl() {
        return redis.call("ACL", "WHOAMI")
                .flatMap(user -> Flux.fromIterable(COMMANDS)
                        .concatMap(command -> refusal(text(user), command))
                        .collectList()
                        .map(refused -> acl(text(user), refused)))
                .onErrorResume(MillraceException.class, e -> Mono.just(unknown("acl")));
    }

    private Finding acl(String user, List<String> refused) {
        String line = aclLine(redis.keys().namespace());
        if (!refused.isEmpty()) {
            return new Finding(
                    "acl",
                    Level.ERROR,
                    user + " may not " + String.join(", ", refused),
                    "Commands that Millrace sends are refused for this user.",
                    "Allow what is needed: " + line);
        }
        return user.equals("default")
                ? new Finding(
                        "acl",
                        Level.OK,
                        user,
                        "The default user, who usually may do everything.",
                        "Where others use this server too, make a user for Millrace: " + line)
                : ok("acl", user, "This user may do what Millrace needs.");
    }

    /** The name of the command if it would be refused, else empty. */
    private Mono<String> refusal(String user, List<String> command) {
        String key = redis.keys().unitText("queue", "doctor", 0) + "probe";
        List<Object> words = new ArrayList<>(List.of("DRYRUN", user));
        command.forEach(word -> words.add(word.replace("%s", key)));
        return redis.call("ACL", words.toArray())
                .map(ServerDoctor::text)
                .filter(answer -> !answer.equals("OK"))
                .map(answer -> command.get(0));
    }

    private Mono<Finding> clock() {
        return Mono.defer(() -> {
            long before = System.currentTimeMillis();
            return redis.call("TIME").map(answer -> {
                Reply time = Reply.of(answer);
                long middle = (before + System.currentTimeMillis()) / 2;
                long offset = time.number(0) * 1000 + time.number(1) / 1000 - middle;
                String value = offset + " ms";
                return Math.abs(offset) > CLOCK_TOLERANCE_MS
                        ? new Finding(
                                "clock",
                                Level.WARNING,
                                value,
                                "The clocks of the server and of this machine differ. Leases and delays go by the server's"
                                        + " alone; times of events, and ages computed from them, are off.",
                                "Synchronise both machines by NTP.")
                        : ok("clock", value, "The server and this machine agree on the time.");
            });
        });
    }

    private Mono<Finding> latency() {
        return Flux.range(0, PINGS).concatMap(i -> ping()).collectList().map(nanos -> {
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
                    : ok("latency", value, "Over " + PINGS + " round trips.");
        });
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
            text(answer).lines().forEach(line -> {
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

    private static Finding ok(String check, String value, String meaning) {
        return new Finding(check, Level.OK, value, meaning, "");
    }

    private static Finding unknown(String check) {
        return new Finding(
                check,
                Level.OK,
                "unknown",
                "This user may not ask the server about it.",
                "Run doctor once as a user who may, or ask who runs the server.");
    }

    private static long number(Map<String, String> info, String field) {
        try {
            return Long.parseLong(info.getOrDefault(field, "0"));
        } catch (NumberFormatException e) {
            return 0;
        }
    }

    private static String text(Object answer) {
        return answer instanceof byte[] bytes ? new String(bytes, StandardCharsets.UTF_8) : String.valueOf(answer);
    }

    /** The worst level among findings. */
    public static Level worst(List<Finding> findings) {
        return findings.stream().map(Finding::level).max(Level::compareTo).orElse(Level.OK);
    }
}
