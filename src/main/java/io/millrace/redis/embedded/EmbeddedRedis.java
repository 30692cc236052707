package io.millrace.redis.embedded;

import io.millrace.redis.embedded.EmbeddedRedisException.Reason;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/**
 * A Redis server of our own, for trials, demos and tests: started with {@link #builder()}, ready when you get it, gone
 * when the JVM is gone, even by {@code kill -9}.
 *
 * <pre>{@code
 * EmbeddedRedis.builder().start()
 *         .flatMap(redis -> work(redis.uri()).then(redis.stop()))
 * }</pre>
 *
 * <p>It listens on 127.0.0.1 only, without a password, and never evicts keys. Without a data folder it keeps nothing:
 * its temporary folder is removed by {@link #close()}. With one it keeps an append only file there, flushed to disk
 * every second.
 *
 * <p>The program is the one bundled for Linux and macOS, or the system property {@value #BINARY_PROPERTY}: a path, or a
 * command with leading arguments separated by commas, which must exec the server. All methods may be called from any
 * thread.
 */
public final class EmbeddedRedis implements AutoCloseable {

    /** System property naming the server program to start instead of the bundled one. */
    public static final String BINARY_PROPERTY = "redis.bin";

    /** How long the server may take until it answers, unless set otherwise. */
    public static final Duration DEFAULT_START_TIMEOUT = Duration.ofSeconds(10);

    private static final Logger log = LoggerFactory.getLogger(EmbeddedRedis.class);
    private static final AtomicBoolean WARNED = new AtomicBoolean();
    private static final int PORT_ATTEMPTS = 10;

    private final RedisProcess process;
    private final DataFolder folder;

    private EmbeddedRedis(RedisProcess process, DataFolder folder) {
        this.process = process;
        this.folder = folder;
    }

    /** Options of a server; as they are, it takes a free port and keeps nothing. */
    public static Builder builder() {
        return new Builder();
    }

    /** How clients reach it: {@code redis://127.0.0.1:port}. */
    public String uri() {
        return "redis://127.0.0.1:" + port();
    }

    /** The port it listens on. */
    public int port() {
        return process.port();
    }

    /** Its process id. */
    public long pid() {
        return process.pid();
    }

    /** Its log file. In a temporary folder it is removed with the server. */
    public Path log() {
        return process.log();
    }

    /** The process itself, for tests that kill, pause and restart it. */
    public RedisProcess process() {
        return process;
    }

    /**
     * Stops the server as {@link #close()} does, without blocking the caller. Cold, may be subscribed to again, and
     * runs on {@link Schedulers#boundedElastic()}. Cancelling does not undo a stop that has begun.
     */
    public Mono<Void> stop() {
        return Mono.<Void>fromRunnable(this::close).subscribeOn(Schedulers.boundedElastic());
    }

    /**
     * Stops the server, with SIGTERM so that it can write its append only file out, and with SIGKILL after {@link
     * RedisProcess#DEFAULT_STOP_BUDGET}. Then removes the temporary folder, if it had one. Blocks; does nothing the
     * second time.
     */
    @Override
    public void close() {
        process.close();
        folder.close();
    }

    /**
     *  Options, checked as they are set. A builder may start any number of servers, but only one on a given port or
     * data folder.
     */
    public static final class Builder {

        private static final Set<String> OURS = Set.of(
                "bind",
                "protected-mode",
                "port",
                "tls-port",
                "unixsocket",
                "dir",
                "daemonize",
                "supervised",
                "logfile",
                "pidfile");

        private final List<String> extra = new ArrayList<>();
        private @Nullable Path dataDir;
        private int port;
        private Duration startTimeout = DEFAULT_START_TIMEOUT;

        private Builder() {}

        /** Keeps the data in this folder, made if missing, with an append only file ({@code appendfsync everysec}). */
        public Builder dataDir(Path dataDir) {
            this.dataDir = dataDir;
            return this;
        }

        /**
         * Where to listen, on 127.0.0.1. Defaults to 0: a free port.
         *
         * @throws IllegalArgumentException unless 0 to 65535
         */
        public Builder port(int port) {
            if (port < 0 || port > 65535) {
                throw new IllegalArgumentException("port must be 0 to 65535, was " + port);
            }
            this.port = port;
            return this;
        }

        /**
         * A setting of redis.conf, such as {@code arg("maxmemory", "64mb")}. It wins over ours.
         *
         * @param name without leading dashes
         * @throws IllegalArgumentException for the settings this launcher depends on, such as {@code bind}
         */
        public Builder arg(String name, String... values) {
            if (!name.matches("[a-z][a-z0-9-]*") || OURS.contains(name)) {
                throw new IllegalArgumentException(
                        "name must be a setting of redis.conf, without dashes in front, and none of " + OURS + ", was "
                                + name);
            }
            extra.add("--" + name);
            extra.addAll(List.of(values));
            return this;
        }

        /**
         * How long the server may take until it answers, reading its data included. Defaults to 10 s.
         *
         * @throws IllegalArgumentException unless positive
         */
        public Builder startTimeout(Duration startTimeout) {
            if (startTimeout.isNegative() || startTimeout.isZero()) {
                throw new IllegalArgumentException("startTimeout must be positive, was " + startTimeout);
            }
            this.startTimeout = startTimeout;
            return this;
        }

        /**
         * Starts a server per subscription and emits it when it is ready; fails with {@link EmbeddedRedisException}.
         * The work is done on {@link Schedulers#boundedElastic()}. Cancelled before it emitted, it leaves no server
         * behind. The builder is read when this is subscribed to.
         */
        public Mono<EmbeddedRedis> start() {
            return Mono.defer(() -> {
                Start start = new Start(this);
                return Mono.fromCallable(start::run)
                        .subscribeOn(Schedulers.boundedElastic())
                        .doOnCancel(start::abandon);
            });
        }

        /**
         * Starts a server and blocks until it is ready: for tests and for the outermost line of a command.
         *
         * @throws EmbeddedRedisException if it did not start; no process is left then
         */
        public EmbeddedRedis startNow() {
            DataFolder folder = dataDir == null ? DataFolder.temporary() : DataFolder.lasting(dataDir, startTimeout);
            EmbeddedRedis started = null;
            try {
                started = new EmbeddedRedis(startProcess(folder), folder);
            } finally {
                if (started == null) {
                    folder.close();
                }
            }
            String data = folder.isTemporary() ? "keeps nothing" : "keeps its data in " + folder.path();
            if (WARNED.compareAndSet(false, true)) {
                log.warn(
                        "Embedded Redis at {} {}. It is for trials, demos and tests; in production use a server of"
                                + " your own",
                        started.uri(),
                        data);
            } else {
                log.info("Embedded Redis at {} {}", started.uri(), data);
            }
            return started;
        }

        private RedisProcess startProcess(DataFolder folder) {
            for (int attempt = 1; ; attempt++) {
                int chosen = port == 0 ? RedisProcess.freePort() : port;
                try {
                    return RedisProcess.start(
                            arguments(folder, chosen), folder.path(), chosen, startTimeout, folder.isTemporary());
                } catch (EmbeddedRedisException e) {
                    // Somebody else took the free port before our server could.
                    if (port != 0 || attempt == PORT_ATTEMPTS || e.reason() != Reason.PORT_TAKEN) {
                        throw e;
                    }
                }
            }
        }

        private List<String> arguments(DataFolder folder, int chosen) {
            List<String> arguments = new ArrayList<>(List.of(
                    "--port", String.valueOf(chosen),
                    "--bind", "127.0.0.1",
                    "--protected-mode", "yes",
                    "--dir", folder.path().toString(),
                    "--pidfile", folder.path().resolve(DataFolder.PID_FILE).toString(),
                    "--maxmemory-policy", "noeviction",
                    "--save", ""));
            arguments.addAll(
                    folder.isTemporary()
                            ? List.of("--appendonly", "no")
                            : List.of("--appendonly", "yes", "--appendfsync", "everysec"));
            arguments.addAll(extra);
            return arguments;
        }
    }

    /**
     *  One start of {@link Builder#start()}. It runs on one thread and is abandoned on another: the later of the two
     * closes.
     */
    private static final class Start {

        private enum State {
            STARTING,
            STARTED,
            ABANDONED
        }

        private final Builder builder;
        private final AtomicReference<State> state = new AtomicReference<>(State.STARTING);

        Start(Builder builder) {
            this.builder = builder;
        }

        /** Null when nobody wants the server any more. */
        @Nullable
        EmbeddedRedis run() {
            EmbeddedRedis server;
            try {
                server = builder.startNow();
            } catch (EmbeddedRedisException e) {
                if (state.get() == State.ABANDONED) {
                    return null;
                }
                throw e;
            }
            if (state.compareAndSet(State.STARTING, State.STARTED)) {
                return server;
            }
            server.close();
            return null;
        }

        void abandon() {
            state.compareAndSet(State.STARTING, State.ABANDONED);
        }
    }
}
