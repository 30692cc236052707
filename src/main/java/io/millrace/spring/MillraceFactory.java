package io.millrace.spring;

import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.redis.RedisSettings;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.DisposableBean;
import org.springframework.beans.factory.FactoryBean;

/** The Millrace of an application. It ends after everything that uses it, and that is waited for. */
final class MillraceFactory implements FactoryBean<Millrace>, DisposableBean {

    private static final Logger log = LoggerFactory.getLogger(MillraceFactory.class);

    private final MillraceProperties properties;
    private final Millrace mill;

    MillraceFactory(MillraceProperties properties) {
        this.properties = properties;
        this.mill = Millrace.connect(MillraceSettings.of(settings(properties)));
    }

    private static RedisSettings settings(MillraceProperties properties) {
        String address = properties.redis();
        if (address == null) {
            throw new IllegalArgumentException(
                    "millrace.redis is not set, expected an address such as redis://host:6379");
        }
        RedisSettings.Builder settings = RedisSettings.builder(address);
        if (properties.namespace() != null) {
            settings.namespace(properties.namespace());
        }
        if (properties.commandTimeout() != null) {
            settings.commandTimeout(properties.commandTimeout());
        }
        if (properties.requestQueueSize() != null) {
            settings.requestQueueSize(properties.requestQueueSize());
        }
        return settings.build();
    }

    @Override
    public Millrace getObject() {
        return mill;
    }

    @Override
    public @Nullable Class<?> getObjectType() {
        return Millrace.class;
    }

    @Override
    public void destroy() {
        mill.shutdown()
                .timeout(properties.shutdownTimeout())
                .doOnError(error -> log.warn("Millrace did not end in order: {}", error.toString()))
                .onErrorComplete()
                .block();
    }
}
