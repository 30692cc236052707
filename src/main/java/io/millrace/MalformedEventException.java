package io.millrace;

import org.jspecify.annotations.Nullable;

/** Something that should be an event is none: not JSON, a part is missing or of the wrong kind, or it is too large. */
public class MalformedEventException extends MillraceException {

    private static final long serialVersionUID = 1L;

    /** @param message what is wrong, with the field and the value */
    public MalformedEventException(String message) {
        this(message, null);
    }

    /**
     * @param message what is wrong, with the field and the value
     * @param cause the parser's error, if there is one
     */
    public MalformedEventException(String message, @Nullable Throwable cause) {
        super(message, false, cause);
    }
}
