package io.millrace.redis.embedded;

import io.millrace.redis.embedded.EmbeddedRedisException.Reason;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * The shell script between this JVM and a server: it holds the reading end of a pipe from the JVM. When the JVM ends,
 * by whatever means, the pipe closes, and the script ends the server. The first line it prints is the server's process
 * id; it ends when the server has, with the same status.
 */
final class ServerShell {

    /**
     * $1 log file, $2 folder to remove should the JVM die or empty, then the server's command.
     *
     * <p>The server gets a session of its own, else a Ctrl-C at the terminal would reach it at the same time as the
     * JVM, which then could not finish its work. macOS has no setsid program, but perl. The script itself ignores those
     * signals for the same reason. Its subshell waits for the end of the pipe; it uses the shell's own read, so that
     * there is no further process to clean up. The main shell waits for the server: its exit status tells the JVM, and
     * nobody signals a process id that was given away again.
     */
    private static final String SCRIPT = """
        log=$1 remove=$2; shift 2
        exec 3<&0
        if command -v setsid >/dev/null 2>&1; then
          setsid "$@" </dev/null 3<&- >>"$log" 2>&1 &
        elif command -v perl >/dev/null 2>&1; then
          perl -MPOSIX=setsid -e 'setsid; exec {$ARGV[0]} @ARGV; $e = $!; print STDERR "$ARGV[0]: $e\\n";
              exit($e == 2 ? 127 : 126)' "$@" </dev/null 3<&- >>"$log" 2>&1 &
        else
          "$@" </dev/null 3<&- >>"$log" 2>&1 &
        fi
        server=$!
        trap '' INT QUIT HUP TERM
        (read -r x <&3; : >"$log.orphan"; kill -TERM $server; sleep 2; kill -KILL $server) </dev/null >/dev/null 2>&1 &
        watchdog=$!
        echo $server
        exec 2>/dev/null
        wait $server; status=$?
        kill -KILL $watchdog
        if [ -e "$log.orphan" ]; then rm -f "$log.orphan"; if [ -n "$remove" ]; then rm -rf "$remove"; fi; fi
        exit $status
        """;

    private ServerShell() {}

    static Process start(List<String> command, Path folder, Path log, boolean removeFolder) {
        List<String> shell = new ArrayList<>(List.of(
                "/bin/sh", "-c", SCRIPT, "millrace-redis", log.toString(), removeFolder ? folder.toString() : ""));
        shell.addAll(command);
        try {
            return new ProcessBuilder(shell)
                    .directory(folder.toFile())
                    .redirectError(Redirect.appendTo(log.toFile()))
                    .start();
        } catch (IOException e) {
            throw new EmbeddedRedisException(
                    Reason.NOT_EXECUTABLE,
                    "Cannot start redis-server through /bin/sh: " + e + ". " + RedisBinary.WAY_OUT,
                    e);
        }
    }

    /** Tells the script to end the server, should it still run. */
    static void closePipe(Process shell) {
        try {
            shell.getOutputStream().close();
        } catch (IOException e) {
            // The shell is gone, and its end of the pipe with it.
        }
    }

    /**
     *  Waits for a process to end, at most so long. An interrupt waits as well: what was begun here must not be left
     * half done.
     */
    static void awaitEnd(Process process, Duration atMost) {
        long deadline = System.nanoTime() + atMost.toNanos();
        boolean interrupted = false;
        boolean ended = false;
        while (!ended && System.nanoTime() - deadline < 0) {
            try {
                ended = process.waitFor(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
