package io.millrace.cli;

import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.spi.Configurator;
import ch.qos.logback.classic.spi.ConfiguratorRank;
import ch.qos.logback.classic.util.DefaultJoranConfigurator;
import ch.qos.logback.core.spi.ContextAwareBase;

/**
 * How the runnable jar logs where nobody has said how, such as on another program's class path: warnings to standard error. Logback itself
 * would write everything to standard output. Named as a service in that jar only; a configuration file wins, as does any other service.
 */
@ConfiguratorRank(ConfiguratorRank.FALLBACK)
public final class QuietLogging extends ContextAwareBase implements Configurator {

    /** For logback. */
    public QuietLogging() {}

    @Override
    public ExecutionStatus configure(LoggerContext context) {
        DefaultJoranConfigurator files = new DefaultJoranConfigurator();
        files.setContext(context);
        ExecutionStatus found = files.configure(context);
        if (found == ExecutionStatus.DO_NOT_INVOKE_NEXT_IF_ANY) {
            return found;
        }
        Logging.warnings(context);
        return ExecutionStatus.DO_NOT_INVOKE_NEXT_IF_ANY;
    }
}
