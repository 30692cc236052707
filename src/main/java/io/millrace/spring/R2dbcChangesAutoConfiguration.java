package io.millrace.spring;

import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnSingleCandidate;
import org.springframework.context.annotation.Bean;
import org.springframework.data.r2dbc.convert.R2dbcConverter;
import org.springframework.data.r2dbc.core.R2dbcEntityTemplate;
import org.springframework.data.r2dbc.dialect.DialectResolver;
import org.springframework.r2dbc.core.DatabaseClient;

/** Spring Data R2DBC tells the streams of an {@link EntityStreams} bean what it writes. An {@link R2dbcEntityTemplate} of one's own stays. */
@AutoConfiguration(
        after = MillraceAutoConfiguration.class,
        afterName = "org.springframework.boot.r2dbc.autoconfigure.R2dbcAutoConfiguration",
        beforeName = "org.springframework.boot.data.r2dbc.autoconfigure.DataR2dbcAutoConfiguration")
@ConditionalOnClass({R2dbcEntityTemplate.class, DatabaseClient.class})
@ConditionalOnBean(EntityStreams.class)
@ConditionalOnSingleCandidate(DatabaseClient.class)
public final class R2dbcChangesAutoConfiguration {

    @Bean
    @ConditionalOnMissingBean
    R2dbcChangeCallbacks millraceR2dbcChangeCallbacks(EntityStreams streams, R2dbcConverter converter) {
        return new R2dbcChangeCallbacks(streams, converter.getMappingContext());
    }

    @Bean
    @ConditionalOnMissingBean(R2dbcEntityTemplate.class)
    R2dbcChangeTemplate r2dbcEntityTemplate(DatabaseClient client, R2dbcConverter converter, EntityStreams streams) {
        return new R2dbcChangeTemplate(
                client, DialectResolver.getDialect(client.getConnectionFactory()), converter, streams);
    }
}
