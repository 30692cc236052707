package io.millrace.cli;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.encoder.PatternLayoutEncoder;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.ConsoleAppender;
import org.slf4j.LoggerFactory;

/**
 * Logging of the command line: warnings to standard error. Set up here and not by a file, which users of the library would find on
 * their class path too. {@code -Dlogback.configurationFile} replaces it.
 */
final class Logging {

    private Logging() {}

    static void toStandardError() {
        if (System.getProperty("logback.configurationFile") != null) {
            return;
        }
        if (LoggerFactory.getILoggerFactory() instanceof LoggerContext context) {
            context.reset();
            warnings(context);
        }
    }

    /** Warnings to standard error, but for those that commands tell in their own words. */
    static void warnings(LoggerContext context) {
        PatternLayoutEncoder encoder = new PatternLayoutEncoder();
        encoder.setContext(context);
        encoder.setPattern("%d{HH:mm:ss.SSS} %-5level %logger{30} - %msg%n%ex{short}");
        encoder.start();
        ConsoleAppender<ILoggingEvent> appender = new ConsoleAppender<>();
        appender.setContext(context);
        appender.setTarget("System.err");
        appender.setEncoder(encoder);
        appender.start();
        Logger root = context.getLogger(Logger.ROOT_LOGGER_NAME);
        root.setLevel(Level.WARN);
        root.addAppender(appender);
        // Commands say themselves, and in their own words, that they use an embedded server.
        context.getLogger("io.millrace.redis.embedded").setLevel(Level.ERROR);
        // Reconnecting is told by the command that waits for it, not once a try.
        context.getLogger("io.lettuce.core.protocol").setLevel(Level.ERROR);
        // Requests that are no HTTP are answered; a line in the log for each would be a gift to who sends them.
        context.getLogger("reactor.netty.http.server.HttpServerOperations").setLevel(Level.ERROR);
    }

    /** Shows what Millrace does. */
    static void verbose() {
        if (LoggerFactory.getILoggerFactory() instanceof LoggerContext context) {
            context.getLogger("io.millrace").setLevel(Level.DEBUG);
            context.getLogger("io.millrace.redis.embedded").setLevel(Level.DEBUG);
            context.getLogger("io.lettuce.core.protocol").setLevel(Level.WARN);
        }
    }
}
