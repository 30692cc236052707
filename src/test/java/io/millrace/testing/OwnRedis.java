package io.millrace.testing;

import io.millrace.redis.embedded.EmbeddedRedis;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 *  A server process of the test's own, to be killed, paused and restarted. Always a process, whatever {@code
 * test.redis} says.
 */
public final class OwnRedis implements AutoCloseable {

    private final EmbeddedRedis redis;
    private final @Nullable Path data;

    private OwnRedis(EmbeddedRedis redis, @Nullable Path data) {
        this.redis = redis;
        this.data = data;
    }

    /**
     * Starts a server that keeps nothing over a restart.
     *
     * @param arguments settings as on the command line: {@code "--maxmemory", "64mb"}
     */
    public static OwnRedis start(String... arguments) {
        return new OwnRedis(builder(arguments).startNow(), null);
    }

    /** Starts a server with an append only file (everysec), in a folder that {@link #close()} removes. */
    public static OwnRedis startDurable(String... arguments) {
        try {
            Path data = Files.createTempDirectory("millrace-data-");
            return new OwnRedis(builder(arguments).dataDir(data).startNow(), data);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static EmbeddedRedis.Builder builder(String... arguments) {
        EmbeddedRedis.Builder builder = EmbeddedRedis.builder();
        List<String> all = List.of(arguments);
        int start = 0;
        for (int end = 1; end <= all.size(); end++) {
            if (end == all.size() || all.get(end).startsWith("--")) {
                String[] values = all.subList(start + 1, end).toArray(String[]::new);
                builder.arg(all.get(start).replaceFirst("^--", ""), values);
                start = end;
            }
        }
        return builder;
    }

    /** {@code redis://127.0.0.1:port}; the same after a restart. */
    public String uri() {
        return redis.uri();
    }

    /** The port, on 127.0.0.1. */
    public int port() {
        return redis.port();
    }

    /** The process id; another one after a restart. */
    public long pid() {
        return redis.pid();
    }

    /** The server's log, over all its starts. */
    public Path log() {
        return redis.log();
    }

    /** Kills the server at once and waits until it is gone. */
    public void kill9() {
        redis.process().kill9();
    }

    /** Starts the server again on its port and its data, killing it first if it still runs; returns when it answers. */
    public void restart() {
        redis.process().restart();
    }

    /** SIGSTOP: connections stay open, nothing answers. */
    public void pause() {
        redis.process().pause();
    }

    /** SIGCONT. */
    public void resume() {
        redis.process().resume();
    }

    /** Whether the server runs, be it paused. */
    public boolean isAlive() {
        return redis.process().isAlive();
    }

    /** Kills the server and removes its data. */
    @Override
    public void close() {
        kill9();
        redis.close();
        if (data != null) {
            removeTree(data);
        }
    }

    static void removeTree(Path root) {
        try {
            Files.walkFileTree(root, new SimpleFileVisitor<>() {
                @Override
                public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
                    Files.deleteIfExists(file);
                    return FileVisitResult.CONTINUE;
                }

                @Override
                public FileVisitResult postVisitDirectory(Path folder, @Nullable IOException failure)
                        throws IOException {
                    Files.deleteIfExists(folder);
                    return FileVisitResult.CONTINUE;
                }
            });
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
