package io.millrace.redis.embedded;

import io.millrace.redis.embedded.EmbeddedRedisException.Reason;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * The folder a server works in: one of the user's, which is locked, or a temporary one, which is removed. Redis does
 * not lock its append only file; two servers writing it would destroy it.
 */
final class DataFolder implements AutoCloseable {

    static final String PID_FILE = "redis.pid";
    private static final String LOCK_FILE = "millrace.lock";

    private final Path path;
    private final @Nullable FileChannel lock;

    private DataFolder(Path path, @Nullable FileChannel lock) {
        this.path = path;
        this.lock = lock;
    }

    /** A new folder with nothing in it, removed by {@link #close()}. */
    static DataFolder temporary() {
        try {
            return new DataFolder(Files.createTempDirectory("millrace-redis-"), null);
        } catch (IOException e) {
            throw new EmbeddedRedisException(Reason.FAILED, "Cannot make a folder for the embedded Redis: " + e, e);
        }
    }

    /**
     *  The user's folder, made if missing. Waits for a server that a JVM just killed left behind: that ends by itself.
     */
    static DataFolder lasting(Path wanted, Duration patience) {
        FileChannel lock = null;
        try {
            Path path = Files.createDirectories(wanted.toAbsolutePath());
            lock = lock(path);
            awaitPredecessor(path, patience);
            return new DataFolder(path, lock);
        } catch (IOException e) {
            closeQuietly(lock);
            throw new EmbeddedRedisException(Reason.FAILED, "Cannot use the data folder " + wanted + ": " + e, e);
        } catch (EmbeddedRedisException e) {
            closeQuietly(lock);
            throw e;
        }
    }

    Path path() {
        return path;
    }

    boolean isTemporary() {
        return lock == null;
    }

    private static FileChannel lock(Path path) throws IOException {
        FileChannel channel =
                FileChannel.open(path.resolve(LOCK_FILE), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        try {
            FileLock held = channel.tryLock();
            if (held != null) {
                return channel;
            }
        } catch (OverlappingFileLockException e) {
            // Held by this very JVM: same answer as for another one.
        }
        channel.close();
        throw new EmbeddedRedisException(
                Reason.DATA_IN_USE,
                "The data folder " + path
                        + " is in use by another embedded Redis. Stop that one or choose another folder.");
    }

    private static void awaitPredecessor(Path path, Duration patience) throws IOException {
        Optional<ProcessHandle> predecessor = predecessor(path.resolve(PID_FILE));
        if (predecessor.isEmpty()) {
            return;
        }
        try {
            predecessor.get().onExit().get(patience.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            throw new EmbeddedRedisException(
                    Reason.DATA_IN_USE,
                    "The data folder " + path + " is in use by the process "
                            + predecessor.get().pid() + ". Stop it or choose another folder.");
        } catch (ExecutionException e) {
            throw new EmbeddedRedisException(Reason.FAILED, "Cannot watch a process: " + e.getCause(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new EmbeddedRedisException(Reason.FAILED, "Interrupted while waiting for " + path, e);
        }
    }

    private static Optional<ProcessHandle> predecessor(Path pidFile) throws IOException {
        try {
            Instant written = Files.getLastModifiedTime(pidFile).toInstant();
            long pid = Long.parseLong(Files.readString(pidFile).trim());
            // A process younger than the file only got the same number; 2 s because some systems count starts in whole
            // seconds.
            return ProcessHandle.of(pid)
                    .filter(process -> process.info()
                            .startInstant()
                            .map(start -> start.isBefore(written.plusSeconds(2)))
                            .orElse(true));
        } catch (NoSuchFileException | NumberFormatException e) {
            return Optional.empty();
        }
    }

    /** Unlocks a lasting folder, removes a temporary one with all that is in it. The server must have ended. */
    @Override
    public void close() {
        if (lock != null) {
            closeQuietly(lock);
            return;
        }
        try {
            Files.walkFileTree(path, new Remover());
        } catch (IOException e) {
            throw new EmbeddedRedisException(Reason.FAILED, "Cannot remove " + path + ": " + e, e);
        }
    }

    private static void closeQuietly(@Nullable FileChannel channel) {
        try {
            if (channel != null) {
                channel.close();
            }
        } catch (IOException e) {
            // Nothing was written through it, and the lock goes with the descriptor either way.
        }
    }

    private static final class Remover extends SimpleFileVisitor<Path> {

        @Override
        public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
            Files.deleteIfExists(file);
            return FileVisitResult.CONTINUE;
        }

        @Override
        public FileVisitResult visitFileFailed(Path file, IOException failure) throws IOException {
            if (failure instanceof NoSuchFileException) {
                return FileVisitResult.CONTINUE;
            }
            throw failure;
        }

        @Override
        public FileVisitResult postVisitDirectory(Path folder, @Nullable IOException failure) throws IOException {
            if (failure != null) {
                throw failure;
            }
            Files.deleteIfExists(folder);
            return FileVisitResult.CONTINUE;
        }
    }
}
