package io.millrace;

import org.jspecify.annotations.Nullable;

/**
 * What every failure that Millrace reports itself is. Its message names the value that was wrong and the way out.
 */
public class MillraceException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    private final boolean retryable;

    /**
     * @param message what is wrong, with the value, and what to do about it
     * @param retryable whether the same call may succeed later without any change
     * @param cause what led to this, if anything did
     */
    public MillraceException(String message, boolean retryable, @Nullable Throwable cause) {
        super(message, cause);
        this.retryable = retryable;
    }

    /** A failure that the same call would meet again. */
    public MillraceException(String message) {
        this(message, false, null);
    }

    /** Whether the same call may succeed later without any change. */
    public boolean retryable() {
        return retryable;
    }
}
