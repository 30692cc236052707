package io.millrace.server;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/** Where the server listens, who may use it, and its limits. Immutable. */
public final class ServerSettings {

    /** {@value}. */
    public static final String DEFAULT_HOST = "127.0.0.1";

    /** {@value}. */
    public static final int DEFAULT_PORT = 8080;

    /** {@value} bytes. */
    public static final int DEFAULT_MAX_BODY_BYTES = 1 << 20;

    /** {@value} bytes. */
    public static final long DEFAULT_MAX_STREAM_BYTES = 64L << 20;

    /** {@value} requests. */
    public static final int DEFAULT_MAX_IN_FLIGHT = 512;

    /** {@value} listeners. */
    public static final int DEFAULT_MAX_LISTENERS = 256;

    /** 10 s. */
    public static final Duration DEFAULT_READ_TIMEOUT = Duration.ofSeconds(10);

    /** 10 s. */
    public static final Duration DEFAULT_SHUTDOWN_GRACE = Duration.ofSeconds(10);

    /** The shortest token: 16 characters. */
    public static final int MIN_TOKEN_LENGTH = 16;

    private final String host;
    private final int port;
    private final @Nullable String token;
    private final int maxBodyBytes;
    private final long maxStreamBytes;
    private final int maxInFlight;
    private final int maxListeners;
    private final Duration readTimeout;
    private final Duration shutdownGrace;

    private ServerSettings(Builder builder) {
        this.host = builder.host;
        this.port = builder.port;
        this.token = builder.token;
        this.maxBodyBytes = builder.maxBodyBytes;
        this.maxStreamBytes = builder.maxStreamBytes;
        this.maxInFlight = builder.maxInFlight;
        this.maxListeners = builder.maxListeners;
        this.readTimeout = builder.readTimeout;
        this.shutdownGrace = builder.shutdownGrace;
    }

    /** A builder with everything by default. */
    public static Builder builder() {
        return new Builder();
    }

    /** The address to listen on. */
    public String host() {
        return host;
    }

    /** The port to listen on; 0 for a free one. */
    public int port() {
        return port;
    }

    /** What callers must send as bearer token; {@code null}: they need none. */
    public @Nullable String token() {
        return token;
    }

    /** How large a JSON body, or one line of an NDJSON body, may be. */
    public int maxBodyBytes() {
        return maxBodyBytes;
    }

    /** How large an NDJSON body may be. */
    public long maxStreamBytes() {
        return maxStreamBytes;
    }

    /** How many requests may be under way, live listeners aside. */
    public int maxInFlight() {
        return maxInFlight;
    }

    /** How many live listeners there may be. */
    public int maxListeners() {
        return maxListeners;
    }

    /** How long the next bytes of a request may take. */
    public Duration readTimeout() {
        return readTimeout;
    }

    /** How long requests under way have when the server stops. */
    public Duration shutdownGrace() {
        return shutdownGrace;
    }

    /** Where it listens; never the token. */
    @Override
    public String toString() {
        return "ServerSettings[" + host + ":" + port + (token == null ? "" : ", with token") + "]";
    }

    /** Collects settings; each setter checks its own value. */
    public static final class Builder {

        private String host = DEFAULT_HOST;
        private int port = DEFAULT_PORT;
        private @Nullable String token;
        private int maxBodyBytes = DEFAULT_MAX_BODY_BYTES;
        private long maxStreamBytes = DEFAULT_MAX_STREAM_BYTES;
        private int maxInFlight = DEFAULT_MAX_IN_FLIGHT;
        private int maxListeners = DEFAULT_MAX_LISTENERS;
        private Duration readTimeout = DEFAULT_READ_TIMEOUT;
        private Duration shutdownGrace = DEFAULT_SHUTDOWN_GRACE;

        private Builder() {}

        /** The address to listen on. Defaults to {@value #DEFAULT_HOST}; others than this machine's own need a token. */
        public Builder host(String host) {
            if (host.isBlank()) {
                throw new IllegalArgumentException("host must not be empty");
            }
            this.host = host;
            return this;
        }

        /** The port to listen on. Defaults to {@value #DEFAULT_PORT}; 0 for a free one, up to 65535. */
        public Builder port(int port) {
            this.port = Math.toIntExact(between("port", port, 0, 65_535));
            return this;
        }

        /** What callers must send as bearer token. Defaults to none; {@value #MIN_TOKEN_LENGTH} visible ASCII characters or more. */
        public Builder token(@Nullable String token) {
            if (token != null && !token.matches("[!-~]{" + MIN_TOKEN_LENGTH + ",}")) {
                throw new IllegalArgumentException("the token must have " + MIN_TOKEN_LENGTH
                        + " visible ASCII characters or more; make one with: openssl rand -hex 32");
            }
            this.token = token;
            return this;
        }

        /** How large a JSON body, or one line of an NDJSON body, may be. Defaults to 1 MiB; 1 KiB to 64 MiB. */
        public Builder maxBodyBytes(int maxBodyBytes) {
            this.maxBodyBytes = Math.toIntExact(between("maxBodyBytes", maxBodyBytes, 1 << 10, 64 << 20));
            return this;
        }

        /** How large an NDJSON body may be. Defaults to 64 MiB; 1 KiB to 1 TiB. */
        public Builder maxStreamBytes(long maxStreamBytes) {
            this.maxStreamBytes = between("maxStreamBytes", maxStreamBytes, 1 << 10, 1L << 40);
            return this;
        }

        /** How many requests may be under way. Defaults to {@value #DEFAULT_MAX_IN_FLIGHT}; 1 to 100,000. */
        public Builder maxInFlight(int maxInFlight) {
            this.maxInFlight = Math.toIntExact(between("maxInFlight", maxInFlight, 1, 100_000));
            return this;
        }

        /** How many live listeners there may be. Defaults to {@value #DEFAULT_MAX_LISTENERS}; 0 to 100,000. */
        public Builder maxListeners(int maxListeners) {
            this.maxListeners = Math.toIntExact(between("maxListeners", maxListeners, 0, 100_000));
            return this;
        }

        /** How long the next bytes of a request may take. Defaults to 10 s; 100 ms to 5 min. */
        public Builder readTimeout(Duration readTimeout) {
            between("readTimeout in ms", readTimeout.toMillis(), 100, 300_000);
            this.readTimeout = readTimeout;
            return this;
        }

        /** How long requests under way have when the server stops. Defaults to 10 s; 0 to 10 min. */
        public Builder shutdownGrace(Duration shutdownGrace) {
            between("shutdownGrace in ms", shutdownGrace.toMillis(), 0, 600_000);
            this.shutdownGrace = shutdownGrace;
            return this;
        }

        /**
         * The settings. Looks the host up, which may block.
         *
         * @throws IllegalArgumentException if there is no token although others than this machine could connect
         */
        public ServerSettings build() {
            if (token == null && !isLoopback(host)) {
                throw new IllegalArgumentException("listening on " + host
                        + " lets other machines in, so a token is required: --token-file FILE or MILLRACE_TOKEN;"
                        + " or listen on 127.0.0.1");
            }
            return new ServerSettings(this);
        }

        private static boolean isLoopback(String host) {
            try {
                return InetAddress.getByName(host).isLoopbackAddress();
            } catch (UnknownHostException e) {
                throw new IllegalArgumentException("there is no address to listen on named \"" + host + "\"", e);
            }
        }

        private static long between(String name, long value, long min, long max) {
            if (value < min || value > max) {
                throw new IllegalArgumentException(name + " must be " + min + " to " + max + ", was " + value);
            }
            return value;
        }
    }
}
