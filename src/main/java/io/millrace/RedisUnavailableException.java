package io.millrace;

import org.jspecify.annotations.Nullable;

/**
 * Redis could not be reached, did not answer in time, or is not ready (loading, failing over). The same call may be repeated:
 * writes carry ids, so that a repeat does no harm.
 */
public class RedisUnavailableException extends MillraceException {

    private static final long serialVersionUID = 1L;

    private final boolean indeterminate;

    /**
     * @param message what happened
     * @param indeterminate whether the command may have run although no answer came
     * @param cause the driver's error
     */
    public RedisUnavailableException(String message, boolean indeterminate, @Nullable Throwable cause) {
        super(message, true, cause);
        this.indeterminate = indeterminate;
    }

    /** Whether the command may have run although no answer came; {@code false}: it certainly did not. */
    public boolean indeterminate() {
        return indeterminate;
    }
}
