package io.millrace.testing;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Another JVM with this one's class path, running a main class of ours: to be killed, paused, told to end. It ends when
 * this JVM ends. Its standard output and error are read together, line by line, as they come.
 */
public final class JvmChild implements AutoCloseable {

    /** Hundreds of children live for a second or two. */
    private static final List<String> START_SOON =
            List.of("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData");

    private static final Duration KILL_BUDGET = Duration.ofSeconds(10);
    private static final long POLL_NANOS = Duration.ofMillis(5).toNanos();

    private final Process process;
    private final boolean piped; // it is a shell's child then
    private final List<String> lines = new CopyOnWriteArrayList<>();
    private final Thread reader;
    private int awaited;

    private JvmChild(Process process, boolean piped) {
        this.process = process;
        this.piped = piped;
        this.reader = new Thread(this::read, "child-" + process.pid());
        reader.setDaemon(true);
        reader.start();
    }

    /** A child that will run {@code main}'s {@code public static void main(String[])}. */
    public static Builder of(Class<?> main) {
        return new Builder(main);
    }

    /** What the child is started with. */
    public static final class Builder {

        private final Class<?> main;
        private final List<String> options = new ArrayList<>();
        private final List<String> arguments = new ArrayList<>();
        private @Nullable String reader;

        private Builder(Class<?> main) {
            this.main = main;
        }

        /** A system property. */
        public Builder property(String name, String value) {
            return option("-D" + name + "=" + value);
        }

        /** An option of the JVM, such as {@code -Xmx64m}. */
        public Builder option(String option) {
            options.add(option);
            return this;
        }

        /** Arguments of the main class. */
        public Builder args(String... values) {
            arguments.addAll(List.of(values));
            return this;
        }

        /**
         * Has a command of the shell, such as {@code head -n 3}, read its standard output; what that prints is read here. When the
         * child has ended a line {@code exit} with its status follows.
         */
        public Builder pipedInto(String command) {
            reader = command;
            return this;
        }

        /** Starts the child; it may not have reached its main method yet. */
        public JvmChild start() {
            List<String> command = new ArrayList<>();
            if (reader != null) {
                command.addAll(List.of("/bin/sh", "-c", "{ \"$@\"; echo exit $? >&2; } | " + reader, "sh"));
            }
            command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
            command.addAll(START_SOON);
            command.addAll(options);
            // Surefire may start this JVM with a class path of one jar whose manifest lists the real one, which it
            // leaves here.
            String classPath = System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
            command.addAll(List.of("-cp", classPath, Guard.class.getName(), main.getName()));
            command.addAll(arguments);
            try {
                return new JvmChild(
                        new ProcessBuilder(command).redirectErrorStream(true).start(), reader != null);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    /** The child's process id. */
    public long pid() {
        return process.pid();
    }

    /** Whether it runs, be it paused. */
    public boolean isAlive() {
        return process.isAlive();
    }

    /** All it has printed so far. */
    public List<String> lines() {
        return List.copyOf(lines);
    }

    /**
     * The next line, after those this method has gone through already, that matches.
     *
     * @throws AssertionError with all lines, if none came in time or the child ended without one
     */
    public String awaitLine(Predicate<String> wanted, Duration atMost) {
        long deadline = System.nanoTime() + atMost.toNanos();
        while (true) {
            // Asked before looking, or a line could be missed.
            boolean ended = !reader.isAlive();
            boolean late = System.nanoTime() - deadline > 0;
            while (awaited < lines.size()) {
                String line = lines.get(awaited++);
                if (wanted.test(line)) {
                    return line;
                }
            }
            if (ended || late) {
                throw new AssertionError("child " + pid() + (ended ? " ended without printing" : " did not print")
                        + " the line awaited for " + atMost + ", only " + lines);
            }
            LockSupport.parkNanos(POLL_NANOS);
        }
    }

    /** SIGKILL, then waits until it is gone. What it has started itself is not touched. */
    public void kill9() {
        if (piped) {
            process.descendants().forEach(ProcessHandle::destroyForcibly);
        }
        process.toHandle()
                .destroyForcibly(); // Process.destroy would close the streams as well, and lose the last lines
        awaitEnd(KILL_BUDGET);
    }

    /** SIGSTOP: as a long garbage collection. */
    public void pause() {
        signal("STOP");
    }

    /** SIGCONT. */
    public void resume() {
        signal("CONT");
    }

    /** SIGTERM: asks it to shut down; see {@link #exitCode(Duration)}. */
    public void terminate() {
        process.toHandle().destroy();
    }

    /**
     * Waits for the end of the child.
     *
     * @return its status; 128 plus the number of the signal if one ended it
     * @throws AssertionError with all lines, if it did not end in time
     */
    public int exitCode(Duration atMost) {
        awaitEnd(atMost);
        return process.exitValue();
    }

    /** Kills the child if it still runs. */
    @Override
    public void close() {
        kill9();
    }

    private void awaitEnd(Duration atMost) {
        try {
            if (!process.waitFor(atMost.toMillis(), TimeUnit.MILLISECONDS)) {
                throw new AssertionError("child " + pid() + " did not end within " + atMost + ", it printed " + lines);
            }
            reader.join(KILL_BUDGET.toMillis());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError("interrupted while waiting for child " + pid(), e);
        }
    }

    private void signal(String name) {
        try {
            int status = new ProcessBuilder("/bin/sh", "-c", "kill -" + name + " " + pid())
                    .start()
                    .waitFor();
            if (status != 0) {
                throw new AssertionError("cannot send SIG" + name + " to child " + pid());
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError("interrupted while signalling child " + pid(), e);
        }
    }

    private void read() {
        try (BufferedReader out =
                new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
            for (String line = out.readLine(); line != null; line = out.readLine()) {
                lines.add(line);
            }
        } catch (IOException e) {
            lines.add("(reading the child's output failed: " + e + ")");
        }
    }

    /** What the child really starts with: it ends itself when this JVM's end of its standard input closes. */
    static final class Guard {

        private Guard() {}

        public static void main(String[] args) throws Throwable {
            Thread watch = new Thread(Guard::haltWithParent, "parent-watch");
            watch.setDaemon(true);
            watch.start();
            Method main = Class.forName(args[0]).getDeclaredMethod("main", String[].class);
            main.setAccessible(true);
            try {
                main.invoke(null, (Object) Arrays.copyOfRange(args, 1, args.length));
            } catch (InvocationTargetException e) {
                throw e.getCause();
            }
        }

        private static void haltWithParent() {
            try {
                System.in.transferTo(OutputStream.nullOutputStream());
            } catch (IOException e) {
                // Closed one way or another.
            }
            Runtime.getRuntime().halt(137);
        }
    }
}
