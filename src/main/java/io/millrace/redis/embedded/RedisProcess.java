package io.millrace.redis.embedded;

import io.millrace.redis.embedded.EmbeddedRedisException.Reason;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * The low-level handle of one Redis or Sentinel process: start it, know when it is ready, send it signals, start it
 * again. It knows nothing about settings; {@link EmbeddedRedis} does. Public for fault tests, which kill and pause
 * servers.
 *
 * <p>Every method blocks: not for event loops. All may be called from any thread; they wait for each other.
 *
 * <p>The server ends with the JVM, by whatever means that ends: SIGTERM first, SIGKILL 2 s later.
 */
public final class RedisProcess implements AutoCloseable {

    /** How long {@link #close()} lets the server end by itself, and write its append only file, before it is killed. */
    public static final Duration DEFAULT_STOP_BUDGET = Duration.ofSeconds(5);

    private static final int LOG_TAIL_BYTES = 4096;

    private final List<String> command;
    private final Path folder;
    private final int port;
    private final boolean removeFolder;
    private final Duration startTimeout;
    private final Path log;
    private Running running;
    private boolean paused;

    private record Running(Process shell, ProcessHandle server) {}

    /**
     * Starts a server and waits until it answers.
     *
     * @param arguments what follows the program on the command line; they must make it listen on {@code port} of
     *     127.0.0.1
     * @param folder an existing folder: the working directory, where the log file {@code redis.log} goes as well
     * @param port where the server will listen, 1 to 65535; see {@link #freePort()}
     * @param startTimeout how long the server may take until it answers, reading its data included
     * @throws EmbeddedRedisException if it did not start; no process is left then
     */
    public static RedisProcess start(List<String> arguments, Path folder, int port, Duration startTimeout) {
        return start(arguments, folder, port, startTimeout, false);
    }

    /** As above; {@code removeFolder} has the folder removed if the JVM dies, for it cannot do that itself then. */
    static RedisProcess start(
            List<String> arguments, Path folder, int port, Duration startTimeout, boolean removeFolder) {
        List<String> command = new ArrayList<>(RedisBinary.command());
        command.addAll(arguments);
        return new RedisProcess(command, folder.toAbsolutePath(), port, startTimeout, removeFolder);
    }

    private RedisProcess(List<String> command, Path folder, int port, Duration startTimeout, boolean removeFolder) {
        this.command = List.copyOf(command);
        this.folder = folder;
        this.port = port;
        this.startTimeout = startTimeout;
        this.removeFolder = removeFolder;
        this.log = folder.resolve("redis.log");
        this.running = launch();
    }

    /**
     * A port nobody listens on at the moment. It lies below the range that systems take client ports from: there a
     * client that keeps trying to reconnect to a stopped server can get the server's own port, connect to itself and so
     * keep the server from returning.
     */
    public static int freePort() {
        for (int attempt = 0; attempt < 1000; attempt++) {
            int port = ThreadLocalRandom.current().nextInt(15_000, 30_000);
            try (ServerSocket probe = new ServerSocket()) {
                probe.bind(address(port));
                return port;
            } catch (IOException taken) {
                // Try another one.
            }
        }
        throw new EmbeddedRedisException(Reason.PORT_TAKEN, "No free port between 15000 and 29999");
    }

    /** Not {@code getLoopbackAddress()}: that may be ::1. */
    static InetSocketAddress address(int port) throws IOException {
        return new InetSocketAddress(InetAddress.getByAddress(new byte[] {127, 0, 0, 1}), port);
    }

    /** Where the server listens, on 127.0.0.1. */
    public int port() {
        return port;
    }

    /** The server's process id; another one after {@link #restart()}. */
    public synchronized long pid() {
        return running.server.pid();
    }

    /** What the server wrote, over all its starts. */
    public Path log() {
        return log;
    }

    /** Whether the server runs, be it paused. */
    public synchronized boolean isAlive() {
        return running.shell.isAlive();
    }

    /** Kills the server at once (SIGKILL) and waits until it is gone. Does nothing if it has ended already. */
    public synchronized void kill9() {
        kill(running);
    }

    /** Stops the server in its tracks (SIGSTOP): its connections stay open, nothing answers. */
    public synchronized void pause() {
        signal("STOP");
        paused = true;
    }

    /** Lets a paused server go on (SIGCONT). */
    public synchronized void resume() {
        signal("CONT");
        paused = false;
    }

    /**
     * Starts the server again with the same settings, port and folder, killing it first if it still runs.
     *
     * @throws EmbeddedRedisException if it does not start
     */
    public synchronized void restart() {
        kill(running);
        paused = false;
        running = launch();
    }

    /**
     * Asks the server to end (SIGTERM), which makes it write its append only file out, and kills it if it has not
     * within the budget. Does nothing if it has ended already.
     */
    public synchronized void stop(Duration budget) {
        if (running.shell.isAlive()) {
            running.server.destroy();
            if (paused) {
                resume(); // a paused process does not see SIGTERM
            }
            ServerShell.awaitEnd(running.shell, budget);
            kill(running);
        }
    }

    /** Stops the server, giving it {@link #DEFAULT_STOP_BUDGET}. */
    @Override
    public void close() {
        stop(DEFAULT_STOP_BUDGET);
    }

    private Running launch() {
        for (int attempt = 1; ; attempt++) {
            try {
                return launchOnce();
            } catch (EmbeddedRedisException e) {
                // A process forked elsewhere in this JVM while the program was being extracted still holds it open for
                // writing.
                if (attempt == 10 || !RedisLog.saysFileBusy(String.valueOf(e.getMessage()))) {
                    throw e;
                }
                LockSupport.parkNanos(Duration.ofMillis(20).toNanos());
            }
        }
    }

    private Running launchOnce() {
        long logStart = RedisLog.size(log);
        Process shell = ServerShell.start(command, folder, log, removeFolder);
        Running started = null;
        try {
            String pid = new BufferedReader(new InputStreamReader(shell.getInputStream(), StandardCharsets.US_ASCII))
                    .readLine();
            ProcessHandle server =
                    pid == null ? null : ProcessHandle.of(Long.parseLong(pid)).orElse(null);
            if (server == null) {
                throw ended(shell, logStart);
            }
            awaitReady(shell, server, logStart);
            started = new Running(shell, server);
            return started;
        } catch (IOException e) {
            throw new EmbeddedRedisException(Reason.FAILED, "Cannot watch " + command + ": " + e, e);
        } finally {
            if (started == null) {
                // Nobody will own this one: closing the pipe is all it takes to end it.
                ServerShell.closePipe(shell);
                ServerShell.awaitEnd(shell, DEFAULT_STOP_BUDGET);
            }
        }
    }

    private void awaitReady(Process shell, ProcessHandle server, long logStart) {
        long deadline = System.nanoTime() + startTimeout.toNanos();
        ReadyCheck check = new ReadyCheck(port, server.pid());
        while (!check.passes()) {
            if (!shell.isAlive()) {
                throw ended(shell, logStart);
            }
            if (System.nanoTime() - deadline > 0) {
                throw new EmbeddedRedisException(
                        Reason.TIMEOUT,
                        "redis-server was not ready on port " + port + " after " + startTimeout + ": "
                                + check.lastAnswer() + ". " + RedisLog.tail(log, logStart, LOG_TAIL_BYTES));
            }
            pause(shell);
        }
    }

    /** A short wait that ends at once when the server does. */
    private static void pause(Process shell) {
        try {
            boolean unused = shell.waitFor(5, TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new EmbeddedRedisException(Reason.FAILED, "Interrupted while redis-server was starting", e);
        }
    }

    private EmbeddedRedisException ended(Process shell, long logStart) {
        ServerShell.awaitEnd(shell, DEFAULT_STOP_BUDGET);
        String tail = RedisLog.tail(log, logStart, LOG_TAIL_BYTES);
        int status = shell.isAlive() ? 0 : shell.exitValue();
        if (RedisLog.saysPortTaken(tail)) {
            return new EmbeddedRedisException(
                    Reason.PORT_TAKEN, "Port " + port + " of 127.0.0.1 is in use by another program. " + tail);
        }
        if (status == 126 || status == 127) {
            return new EmbeddedRedisException(
                    Reason.NOT_EXECUTABLE, "Cannot run " + command.get(0) + ". " + RedisBinary.WAY_OUT + " " + tail);
        }
        return new EmbeddedRedisException(
                Reason.DIED, "redis-server ended while starting, exit status " + status + ". " + tail);
    }

    private void signal(String name) {
        if (!running.shell.isAlive()) {
            throw new IllegalStateException("the server on port " + port + " does not run");
        }
        try {
            Process kill = new ProcessBuilder("/bin/sh", "-c", "kill -" + name + " " + running.server.pid())
                    .redirectErrorStream(true)
                    .start();
            ServerShell.awaitEnd(kill, DEFAULT_STOP_BUDGET);
        } catch (IOException e) {
            throw new EmbeddedRedisException(Reason.FAILED, "Cannot send SIG" + name + ": " + e, e);
        }
    }

    private static void kill(Running running) {
        if (running.shell.isAlive()) {
            running.server.destroyForcibly();
            ServerShell.awaitEnd(running.shell, DEFAULT_STOP_BUDGET);
        }
        ServerShell.closePipe(running.shell);
    }
}
