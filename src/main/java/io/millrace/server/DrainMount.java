package io.millrace.server;

import io.millrace.drain.Drain;

/**
 * A drain and where the server receives for it. The server runs the drain while it is up.
 *
 * @param drain has tokens or webhook secrets
 * @param path such as {@code /events}
 */
public record DrainMount(Drain drain, String path) {

    /** {@value}. */
    public static final String DEFAULT_PATH = "/events";

    /** Checks the path. */
    public DrainMount {
        if (!path.matches("(/[A-Za-z0-9._~-]+)+")) {
            throw new IllegalArgumentException("a path to receive events at looks like /events, was \"" + path + "\"");
        }
    }
}
