package io.millrace.testing;

import io.millrace.redis.RedisSettings;
import java.time.Duration;
import org.testcontainers.DockerClientFactory;

/**
 * The Redis that tests share, one per JVM; {@link RedisTest} hands it out. The system property {@value #PROPERTY}
 * chooses it:
 *
 * <ul>
 *   <li>{@code auto} (default): {@code docker} where a container engine answers, else {@code process}
 *   <li>{@code process}: the embedded server, or the one that {@code -Dredis.bin} names
 *   <li>{@code docker}: a container; fails where there is no container engine, so that a build cannot silently test
 *       something else
 *   <li>{@code redis://...}: a server that runs already. Tests delete only keys in their own namespaces
 * </ul>
 */
public sealed interface RedisServer extends AutoCloseable permits ProcessRedis, ContainerRedis, ExternalRedis {

    /** The system property that chooses the server. */
    String PROPERTY = "test.redis";

    /** How clients reach it, {@code redis://host:port}. */
    String uri();

    /** What it is, for the log: kind, version, address. */
    String describe();

    /**
     * A Millrace's settings for it. This server harms nobody, so a command may take long: on a machine that stood still for a moment
     * the usual two seconds are over.
     */
    default RedisSettings settings(String namespace) {
        return RedisSettings.builder(uri())
                .namespace(namespace)
                .commandTimeout(Duration.ofSeconds(15))
                .build();
    }

    @Override
    void close();

    /** Starts, or finds, the server that the system property asks for. */
    static RedisServer open() {
        String wanted = System.getProperty(PROPERTY, "auto");
        return switch (wanted) {
            case "auto" ->
                DockerClientFactory.instance().isDockerAvailable() ? new ContainerRedis() : new ProcessRedis();
            case "docker" -> new ContainerRedis();
            case "process" -> new ProcessRedis();
            default -> new ExternalRedis(wanted);
        };
    }
}
