package io.millrace.spring;

import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.redis.RedisSettings;
import io.millrace.stream.ChangeStream;
import io.millrace.stream.EntryId;
import io.millrace.testing.PostgresServer.Database;
import io.r2dbc.spi.ConnectionFactories;
import io.r2dbc.spi.ConnectionFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.springframework.data.mapping.callback.EntityCallback;
import org.springframework.data.mapping.callback.ReactiveEntityCallbacks;
import org.springframework.r2dbc.connection.R2dbcTransactionManager;
import org.springframework.r2dbc.core.DatabaseClient;
import org.springframework.transaction.reactive.TransactionalOperator;

/** An application with products in PostgreSQL, put together by hand, whose changes go to the stream "products". */
final class Shop implements AutoCloseable {

    /** For calls that must come back. */
    static final Duration SOON = Duration.ofSeconds(20);

    /** A machine that stands still for a moment does not end a seller. */
    private static final Duration COMMAND_TIMEOUT = Duration.ofSeconds(15);

    static final String STREAM = "products";

    final Millrace mill;
    final EntityStreams streams;
    final R2dbcChangeTemplate template;
    final TransactionalOperator transaction;
    final R2dbcTransactionManager transactions;
    final ChangeStream stream;

    /** @param others callbacks of the application's own, in front of ours */
    Shop(String database, String redis, String namespace, EntityCallback<?>... others) {
        mill = Millrace.connect(MillraceSettings.of(RedisSettings.builder(redis)
                .namespace(namespace)
                .commandTimeout(COMMAND_TIMEOUT)
                .build()));
        streams = EntityStreams.of(mill.streams())
                .entity(Product.class, STREAM)
                .entity(Note.class, "notes", note -> Map.of("id", note.id(), "text", note.text()))
                .build();
        ConnectionFactory connections = ConnectionFactories.get(database);
        template = new R2dbcChangeTemplate(connections, streams);
        List<EntityCallback<?>> callbacks = new ArrayList<>(List.of(others));
        callbacks.add(new R2dbcChangeCallbacks(streams, template.getConverter().getMappingContext()));
        template.setEntityCallbacks(ReactiveEntityCallbacks.create(callbacks.toArray(EntityCallback<?>[]::new)));
        transactions = new R2dbcTransactionManager(connections);
        transaction = TransactionalOperator.create(transactions);
        stream = mill.streams().stream(STREAM);
    }

    static Shop on(Database database, String redis, String namespace, EntityCallback<?>... others) {
        return new Shop(database.r2dbc(), redis, namespace, others);
    }

    DatabaseClient sql() {
        return template.getDatabaseClient();
    }

    /** The ids of the records in the stream, in order. */
    List<Object> told() {
        return told(STREAM);
    }

    List<Object> told(String name) {
        return mill.streams().stream(name)
                .entries(EntryId.ZERO)
                .mapNotNull(entry -> entry.get("id"))
                .collectList()
                .block(SOON);
    }

    long notes() {
        return notes(STREAM);
    }

    long notes(String name) {
        return mill.streams().stream(name).state().blockLast(SOON).notes();
    }

    @Override
    public void close() {
        mill.shutdown().block(SOON);
    }
}
