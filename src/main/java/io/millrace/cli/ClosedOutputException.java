package io.millrace.cli;

/** Nobody reads standard output any more, as behind {@code | head}: the command ends, without a word, as others do. */
final class ClosedOutputException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    ClosedOutputException() {
        super("standard output is closed");
    }
}
