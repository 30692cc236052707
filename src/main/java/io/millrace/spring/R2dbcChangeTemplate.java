package io.millrace.spring;

import io.millrace.spring.R2dbcChangeCallbacks.Ids;
import io.millrace.stream.Change;
import io.r2dbc.spi.ConnectionFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.springframework.data.r2dbc.convert.R2dbcConverter;
import org.springframework.data.r2dbc.core.R2dbcEntityTemplate;
import org.springframework.data.r2dbc.dialect.R2dbcDialect;
import org.springframework.data.relational.core.mapping.RelationalPersistentProperty;
import org.springframework.data.relational.core.query.Criteria;
import org.springframework.data.relational.core.query.CriteriaDefinition;
import org.springframework.data.relational.core.query.Query;
import org.springframework.data.relational.core.query.Update;
import org.springframework.data.relational.core.sql.SqlIdentifier;
import org.springframework.r2dbc.core.DatabaseClient;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * A template that also tells streams what it deletes, and what it updates by a query: Spring Data R2DBC has no callbacks for those.
 * Repositories delete through it as well: {@code delete}, {@code deleteById}, {@code deleteAll}…, but not by derived queries ({@code
 * deleteByName}).
 *
 * <p>The rows are read first, then repair notes are taken, then those of them are written that still match, then the changes are queued:
 * after the commit if there is a transaction. More than {@value #AT_ONCE} rows take several statements: use a transaction if all or none
 * must be written.
 */
public class R2dbcChangeTemplate extends R2dbcEntityTemplate {

    /** How many rows one statement writes at most: {@value}. */
    public static final int AT_ONCE = 1_000;

    private static final ReactiveCommit COMMIT = new ReactiveCommit();

    private final EntityStreams streams;
    private final Ids ids;

    /** On a database, with its dialect. */
    public R2dbcChangeTemplate(ConnectionFactory connections, EntityStreams streams) {
        super(connections);
        this.streams = streams;
        this.ids = new Ids(getConverter().getMappingContext());
    }

    /** On what an application has set up already. */
    public R2dbcChangeTemplate(
            DatabaseClient client, R2dbcDialect dialect, R2dbcConverter converter, EntityStreams streams) {
        super(client, dialect, converter);
        this.streams = streams;
        this.ids = new Ids(converter.getMappingContext());
    }

    @Override
    public Mono<Long> delete(Query query, Class<?> type) {
        return captured(query, type, null, chosen -> super.delete(chosen, type));
    }

    @Override
    public Mono<Long> update(Query query, Update update, Class<?> type) {
        return captured(query, type, null, chosen -> super.update(chosen, update, type));
    }

    @Override
    public ReactiveDelete delete(Class<?> type) {
        return new Writing(type, Query.empty(), null);
    }

    @Override
    public ReactiveUpdate update(Class<?> type) {
        return new Writing(type, Query.empty(), null);
    }

    private ReactiveDelete plainDelete(Class<?> type) {
        return super.delete(type);
    }

    private ReactiveUpdate plainUpdate(Class<?> type) {
        return super.update(type);
    }

    private Mono<Long> captured(
            Query query, Class<?> type, @Nullable SqlIdentifier table, Function<Query, Mono<Long>> write) {
        EntityStream stream = streams.of(type);
        if (stream == null) {
            return write.apply(query);
        }
        CriteriaDefinition criteria = query.getCriteria().orElseGet(CriteriaDefinition::empty);
        Query all = Query.query(criteria);
        Flux<?> rows = table == null
                ? select(all, type)
                : select(type).from(table).matching(all).all();
        return rows.collectList().flatMap(found -> {
            List<Object> foundIds = found.stream().map(ids::required).toList();
            List<Change> changes = new ArrayList<>();
            for (int i = 0; i < found.size(); i++) {
                changes.add(stream.change(found.get(i), foundIds.get(i)));
            }
            Flux<Long> written = Flux.fromIterable(foundIds)
                    .buffer(AT_ONCE)
                    .concatMap(some -> write.apply(Query.query(CriteriaDefinition.from(criteria, oneOf(type, some)))));
            return stream.producer().capture().toldBy(COMMIT).around(changes, written.reduce(0L, Long::sum));
        });
    }

    /** What came to match after the rows were read has no note, so it is left alone. */
    private CriteriaDefinition oneOf(Class<?> type, List<Object> some) {
        RelationalPersistentProperty id = getConverter()
                .getMappingContext()
                .getRequiredPersistentEntity(type)
                .getRequiredIdProperty();
        return Criteria.where(id.getName()).in(some);
    }

    /** {@code template.delete(type)…} and {@code template.update(type)…}, step by step; of which rows is said alike. */
    private final class Writing implements ReactiveDelete, ReactiveUpdate {

        private final Class<?> type;
        private final Query query;
        private final @Nullable SqlIdentifier table;

        Writing(Class<?> type, Query query, @Nullable SqlIdentifier table) {
            this.type = type;
            this.query = query;
            this.table = table;
        }

        @Override
        public Writing from(SqlIdentifier other) {
            return new Writing(type, query, other);
        }

        @Override
        public Writing inTable(SqlIdentifier other) {
            return from(other);
        }

        @Override
        public Writing matching(Query other) {
            return new Writing(type, other, table);
        }

        @Override
        public Mono<Long> all() {
            DeleteWithQuery plain =
                    table == null ? plainDelete(type) : plainDelete(type).from(table);
            return captured(query, type, table, chosen -> plain.matching(chosen).all());
        }

        @Override
        public Mono<Long> apply(Update update) {
            UpdateWithQuery plain =
                    table == null ? plainUpdate(type) : plainUpdate(type).inTable(table);
            return captured(query, type, table, chosen -> plain.matching(chosen).apply(update));
        }
    }
}
