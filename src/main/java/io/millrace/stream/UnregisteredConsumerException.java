package io.millrace.stream;

import io.millrace.MillraceException;

/**
 * A consumer is not registered with its stream, and is not to be by chance: somebody has unregistered it while it ran, or its name is
 * mistyped. {@link ChangeStream#register} it, or begin to consume anew.
 */
public class UnregisteredConsumerException extends MillraceException {

    private static final long serialVersionUID = 1L;

    UnregisteredConsumerException(String stream, String consumer, String why) {
        super("consumer \"" + consumer + "\" of stream \"" + stream + "\" is not registered: " + why, false, null);
    }
}
