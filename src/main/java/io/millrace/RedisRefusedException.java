package io.millrace;

import org.jspecify.annotations.Nullable;

/**
 * Redis answered with an error that repeating the call does not cure by itself: memory is full, writes are refused, access is
 * denied, or the command was wrong; or no TLS connection came about. Nothing was changed.
 */
public class RedisRefusedException extends MillraceException {

    private static final long serialVersionUID = 1L;

    private final String code;

    /**
     * @param code the first word of Redis' answer, such as {@code OOM} or {@code NOPERM}
     * @param message what it means and what to do
     * @param retryable whether it may pass by itself, as memory pressure does when queues drain
     * @param cause the driver's error
     */
    public RedisRefusedException(String code, String message, boolean retryable, @Nullable Throwable cause) {
        super(message, retryable, cause);
        this.code = code;
    }

    /** The first word of Redis' answer, such as {@code OOM}, {@code NOREPLICAS} or {@code NOPERM}; or {@code TLS}. */
    public String code() {
        return code;
    }
}
