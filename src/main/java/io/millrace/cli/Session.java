package io.millrace.cli;

import io.millrace.Millrace;
import io.millrace.redis.embedded.EmbeddedRedis;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * A connected Millrace, for the length of one command.
 *
 * @param mill what to work with
 * @param console where to read and write
 * @param shownAddress the address without credentials
 * @param server the embedded server, if there is one
 * @param address the address as another process needs it; may hold a password
 */
record Session(
        Millrace mill,
        Console console,
        String shownAddress,
        @Nullable EmbeddedRedis server,
        String address) implements AutoCloseable {

    private static final Duration CLOSE_BUDGET = Duration.ofSeconds(5);

    boolean isEmbedded() {
        return server != null;
    }

    @Override
    public void close() {
        mill.shutdown().onErrorComplete().block(CLOSE_BUDGET);
        if (server != null) {
            server.close();
        }
    }

    /** Never the address: it may hold a password. */
    @Override
    public String toString() {
        return "Session[" + shownAddress + "]";
    }
}
