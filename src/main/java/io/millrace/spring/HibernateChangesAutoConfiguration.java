package io.millrace.spring;

import jakarta.persistence.EntityManagerFactory;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.hibernate.engine.spi.SessionFactoryImplementor;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.config.BeanPostProcessor;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.context.annotation.Bean;

/** Every {@link EntityManagerFactory} bean tells the streams of an {@link EntityStreams} bean what is written through it. */
@AutoConfiguration(after = MillraceAutoConfiguration.class)
@ConditionalOnClass({EntityManagerFactory.class, SessionFactoryImplementor.class})
@ConditionalOnBean(EntityStreams.class)
public final class HibernateChangesAutoConfiguration {

    /** Before anybody has the factory: nothing is written unseen. */
    @Bean
    static BeanPostProcessor millraceHibernateChanges(
            ObjectProvider<EntityStreams> streams, ObjectProvider<MillraceProperties> properties) {
        Set<SessionFactoryImplementor> known = ConcurrentHashMap.newKeySet(); // it may come by more than once
        return new BeanPostProcessor() {
            @Override
            public Object postProcessAfterInitialization(Object bean, String name) {
                if (bean instanceof EntityManagerFactory factory
                        && known.add(factory.unwrap(SessionFactoryImplementor.class))) {
                    HibernateChanges.listen(
                            factory,
                            streams.getObject(),
                            properties.getObject().streams().noteTimeout());
                }
                return bean;
            }
        };
    }
}
