package io.millrace.cli;

import io.millrace.MillraceException;
import io.millrace.redis.embedded.EmbeddedRedisException;
import io.millrace.server.Durations;
import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;
import reactor.core.Exceptions;

/** Entry point of the runnable jar. */
@Command(
        name = "millrace",
        header = "A reactive event platform on Redis: events in, fair queues out.",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        versionProvider = Main.Version.class,
        subcommands = {
            DemoCommand.class,
            DeliverCommand.class,
            QueueCommand.class,
            StreamCommand.class,
            ListenCommand.class,
            DirtyCommand.class,
            DoctorCommand.class,
            ServeCommand.class,
            DemoWorker.class,
            CompletionCommand.class
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  millrace demo",
            "  millrace --redis redis://localhost queue register searches '.*:page:.*google.*'",
            "  millrace --redis redis://localhost deliver --environment e1 --type page --name google.com/q",
            "  millrace --redis redis://localhost queue pull searches -n 10",
            "  millrace --redis 'rediss://redis.example?cacert=/etc/ssl/redis-ca.pem' doctor",
            "  MILLRACE_REDIS=redis://localhost millrace serve --port 8080",
            "",
            "Data go to standard output as one JSON object a line, everything else to standard error.",
            "Exit codes: 0 done, 1 done in part or something was found, 2 not done,"
                    + " 141 nobody reads standard output any more."
        })
public final class Main implements Runnable {

    /** Everything was done. */
    static final int DONE = 0;

    /** Some input was bad, something was refused, or an examination found something. */
    static final int PARTLY = 1;

    /** Nothing was done: wrong usage, or Redis cannot be reached. */
    static final int FAILED = 2;

    /** Nobody reads standard output any more: what a shell reports of commands that SIGPIPE ends. Java ignores that signal. */
    static final int UNREAD = 141;

    @Spec
    private CommandSpec spec;

    @Option(
            names = "--redis",
            paramLabel = "URL",
            scope = ScopeType.INHERIT,
            showDefaultValue = Visibility.NEVER, // picocli takes what was said before a command for that
            description = "Redis to use: redis://, redis-sentinel:// or redis-cluster://."
                    + " rediss://, rediss-sentinel://, rediss-cluster:// are TLS; ?cacert=FILE names a CA that Java does not know, ?cert=FILE&key=FILE who we are."
                    + " Default: what MILLRACE_REDIS says, else an embedded server for this command alone."
                    + " A password belongs in MILLRACE_REDIS, the command line is visible to others.")
    private @Nullable String redis;

    @Option(
            names = "--namespace",
            paramLabel = "NS",
            scope = ScopeType.INHERIT,
            showDefaultValue = Visibility.NEVER,
            description = "What all keys begin with. Default: millrace.")
    private @Nullable String namespace;

    @Option(
            names = "--data-dir",
            paramLabel = "DIR",
            scope = ScopeType.INHERIT,
            showDefaultValue = Visibility.NEVER,
            description = "Where the embedded server keeps its data. Default: it keeps none.")
    private @Nullable Path dataDir;

    @Option(
            names = "--verbose",
            scope = ScopeType.INHERIT,
            description = "Log what is done, and show stack traces of failures.")
    private boolean verbose;

    private final Console console;
    private final Map<String, String> environment;

    Main(Console console, Map<String, String> environment) {
        this.console = console;
        this.environment = environment;
    }

    public static void main(String[] args) {
        Logging.toStandardError();
        PrintStream out = new PrintStream(
                new BufferedOutputStream(new FileOutputStream(FileDescriptor.out), 1 << 16),
                false,
                StandardCharsets.UTF_8);
        PrintStream err = new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8);
        Terminal terminal = Terminal.ofThisProcess(System.getenv());
        System.exit(run(new Console(System.in, out, err, terminal), System.getenv(), args));
    }

    /** Runs one command line and returns its exit code. */
    static int run(Console console, Map<String, String> environment, String... args) {
        CommandLine line = new CommandLine(new Main(console, environment));
        line.setOut(new PrintWriter(console.out(), true, StandardCharsets.UTF_8));
        line.setErr(new PrintWriter(console.err(), true, StandardCharsets.UTF_8));
        line.setColorScheme(
                CommandLine.Help.defaultColorScheme(console.terminal().colour() ? Ansi.ON : Ansi.OFF));
        line.registerConverter(Duration.class, Durations::parse);
        line.setCaseInsensitiveEnumValuesAllowed(true);
        line.setUsageHelpAutoWidth(false);
        line.setUsageHelpWidth(100);
        line.setParameterExceptionHandler(Main::wrongUsage);
        line.setExecutionExceptionHandler((failure, command, parsed) -> failed(line, failure));
        int code = line.execute(args);
        console.out().flush();
        return code;
    }

    @Override
    public void run() {
        throw new ParameterException(spec.commandLine(), "a command is missing");
    }

    Console console() {
        return console;
    }

    /** What the command line says about Redis. */
    Connection connection() {
        return new Connection(redis, namespace, dataDir, environment, verbose);
    }

    Map<String, String> environment() {
        return environment;
    }

    private static int wrongUsage(ParameterException e, String[] args) {
        CommandLine command = e.getCommandLine();
        command.getErr().println("millrace: " + oneLine(e));
        command.getErr().println("See: " + command.getCommandSpec().qualifiedName() + " --help");
        return FAILED;
    }

    private static int failed(CommandLine line, Exception thrown) {
        Throwable failure = Exceptions.unwrap(thrown);
        Main main = line.getCommand();
        if (failure instanceof ClosedOutputException) {
            return UNREAD;
        }
        boolean expected = failure instanceof MillraceException
                || failure instanceof EmbeddedRedisException
                || failure instanceof IllegalArgumentException
                || failure instanceof UncheckedIOException
                || failure instanceof CannotDoException;
        line.getErr()
                .println("millrace: " + (expected ? "" : "unexpected failure: ") + oneLine(failure)
                        + (expected || main.verbose ? "" : "; --verbose shows more"));
        if (main.verbose) {
            failure.printStackTrace(line.getErr());
        }
        return FAILED;
    }

    private static String oneLine(Throwable failure) {
        String message = failure.getMessage();
        return message == null || message.isBlank()
                ? failure.getClass().getSimpleName()
                : message.strip().replaceAll("\\s*\\R\\s*", " | ");
    }

    /** Reads the version from the jar's manifest. Classes run from a directory have none. */
    static final class Version implements IVersionProvider {

        @Override
        public String[] getVersion() {
            String version = Main.class.getPackage().getImplementationVersion();
            return new String[] {"millrace " + (version == null ? "(unpackaged)" : version)};
        }
    }
}
