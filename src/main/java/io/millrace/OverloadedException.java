package io.millrace;

/** More work is waiting inside this process than its bounds allow. Slow down and repeat the call; nothing was done. */
public class OverloadedException extends MillraceException {

    private static final long serialVersionUID = 1L;

    /** @param message which bound was reached, with its value and how to raise it */
    public OverloadedException(String message) {
        super(message, true, null);
    }
}
