package io.millrace.drain;

import io.millrace.redis.RedisSettings;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * What environment variables say about fetching and caching resources, under the names that Routemaster's drain gave them: for those
 * who fetch, in the hooks of {@link DrainBuilder#caching()} for example.
 *
 * @param redis of {@code ROUTEMASTER_CACHE_REDIS}, as {@link RedisSettings#of} takes it; {@code null} if it is not set. It may hold a
 *     password
 * @param expiry of {@code ROUTEMASTER_CACHE_EXPIRY}, seconds: for how long representations are kept; a year by default
 * @param credentials of {@code ROUTEMASTER_CACHE_AUTH}, see {@link HostCredentials#of}
 * @param timeout of {@code ROUTEMASTER_CACHE_TIMEOUT}, seconds, also {@code 0.5}; one second by default
 * @param verifyTls of {@code ROUTEMASTER_CACHE_VERIFY_SSL}; true by default, unlike in Ruby's drain: without it anybody on the way
 *     reads the credentials and writes the cache
 * @param queue of {@code ROUTEMASTER_QUEUE_NAME}: where jobs that fetch wait; {@code routemaster} by default
 * @param userAgent of {@code ROUTEMASTER_API_CLIENT_USER_AGENT}; {@code null} if it is not set
 * @param circuit of {@code ROUTEMASTER_ENABLE_API_CLIENT_CIRCUIT}: whether there is a circuit breaker
 * @param environment where {@link #circuit(String)} looks
 */
public record CacheEnvironment(
        @Nullable String redis,
        Duration expiry,
        HostCredentials credentials,
        Duration timeout,
        boolean verifyTls,
        String queue,
        @Nullable String userAgent,
        boolean circuit,
        Map<String, String> environment) {

    private static final String CIRCUIT = "ROUTEMASTER_CIRCUIT_BREAKER_";
    private static final Set<String> YES = Set.of("1", "true", "yes", "on");
    private static final Set<String> NO = Set.of("0", "false", "no", "off");

    /**
     * When a circuit opens and for how long; {@code null} where nothing is said.
     *
     * @param sleepWindow for how long it stays open
     * @param timeWindow over which errors are counted
     * @param volumeThreshold how many requests it takes to open it
     * @param errorThreshold how many per cent of them must have failed
     */
    public record Circuit(
            @Nullable Duration sleepWindow,
            @Nullable Duration timeWindow,
            @Nullable Integer volumeThreshold,
            @Nullable Integer errorThreshold) {}

    /** Keeps what is said of circuits only. */
    public CacheEnvironment {
        environment = environment.entrySet().stream()
                .filter(one -> one.getKey().contains(CIRCUIT))
                .collect(Collectors.toUnmodifiableMap(Map.Entry::getKey, Map.Entry::getValue));
    }

    /**
     * Reads them.
     *
     * @param environment such as {@link System#getenv()}
     * @throws IllegalArgumentException naming the variable, if its value is none
     */
    public static CacheEnvironment of(Map<String, String> environment) {
        String redis = environment.getOrDefault("ROUTEMASTER_CACHE_REDIS", "").trim();
        String userAgent = environment
                .getOrDefault("ROUTEMASTER_API_CLIENT_USER_AGENT", "")
                .trim();
        String queue = environment.getOrDefault("ROUTEMASTER_QUEUE_NAME", "").trim();
        Duration expiry = seconds(environment, "ROUTEMASTER_CACHE_EXPIRY");
        Duration timeout = seconds(environment, "ROUTEMASTER_CACHE_TIMEOUT");
        return new CacheEnvironment(
                redis.isEmpty() ? null : DrainEnvironment.redis(redis),
                expiry == null ? Duration.ofDays(365) : expiry,
                HostCredentials.of(environment.get("ROUTEMASTER_CACHE_AUTH")),
                timeout == null ? Duration.ofSeconds(1) : timeout,
                is(environment, "ROUTEMASTER_CACHE_VERIFY_SSL", true),
                queue.isEmpty() ? "routemaster" : queue,
                userAgent.isEmpty() ? null : userAgent,
                is(environment, "ROUTEMASTER_ENABLE_API_CLIENT_CIRCUIT", false),
                environment);
    }

    /** What is said of the circuit of a host: {@code <host>.ROUTEMASTER_CIRCUIT_BREAKER_…} if it is there, else without the host. */
    public Circuit circuit(String host) {
        Integer volume = number(name(host, "VOLUME_THRESHOLD"), Integer.MAX_VALUE);
        Integer errors = number(name(host, "ERROR_THRESHOLD"), 100);
        return new Circuit(
                seconds(environment, name(host, "SLEEP_WINDOW")),
                seconds(environment, name(host, "TIME_WINDOW")),
                volume,
                errors);
    }

    private String name(String host, String what) {
        String own = host.toLowerCase(Locale.ROOT) + "." + CIRCUIT + what;
        return environment.containsKey(own) ? own : CIRCUIT + what;
    }

    private @Nullable Integer number(String name, int most) {
        String value = environment.getOrDefault(name, "").trim();
        if (value.isEmpty()) {
            return null;
        }
        try {
            int number = Integer.parseInt(value);
            if (number >= 1 && number <= most) {
                return number;
            }
        } catch (NumberFormatException e) {
            // as one out of range
        }
        throw new IllegalArgumentException(name + " is a whole number from 1 to " + most + ", was \"" + value + "\"");
    }

    private static @Nullable Duration seconds(Map<String, String> environment, String name) {
        String value = environment.getOrDefault(name, "").trim();
        if (value.isEmpty()) {
            return null;
        }
        if (value.matches("[0-9]{1,9}(\\.[0-9]{1,3})?") && Double.parseDouble(value) > 0) {
            return Duration.ofMillis(Math.round(1_000 * Double.parseDouble(value)));
        }
        throw new IllegalArgumentException(name + " is a number of seconds such as 60 or 0.5, was \"" + value + "\"");
    }

    private static boolean is(Map<String, String> environment, String name, boolean byDefault) {
        String value = environment.getOrDefault(name, "").trim().toLowerCase(Locale.ROOT);
        if (value.isEmpty()) {
            return byDefault;
        }
        if (YES.contains(value) || NO.contains(value)) {
            return YES.contains(value);
        }
        throw new IllegalArgumentException(name + " is true or false, was \"" + value + "\"");
    }

    /** Never a password. */
    @Override
    public String toString() {
        return "CacheEnvironment[" + (redis == null ? "no Redis" : RedisSettings.of(redis)) + ", " + credentials
                + ", queue=" + queue + "]";
    }
}
