package io.millrace.redis.embedded;

import io.millrace.MillraceException;
import org.jspecify.annotations.Nullable;

/**
 * The embedded server could not be started or stopped. The message says what to do, and ends with the server's last
 * log lines.
 */
public final class EmbeddedRedisException extends MillraceException {

    private static final long serialVersionUID = 1L;

    /** What went wrong, for callers that decide by it. */
    public enum Reason {
        /** No server program is bundled for this operating system and processor. */
        UNSUPPORTED_PLATFORM,
        /** The server program is missing, or the system refuses to run it. */
        NOT_EXECUTABLE,
        /** Somebody else listens on the wanted port. */
        PORT_TAKEN,
        /** Another server works on the same data folder. */
        DATA_IN_USE,
        /** The server ended while starting, for instance because it does not know one of the settings. */
        DIED,
        /** The server was not ready in time. */
        TIMEOUT,
        /** Files could not be read or written, or the waiting thread was interrupted. */
        FAILED
    }

    private final Reason reason;

    EmbeddedRedisException(Reason reason, String message) {
        this(reason, message, null);
    }

    EmbeddedRedisException(Reason reason, String message, @Nullable Throwable cause) {
        super(message, false, cause);
        this.reason = reason;
    }

    /** What went wrong. */
    public Reason reason() {
        return reason;
    }
}
