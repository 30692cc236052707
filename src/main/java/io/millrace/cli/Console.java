package io.millrace.cli;

import io.millrace.json.Json;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Scanner;
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
     * @throws ClosedOutputException if nobody reads any more
     */
    void data(@Nullable Object shape) {
        byte[] json = Json.write(shape);
        out.write(json, 0, json.length);
        out.write('\n');
        if (out.checkError()) { // flushes as well
            throw new ClosedOutputException();
        }
    }

    /**
     * Asks the person in front before something that cannot be undone.
     *
     * @throws CannotDoException if nobody is in front, with what to do then
     */
    boolean confirmed(String question, String otherwise) {
        if (!terminal.input() || !terminal.error()) {
            throw new CannotDoException(otherwise);
        }
        err.print(question + " [y/N] ");
        err.flush();
        Scanner answer = new Scanner(in, StandardCharsets.UTF_8);
        return answer.hasNextLine() && answer.nextLine().strip().matches("(?i)y|yes");
    }

    /** Says something to the person in front. */
    void say(String text) {
        err.println(text);
    }
}
