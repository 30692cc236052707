package io.millrace.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** A command that works on Redis. */
@Command(mixinStandardHelpOptions = true, sortOptions = false, showDefaultValues = true)
abstract class Action implements Callable<Integer> {

    @Spec
    private CommandSpec spec;

    @Override
    public final Integer call() {
        check();
        Connection connection = main().connection();
        Console console = main().console();
        try (Session session = connection.open(console)) {
            if (losesWithoutDisk()) {
                connection.sayIfNothingLasts(console, session);
            }
            return run(session);
        }
    }

    /** Does it, and returns the exit code. May block. */
    abstract int run(Session session);

    /** Checks options that depend on each other, before anything is connected. */
    void check() {}

    /** Whether the user should be told that an embedded server without a data folder forgets what was done. */
    boolean losesWithoutDisk() {
        return true;
    }

    final Main main() {
        return (Main) spec.root().userObject();
    }

    final Console console() {
        return main().console();
    }

    final ParameterException usage(String message) {
        return new ParameterException(spec.commandLine(), message);
    }
}
