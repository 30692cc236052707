package io.millrace.server;

import io.millrace.server.ServerDoctor.Finding;
import io.millrace.server.ServerDoctor.Level;
import java.util.Map;

/** What a server's INFO, with two of its settings, tells {@link ServerDoctor}. Empty settings: the user may not ask. */
final class InfoChecks {

    private InfoChecks() {}

    static Finding version(Map<String, String> info) {
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
        return Finding.ok("version", version.toString(), "New enough, and without the holes known to us.");
    }

    static Finding role(Map<String, String> info, boolean cluster) {
        String role = info.getOrDefault("role", "unknown");
        if (cluster) { // whichever of its nodes happens to answer
            return Finding.ok("role", "cluster", "Writes go to the master of each slot.");
        }
        return role.equals("slave")
                ? new Finding(
                        "role",
                        Level.ERROR,
                        "replica",
                        "This server is a replica: it refuses writes, or loses them with the next synchronisation.",
                        "Connect to its master, or through Sentinel: redis-sentinel://host1,host2#master.")
                : Finding.ok("role", role, "Writes go to a master.");
    }

    static Finding policy(Map<String, String> info) {
        String policy = info.getOrDefault("maxmemory_policy", "unknown");
        if (policy.equals("noeviction")) {
            return Finding.ok("maxmemory-policy", policy, "Nothing is thrown away to make room.");
        }
        if (policy.equals("unknown")) {
            return Finding.unknown("maxmemory-policy");
        }
        boolean unlimited = info.getOrDefault("maxmemory", "0").equals("0");
        return new Finding(
                "maxmemory-policy",
                unlimited ? Level.WARNING : Level.ERROR,
                policy,
                "When memory is full the server throws keys away: messages vanish without a trace.",
                "CONFIG SET maxmemory-policy noeviction, and the same in redis.conf.");
    }

    static Finding memory(Map<String, String> info) {
        long limit = number(info, "maxmemory");
        long used = number(info, "used_memory");
        if (limit == 0) {
            return Finding.ok("maxmemory", "unlimited", "Memory is bounded by the machine only.");
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
                : Finding.ok("maxmemory", value, "There is room.");
    }

    static Finding persistence(Map<String, String> info, String fsync) {
        String on = info.getOrDefault("aof_enabled", "unknown");
        if (on.equals("unknown")) {
            return Finding.unknown("appendonly");
        }
        if (!on.equals("1")) {
            return new Finding(
                    "appendonly",
                    Level.WARNING,
                    "no",
                    "There is no append-only file: when the server restarts, what came since the last snapshot is gone.",
                    "CONFIG SET appendonly yes, and the same in redis.conf. For an embedded server: --data-dir DIR.");
        }
        return switch (fsync) {
            case "always" ->
                Finding.ok("appendonly", "yes, fsync always", "What was acknowledged survives a crash of the host.");
            case "no" ->
                new Finding(
                        "appendonly",
                        Level.WARNING,
                        "yes, fsync no",
                        "The operating system decides when data reach the disk; a crash of the host loses up to half a"
                                + " minute.",
                        "CONFIG SET appendfsync everysec, or always.");
            case "" ->
                Finding.ok(
                        "appendonly",
                        "yes, fsync unknown",
                        "This user may not ask how often the file is written to disk; Redis' default is once a second.");
            default ->
                Finding.ok(
                        "appendonly",
                        "yes, fsync " + fsync,
                        "A crash of the process loses at most what came while the disk was still being written to, a crash"
                                + " of the host a second or two.");
        };
    }

    /** @param least how many replicas a write needs; empty if the user may not ask */
    static Finding replicas(Map<String, String> info, String least, boolean cluster) {
        long connected = number(info, "connected_slaves");
        // Told only where the setting is in force: how many of them are not further behind than min-replicas-max-lag.
        long good = number(
                info, info.containsKey("min_slaves_good_slaves") ? "min_slaves_good_slaves" : "connected_slaves");
        if (least.isEmpty()) {
            return Finding.unknown("min-replicas-to-write");
        }
        boolean master = !info.getOrDefault("role", "master").equals("slave");
        if (!least.equals("0") && good < Long.parseLong(least) && master) {
            return new Finding(
                    "min-replicas-to-write",
                    Level.ERROR,
                    least + ", with " + good + " of " + connected + " replicas in step",
                    "Too few replicas are in step, so this master refuses all writes (NOREPLICAS).",
                    "Bring replicas back, or CONFIG SET min-replicas-to-write " + good
                            + " until they are: then a failover may lose what was acknowledged.");
        }
        if (connected == 0 && !cluster) {
            return Finding.ok(
                    "min-replicas-to-write", least, "There are no replicas, so there is no failover to lose data in.");
        }
        return least.equals("0")
                ? new Finding(
                        "min-replicas-to-write",
                        Level.WARNING,
                        "0, with " + connected + " replicas",
                        "A master that was cut off goes on accepting what the failover then throws away.",
                        "CONFIG SET min-replicas-to-write 1 and min-replicas-max-lag 1, on every server.")
                : Finding.ok(
                        "min-replicas-to-write",
                        least + ", with " + connected + " replicas",
                        "A master that was cut off refuses writes.");
    }

    static long number(Map<String, String> info, String field) {
        try {
            return Long.parseLong(info.getOrDefault(field, "0"));
        } catch (NumberFormatException e) {
            return 0;
        }
    }
}
