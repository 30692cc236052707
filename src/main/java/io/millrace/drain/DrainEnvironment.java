package io.millrace.drain;

import io.millrace.redis.RedisSettings;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What environment variables say about a drain, under the names that Routemaster's drain gave them.
 *
 * @param tokens of {@code ROUTEMASTER_DRAIN_TOKENS}: a comma between two; empty if it is not set
 * @param webhookSecrets of {@code MILLRACE_WEBHOOK_SECRETS}, likewise
 * @param redis of {@code ROUTEMASTER_DRAIN_REDIS}, as {@link RedisSettings#of} takes it; {@code null} if it is not set. It may hold a
 *     password
 */
public record DrainEnvironment(
        List<String> tokens,
        List<String> webhookSecrets,
        @Nullable String redis) {

    /** {@value}. */
    public static final String TOKENS = "ROUTEMASTER_DRAIN_TOKENS";

    /** {@value}. */
    public static final String REDIS = "ROUTEMASTER_DRAIN_REDIS";

    /** {@value}. */
    public static final String WEBHOOK_SECRETS = "MILLRACE_WEBHOOK_SECRETS";

    /** Takes copies of the lists. */
    public DrainEnvironment {
        tokens = List.copyOf(tokens);
        webhookSecrets = List.copyOf(webhookSecrets);
    }

    /**
     * Reads them.
     *
     * @param environment such as {@link System#getenv()}
     */
    public static DrainEnvironment of(Map<String, String> environment) {
        String redis = environment.getOrDefault(REDIS, "");
        return new DrainEnvironment(
                list(environment.get(TOKENS)),
                list(environment.get(WEBHOOK_SECRETS)),
                redis.isBlank() ? null : redis(redis.trim()));
    }

    private static List<String> list(@Nullable String commas) {
        return commas == null
                ? List.of()
                : Arrays.stream(commas.split(",", -1))
                        .map(String::trim)
                        .filter(one -> !one.isEmpty())
                        .toList();
    }

    /** {@code redis://user:password@host:port/database/namespace}: the namespace is the second part of the path. */
    static String redis(String address) {
        int host = address.indexOf("://") + 3;
        int path = host < 3 ? -1 : address.indexOf('/', host);
        int namespace = path < 0 ? -1 : address.indexOf('/', path + 1);
        if (namespace < 0) {
            return address;
        }
        String name = address.substring(namespace + 1);
        return address.substring(0, namespace)
                + (name.isEmpty() ? "" : "?namespace=" + URLEncoder.encode(name, StandardCharsets.UTF_8));
    }

    /** Never a token, a secret or a password. */
    @Override
    public String toString() {
        return "DrainEnvironment[" + tokens.size() + " tokens, " + webhookSecrets.size() + " webhook secrets, "
                + (redis == null ? "no Redis" : RedisSettings.of(redis)) + "]";
    }
}
