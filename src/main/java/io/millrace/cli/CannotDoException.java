package io.millrace.cli;

/** A command cannot do what it was asked to; its message says why, and the way out. */
final class CannotDoException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    CannotDoException(String message) {
        super(message);
    }
}
