package io.millrace.server;

import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.redis.RedisSettings;
import io.millrace.testing.RedisServer;
import java.time.Duration;
import java.util.Objects;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** A server on a free port, the Millrace it serves, and who calls it. */
final class ServerRig implements AutoCloseable {

    static final Duration SOON = Duration.ofSeconds(20);

    final Millrace mill;
    private MillraceServer server;
    private HttpTester http;

    private ServerRig(Millrace mill, MillraceServer server) {
        this.mill = mill;
        this.server = server;
        this.http = new HttpTester(server.port());
    }

    static ServerRig on(RedisServer redis, String namespace) {
        return on(redis.settings(namespace));
    }

    static ServerRig on(RedisSettings redis) {
        return on(redis, ServerSettings.builder(), none -> null);
    }

    /** One that receives for a drain too, if there is one. */
    static ServerRig on(
            RedisSettings redis, ServerSettings.Builder settings, Function<Millrace, @Nullable DrainMount> drain) {
        Millrace mill = Millrace.connect(MillraceSettings.of(redis));
        return new ServerRig(mill, start(mill, settings, drain.apply(mill)));
    }

    /** Ends the server, and starts one of other settings, for this Millrace or another one. */
    void serve(Millrace other, ServerSettings.Builder settings) {
        server.stop().block(SOON);
        server = start(other, settings, null);
        http = new HttpTester(server.port());
    }

    MillraceServer server() {
        return server;
    }

    HttpTester http() {
        return http;
    }

    private static MillraceServer start(Millrace mill, ServerSettings.Builder settings, @Nullable DrainMount drain) {
        return Objects.requireNonNull(
                MillraceServer.start(mill, settings.port(0).build(), drain, null)
                        .block(SOON));
    }

    @Override
    public void close() {
        server.stop().block(SOON);
        mill.shutdown().block(SOON);
    }
}
