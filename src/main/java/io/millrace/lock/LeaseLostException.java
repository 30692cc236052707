package io.millrace.lock;

import io.millrace.MillraceException;

/**
 * A lock is not held any more: its lease ended, somebody else took it, or Redis was away for as long as the lease. What was done
 * under it must not go on; who tries again waits for the lock anew.
 */
public class LeaseLostException extends MillraceException {

    private static final long serialVersionUID = 1L;

    /** @param message which lock, and why */
    public LeaseLostException(String message) {
        super(message, true, null);
    }
}
