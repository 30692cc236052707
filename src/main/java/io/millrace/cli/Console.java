package io.millrace.cli;

import io.millrace.json.Json;
import java.io.InputStream;
import java.io.PrintStream;
import org.jspecify.annotations.Nullable;

/**
 * Where a command reads and writes: data to standard output as one JSON object a line, words for people to standard error.
 *
 * @param terminal what standard error is shown on
 */
record Console(InputStream in, PrintStream out, PrintStream err, Terminal terminal) {

    /**
     * Writes one line of data, at once: who reads them through a pipe sees them as they come.
     *
     * @throws CannotDoException if nobody reads any more
     */
    void data(@Nullable Object shape) {
        byte[] json = Json.write(shape);
        out.write(json, 0, json.length);
        out.write('\n');
        if (out.checkError()) { // flushes as well
            throw new CannotDoException("standard output is closed");
        }
    }

    /** Says something to the person in front. */
    void say(String text) {
        err.println(text);
    }
}
