package io.millrace.cli;

import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.drain.DrainEnvironment;
import io.millrace.redis.RedisSettings;
import io.millrace.redis.embedded.EmbeddedRedis;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Which Redis a command uses.
 *
 * @param redis what {@code --redis} says
 * @param namespace what {@code --namespace} says
 * @param dataDir where an embedded server keeps its data
 * @param environment environment variables
 * @param verbose whether to log more
 */
record Connection(
        @Nullable String redis,
        @Nullable String namespace,
        @Nullable Path dataDir,
        Map<String, String> environment,
        boolean verbose) {

    static final String VARIABLE = "MILLRACE_REDIS";

    /** Connects, or starts a server first; says what the user should know about that. */
    Session open(Console console) {
        if (verbose) {
            Logging.verbose();
        }
        String variable = environment.getOrDefault(VARIABLE, "").isEmpty() ? DrainEnvironment.REDIS : VARIABLE;
        String address = redis != null
                ? redis
                : variable.equals(VARIABLE)
                        ? environment.get(VARIABLE)
                        : DrainEnvironment.of(environment).redis();
        if (address == null || address.isEmpty()) {
            return embedded(console);
        }
        if (dataDir != null) {
            throw new CannotDoException("--data-dir is for the embedded server, but "
                    + (redis != null ? "--redis" : variable) + " names another one; leave one of them out");
        }
        RedisSettings settings = settings(address);
        if (redis != null && !settings.maskedAddress().equals(redis)) {
            console.say(
                    "note: a password in --redis is visible to others on this machine; put the address in " + VARIABLE);
        }
        return new Session(
                Millrace.connect(MillraceSettings.of(settings)), console, settings.maskedAddress(), null, address);
    }

    private Session embedded(Console console) {
        EmbeddedRedis.Builder builder = EmbeddedRedis.builder();
        if (dataDir != null) {
            builder.dataDir(dataDir);
        }
        EmbeddedRedis server = builder.startNow();
        Millrace mill = Millrace.connect(MillraceSettings.of(settings(server.uri())));
        return new Session(mill, console, server.uri(), server, server.uri());
    }

    /** Connects to the server named, without a word about it. */
    Session quietly(Console console) {
        RedisSettings settings = settings(Objects.requireNonNull(redis));
        return new Session(
                Millrace.connect(MillraceSettings.of(settings)), console, settings.maskedAddress(), null, redis);
    }

    /** For commands whose outcome would be lost with the embedded server. */
    void sayIfNothingLasts(Console console, Session session) {
        if (session.isEmbedded() && dataDir == null) {
            console.say(
                    "note: no --redis given, so this uses an embedded server that forgets everything when the command"
                            + " ends; --data-dir DIR keeps it, --redis URL uses another");
        }
    }

    private RedisSettings settings(String address) {
        RedisSettings.Builder builder = RedisSettings.builder(address);
        if (namespace != null) {
            builder.namespace(namespace);
        }
        return builder.build();
    }
}
