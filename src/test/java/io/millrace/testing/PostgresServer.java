package io.millrace.testing;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.concurrent.atomic.AtomicInteger;
import org.testcontainers.DockerClientFactory;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.wait.strategy.Wait;

/**
 * A real PostgreSQL that tests share, one per JVM. The system property {@value #PROPERTY} chooses it: {@code auto} (default) is a
 * container where a container engine answers, else a process; {@code docker}, {@code process}.
 *
 * @param host where it listens
 * @param port on that host
 */
public record PostgresServer(String host, int port) {

    /** The system property that chooses the server. */
    public static final String PROPERTY = "test.postgres";

    private static final String USER = "postgres";
    private static final AtomicInteger DATABASES = new AtomicInteger();

    /** A database of a test's own, empty. */
    public record Database(String host, int port, String name) {

        public String jdbc() {
            return "jdbc:postgresql://" + host + ":" + port + "/" + name + "?user=" + USER + "&password=" + USER;
        }

        public String r2dbc() {
            return "r2dbc:postgresql://" + USER + ":" + USER + "@" + host + ":" + port + "/" + name;
        }

        /** Does it, whatever it answers. */
        public void execute(String sql) {
            try (Connection connection = DriverManager.getConnection(jdbc());
                    Statement statement = connection.createStatement()) {
                statement.execute(sql);
            } catch (SQLException e) {
                throw new IllegalStateException(sql, e);
            }
        }
    }

    /** Makes a database, starting the server if it is the first. */
    public static Database database() {
        PostgresServer server = Shared.SERVER;
        String name = "test" + DATABASES.incrementAndGet();
        new Database(server.host, server.port, USER).execute("CREATE DATABASE " + name);
        return new Database(server.host, server.port, name);
    }

    private static PostgresServer start() {
        return switch (System.getProperty(PROPERTY, "auto")) {
            case "docker" -> container();
            case "process" -> process();
            default -> DockerClientFactory.instance().isDockerAvailable() ? container() : process();
        };
    }

    /** Ends with this JVM; what a killed JVM left is removed by the next. */
    private static PostgresServer process() {
        try {
            return new PostgresServer(
                    "127.0.0.1",
                    EmbeddedPostgres.builder()
                            .setOverrideWorkingDirectory(
                                    Path.of("target", "postgres").toFile())
                            .setServerConfig("fsync", "off")
                            .start()
                            .getPort());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @SuppressWarnings("resource") // removed by Testcontainers when this JVM ends
    private static PostgresServer container() {
        GenericContainer<?> container = new GenericContainer<>("postgres:18-alpine")
                .withExposedPorts(5432)
                .withEnv("POSTGRES_PASSWORD", USER)
                .waitingFor(Wait.forLogMessage(".*ready to accept connections.*", 2));
        container.start();
        return new PostgresServer(container.getHost(), container.getMappedPort(5432));
    }

    /** The initialisation of this class is the lock that makes it one per JVM. */
    private static final class Shared {

        static final PostgresServer SERVER = start();
    }
}
