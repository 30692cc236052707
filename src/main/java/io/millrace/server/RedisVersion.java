package io.millrace.server;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Which server this is, and what is known about its version.
 *
 * @param product {@code Redis} or {@code Valkey}
 * @param text as the server gives it
 */
record RedisVersion(String product, String text) {

    /** First release of each branch without the Lua holes CVE-2025-49844, -46817, -46818. */
    private static final Map<String, List<String>> LUA_FIXED = Map.of(
            "Redis", List.of("6.2.20", "7.2.11", "7.4.6", "8.0.4", "8.2.2", "8.3.0"),
            "Valkey", List.of("7.2.11", "8.0.6", "8.1.4", "9.0.0"));

    static RedisVersion of(Map<String, String> info) {
        String valkey = info.getOrDefault("valkey_version", "");
        return valkey.isEmpty()
                ? new RedisVersion("Redis", info.getOrDefault("redis_version", "0"))
                : new RedisVersion("Valkey", valkey);
    }

    boolean isAtLeast(String other) {
        List<Integer> mine = numbers(text);
        List<Integer> theirs = numbers(other);
        for (int i = 0; i < 3; i++) {
            if (!mine.get(i).equals(theirs.get(i))) {
                return mine.get(i) > theirs.get(i);
            }
        }
        return true;
    }

    /** Whether the holes in Lua are closed: fixed in its own branch, or in a branch that began later. */
    boolean hasLuaFixes() {
        List<String> fixed = LUA_FIXED.getOrDefault(product, List.of());
        for (String release : fixed) {
            if (sameBranch(release)) {
                return isAtLeast(release);
            }
        }
        return isAtLeast(fixed.get(fixed.size() - 1));
    }

    /** CVE-2026-23479: Redis 7.2.0 to 8.6.2. */
    boolean hasBlockedClientHole() {
        return product.equals("Redis") && isAtLeast("7.2.0") && !isAtLeast("8.6.3");
    }

    private boolean sameBranch(String release) {
        return numbers(text).subList(0, 2).equals(numbers(release).subList(0, 2));
    }

    private static List<Integer> numbers(String version) {
        List<Integer> numbers = new ArrayList<>();
        for (String part : version.split("[.-]", -1)) {
            String digits = part.replaceAll("\\D.*", "");
            numbers.add(digits.isEmpty() || digits.length() > 9 ? 0 : Integer.parseInt(digits));
        }
        while (numbers.size() < 3) {
            numbers.add(0);
        }
        return numbers;
    }

    @Override
    public String toString() {
        return product + " " + text;
    }
}
