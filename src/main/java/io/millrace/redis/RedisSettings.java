package io.millrace.redis;

import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import reactor.core.scheduler.Scheduler;

/**
 * Where Redis is and how to talk to it. Immutable; {@link #mutate()} makes a changed copy.
 *
 * <p>Addresses: {@code redis://}, {@code redis-sentinel://h1:26379,h2:26379/0#master}, {@code redis-cluster://h1:6379,h2:6379}, and
 * with TLS (the peer is verified) {@code rediss://}, {@code rediss-sentinel://}, {@code rediss-cluster://}; each with
 * {@code user:password@} in front of the first host, a database as path and {@code ?namespace=ns}. With TLS also
 * {@code ?cacert=FILE}, {@code ?cert=FILE&key=FILE}; see
 * {@link Builder#caCertificate} and {@link Builder#clientCertificate}. Neither {@link #toString()} nor any message shows the password.
 */
public final class RedisSettings {

    /** {@value}. */
    public static final String DEFAULT_NAMESPACE = "millrace";

    /** 2 s. */
    public static final Duration DEFAULT_COMMAND_TIMEOUT = Duration.ofSeconds(2);

    /** {@value} commands. */
    public static final int DEFAULT_REQUEST_QUEUE_SIZE = 20_000;

    /** How Redis is set up. */
    public enum Topology {
        /** One server, or one address that leads to the master. */
        SINGLE,
        /** Sentinels tell which server is master. */
        SENTINEL,
        /** Keys are spread over many masters. */
        CLUSTER
    }

    private final String address;
    private final Topology topology;
    private final List<String> nodes;
    private final String namespace;
    private final Duration commandTimeout;
    private final int requestQueueSize;
    private final TlsFiles tls;
    private final @Nullable Scheduler answersOn;

    private RedisSettings(Builder builder) {
        this.address = builder.address;
        this.topology = builder.topology;
        this.nodes = List.copyOf(builder.nodes);
        this.namespace = builder.namespace;
        this.commandTimeout = builder.commandTimeout;
        this.requestQueueSize = builder.requestQueueSize;
        this.tls = builder.tls;
        this.answersOn = builder.answersOn;
    }

    /**
     * Settings for an address; everything else by default.
     *
     * @throws IllegalArgumentException if it is none, with what was expected
     */
    public static RedisSettings of(String address) {
        return builder(address).build();
    }

    /** As {@link #of}, to be changed further. */
    public static Builder builder(String address) {
        return new Builder(address);
    }

    /** A builder with these values. */
    public Builder mutate() {
        Builder copy = new Builder(address)
                .namespace(namespace)
                .commandTimeout(commandTimeout)
                .requestQueueSize(requestQueueSize);
        copy.tls = tls;
        copy.answersOn = answersOn;
        return copy;
    }

    /** How Redis is set up. */
    public Topology topology() {
        return topology;
    }

    /** What all keys and channels begin with. Empty: nothing. */
    public String namespace() {
        return namespace;
    }

    /** How long one command may take. */
    public Duration commandTimeout() {
        return commandTimeout;
    }

    /** How many commands may wait for an answer on one connection. */
    public int requestQueueSize() {
        return requestQueueSize;
    }

    /** Where answers arrive; {@code null}: on threads of Millrace's own. */
    @Nullable
    Scheduler answersOn() {
        return answersOn;
    }

    /** Whether connections are encrypted. */
    boolean isTls() {
        return address.toLowerCase(Locale.ROOT).startsWith("rediss");
    }

    /** Whom to trust, and who we are. */
    TlsFiles tls() {
        return tls;
    }

    /** Addresses the driver understands, one a seed node. They may hold a password. */
    List<String> nodes() {
        return nodes;
    }

    /** Address without credentials, namespace. */
    @Override
    public String toString() {
        return "RedisSettings[" + masked(address) + ", namespace=" + namespace + "]";
    }

    /** The address without credentials. */
    public String maskedAddress() {
        return masked(address);
    }

    static String masked(String address) {
        int scheme = address.indexOf("://");
        int at = address.lastIndexOf('@');
        return scheme < 0 || at < scheme
                ? address
                : address.substring(0, scheme + 3) + "***@" + address.substring(at + 1);
    }

    /** Collects settings; each setter checks its own value. */
    public static final class Builder {

        /** Of an address; named as the options of {@code redis-cli} are. */
        private static final Set<String> PARAMETERS = Set.of("namespace", "cacert", "cert", "key");

        private final String address;
        private Topology topology = Topology.SINGLE;
        private List<String> nodes = List.of();
        private String namespace = DEFAULT_NAMESPACE;
        private Duration commandTimeout = DEFAULT_COMMAND_TIMEOUT;
        private int requestQueueSize = DEFAULT_REQUEST_QUEUE_SIZE;
        private TlsFiles tls = TlsFiles.NONE;
        private @Nullable Scheduler answersOn;

        private Builder(String address) {
            this.address = address;
            parse(address);
        }

        /**
         * What all keys and channels begin with. Defaults to {@value #DEFAULT_NAMESPACE}, or what the address names.
         *
         * @param namespace up to 100 characters without braces and white space; empty for none
         */
        public Builder namespace(String namespace) {
            boolean legal = namespace.length() <= 100
                    && namespace.chars().noneMatch(c -> c <= ' ' || c == 0x7f || c == '{' || c == '}');
            if (!legal) {
                throw new IllegalArgumentException(
                        "namespace must have up to 100 characters without braces and white space, was \"" + namespace
                                + "\"");
            }
            this.namespace = namespace;
            return this;
        }

        /** How long one command may take. Defaults to 2 s; 100 ms to 60 s. */
        public Builder commandTimeout(Duration timeout) {
            if (timeout.toMillis() < 100 || timeout.toMillis() > 60_000) {
                throw new IllegalArgumentException("commandTimeout must be 100 ms to 60 s, was " + timeout);
            }
            this.commandTimeout = timeout;
            return this;
        }

        /**
         * How many commands may wait for an answer on one connection; beyond that callers fail at once, so that an outage does not
         * grow the heap. Defaults to {@value #DEFAULT_REQUEST_QUEUE_SIZE}; 100 to 1,000,000.
         */
        public Builder requestQueueSize(int size) {
            if (size < 100 || size > 1_000_000) {
                throw new IllegalArgumentException("requestQueueSize must be 100 to 1000000, was " + size);
            }
            this.requestQueueSize = size;
            return this;
        }

        /**
         * Where answers arrive, and so where what you do with them runs. Defaults to threads of Millrace's own. {@link
         * reactor.core.scheduler.Schedulers#immediate()}: on the connection's event loop, as with Lettuce itself; that spares a lone
         * caller a change of threads each way, but no answer comes to anybody while your code runs: only for code that never blocks
         * and is always quick; a batch that was pulled ahead may then come on a thread of Millrace's own. Handlers of {@code consume} have a scheduler of their own all the same.
         *
         * @param scheduler is not disposed of here
         */
        public Builder answersOn(Scheduler scheduler) {
            this.answersOn = scheduler;
            return this;
        }

        /**
         * Whose signature on the server's certificate is trusted. Defaults to those Java trusts, which
         * {@code -Djavax.net.ssl.trustStore} can change. Reads the file; it is read again whenever a connection is made.
         *
         * @param pem one or more certificates as PEM
         * @throws IllegalArgumentException if it cannot be read, or holds none
         */
        public Builder caCertificate(Path pem) {
            this.tls = tls.withCa(pem);
            return this;
        }

        /**
         * Who we are, for servers that ask ({@code tls-auth-clients yes}, Redis' default). Defaults to nobody. Reads the files; they are
         * read again whenever a connection is made.
         *
         * @param certificatePem our certificate, followed by those between it and its CA
         * @param keyPem its key, PKCS#8 without a password
         * @throws IllegalArgumentException if one cannot be read or is something else
         */
        public Builder clientCertificate(Path certificatePem, Path keyPem) {
            this.tls = tls.withClient(certificatePem, keyPem);
            return this;
        }

        /**
         * The settings.
         *
         * @throws IllegalArgumentException if there are certificates, but the address is one without TLS
         */
        public RedisSettings build() {
            RedisSettings settings = new RedisSettings(this);
            if (tls != TlsFiles.NONE && !settings.isTls()) {
                throw bad("certificates are for TLS, so the scheme must be rediss, rediss-sentinel or rediss-cluster");
            }
            return settings;
        }

        private void parse(String address) {
            int schemeEnd = address.indexOf("://");
            String scheme = schemeEnd < 0 ? "" : address.substring(0, schemeEnd).toLowerCase(Locale.ROOT);
            switch (scheme) {
                case "redis", "rediss" -> {
                    topology = Topology.SINGLE;
                    nodes = List.of(withoutOurs(address));
                }
                case "redis-sentinel", "rediss-sentinel" -> {
                    topology = Topology.SENTINEL;
                    if (address.indexOf('#') < 0) {
                        throw bad("a Sentinel address names the master behind #");
                    }
                    nodes = List.of(withoutOurs(address));
                }
                case "redis-cluster", "rediss-cluster" -> {
                    topology = Topology.CLUSTER;
                    nodes = clusterNodes(scheme.startsWith("rediss") ? "rediss://" : "redis://", withoutOurs(address));
                }
                default ->
                    throw bad("the scheme must be redis, rediss, redis-sentinel, rediss-sentinel, redis-cluster or"
                            + " rediss-cluster");
            }
            for (String node : nodes) {
                check(node);
            }
        }

        private List<String> clusterNodes(String scheme, String address) {
            String rest = address.substring(address.indexOf("://") + 3);
            int at = rest.lastIndexOf('@');
            String credentials = at < 0 ? "" : rest.substring(0, at + 1);
            String hosts = rest.substring(at + 1);
            int path = hosts.indexOf('/');
            if (path >= 0 && path < hosts.length() - 1) {
                throw bad("a cluster has one database only; leave out \"" + hosts.substring(path) + "\"");
            }
            List<String> seeds = new ArrayList<>();
            for (String host : (path < 0 ? hosts : hosts.substring(0, path)).split(",", -1)) {
                seeds.add(scheme + credentials + host);
            }
            return seeds;
        }

        /** Takes the parameters that are not the driver's out of the query, and sets what they say. */
        private String withoutOurs(String address) {
            int query = address.indexOf('?');
            if (query < 0) {
                return address;
            }
            int fragment = address.indexOf('#', query);
            String tail = fragment < 0 ? "" : address.substring(fragment);
            String[] parameters = address.substring(query + 1, fragment < 0 ? address.length() : fragment)
                    .split("&");
            Map<String, String> ours = new HashMap<>();
            StringBuilder rest = new StringBuilder();
            for (String parameter : parameters) {
                int equals = parameter.indexOf('=');
                if (equals > 0 && PARAMETERS.contains(parameter.substring(0, equals))) {
                    ours.put(
                            parameter.substring(0, equals),
                            URLDecoder.decode(parameter.substring(equals + 1), StandardCharsets.UTF_8));
                } else if (!parameter.isEmpty()) {
                    rest.append(rest.isEmpty() ? '?' : '&').append(parameter);
                }
            }
            set(ours);
            return address.substring(0, query) + rest + tail;
        }

        private void set(Map<String, String> parameters) {
            if (parameters.containsKey("cert") != parameters.containsKey("key")) {
                throw bad("cert and key belong together");
            }
            parameters.forEach((name, value) -> {
                switch (name) {
                    case "namespace" -> namespace(value);
                    case "cacert" -> caCertificate(Path.of(value));
                    case "cert" ->
                        clientCertificate(Path.of(value), Path.of(Objects.requireNonNull(parameters.get("key"))));
                    default -> {} // key, which came with cert
                }
            });
        }

        private void check(String node) {
            try {
                URI uri = URI.create(node);
                @Nullable String named = topology == Topology.SENTINEL ? uri.getRawAuthority() : uri.getHost();
                if (named == null || named.isEmpty() || named.endsWith("@") || uri.getPort() > 65_535) {
                    throw bad("it names no host, or a port that is none");
                }
                io.lettuce.core.RedisURI.create(node);
            } catch (IllegalArgumentException e) {
                throw e.getMessage() != null && e.getMessage().startsWith("\"") ? e : bad("it cannot be read");
            }
        }

        private IllegalArgumentException bad(String why) {
            return new IllegalArgumentException("\"" + masked(address) + "\" is no Redis address: " + why
                    + "; expected for example redis://localhost:6379/0, redis-sentinel://host1,host2#master or"
                    + " redis-cluster://host1:6379,host2:6379");
        }
    }
}
