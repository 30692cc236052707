package io.millrace.spring;

import io.millrace.Millrace;
import io.millrace.MillraceException;
import java.time.Duration;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.config.BeanPostProcessor;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.context.annotation.Bean;

/**
 * A {@link Millrace} bean where {@code millrace.redis} says which Redis, and a delayer and a trimmer for the streams of declared entities
 * where {@code millrace.streams.repair-after} says when repair notes are due.
 */
@AutoConfiguration
@EnableConfigurationProperties(MillraceProperties.class)
public final class MillraceAutoConfiguration {

    @Bean
    @ConditionalOnMissingBean(Millrace.class)
    @ConditionalOnProperty("millrace.redis")
    MillraceFactory millrace(MillraceProperties properties) {
        return new MillraceFactory(properties);
    }

    @Bean
    @ConditionalOnBean(EntityStreams.class)
    @ConditionalOnProperty("millrace.streams.repair-after")
    StreamUpkeep millraceStreamUpkeep(EntityStreams streams, MillraceProperties properties) {
        Duration repairAfter = properties.streams().repairAfter();
        if (repairAfter == null) {
            throw new MillraceException("millrace.streams.repair-after is empty, expected a duration such as 5m");
        }
        return new StreamUpkeep(streams.streams(), streams.names(), repairAfter);
    }

    /** Before anybody has declared entities that do not say it themselves. */
    @Bean
    @ConditionalOnProperty("millrace.streams.replicas.count")
    static BeanPostProcessor millraceReplicas(ObjectProvider<MillraceProperties> properties) {
        return new BeanPostProcessor() {
            @Override
            public Object postProcessAfterInitialization(Object bean, String name) {
                if (!(bean instanceof EntityStreams streams)) {
                    return bean;
                }
                MillraceProperties.Replicas replicas =
                        properties.getObject().streams().replicas();
                return replicas == null ? bean : streams.waitingUnlessSaid(replicas.toWait());
            }
        };
    }
}
