package io.millrace.redis;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import io.millrace.Millrace;
import io.millrace.testing.Eventually;
import io.millrace.testing.OwnRedis;
import java.time.Duration;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

@Tag("F14")
class StartCheckIT {

    @Test
    @DisplayName(
            "F14 a server that may evict keys, and one without an append-only file, is warned of soon after connecting")
    void warns() {
        Logger logger = (Logger) LoggerFactory.getLogger(StartCheck.class);
        ListAppender<ILoggingEvent> log = new ListAppender<>();
        Level before = logger.getLevel();
        log.start();
        logger.addAppender(log);
        logger.setLevel(Level.WARN);
        logger.setAdditive(false);
        try (OwnRedis redis = OwnRedis.start("--maxmemory-policy", "allkeys-lru");
                Millrace mill = Millrace.connect(redis.uri())) {
            mill.redis().call("PING").block(Duration.ofSeconds(10));
            Eventually.await("a second look at the time", Duration.ofSeconds(15), () -> log.list.size() >= 2);
            assertThat(log.list)
                    .extracting(ILoggingEvent::getFormattedMessage)
                    .satisfiesExactly(
                            policy -> assertThat(policy).contains("maxmemory-policy allkeys-lru", "noeviction"),
                            file -> assertThat(file).contains("append-only"));
        } finally {
            logger.detachAppender(log);
            logger.setLevel(before);
            logger.setAdditive(true);
        }
    }

    @Test
    @DisplayName("F14 nothing is said of a server that is as it should be, or does not tell")
    void silent() {
        assertThat(StartCheck.warnings("# Memory\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\nrole:master\r\n"))
                .isEmpty();
        assertThat(StartCheck.warnings("")).isEmpty();
        assertThat(StartCheck.warnings("role:slave\r\n"))
                .singleElement()
                .asString()
                .contains("replica");
    }
}
