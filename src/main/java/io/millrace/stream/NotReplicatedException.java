package io.millrace.stream;

import io.millrace.MillraceException;

/** What was produced is stored, but fewer replicas than asked for have confirmed it in time. Producing it again would add it again. */
public class NotReplicatedException extends MillraceException {

    private static final long serialVersionUID = 1L;

    /** @param message how many confirmed it, and how many were to */
    public NotReplicatedException(String message) {
        super(message, false, null);
    }
}
