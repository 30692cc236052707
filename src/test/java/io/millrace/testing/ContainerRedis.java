package io.millrace.testing;

import org.testcontainers.containers.GenericContainer;
import org.testcontainers.utility.DockerImageName;

/** The shared Redis as a container. */
final class ContainerRedis implements RedisServer {

    private static final DockerImageName IMAGE = DockerImageName.parse("redis:8.2-alpine");
    private static final int PORT = 6379;

    private final GenericContainer<?> container = new GenericContainer<>(IMAGE)
            .withExposedPorts(PORT)
            .withCommand("redis-server", "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction");

    ContainerRedis() {
        container.start();
    }

    @Override
    public String uri() {
        return "redis://" + container.getHost() + ":" + container.getMappedPort(PORT);
    }

    @Override
    public String describe() {
        return "container " + IMAGE + ", " + RedisAdmin.version(uri()) + ", " + uri();
    }

    @Override
    public void close() {
        container.stop();
    }
}
