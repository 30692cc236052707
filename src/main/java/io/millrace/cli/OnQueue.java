package io.millrace.cli;

import io.millrace.server.QueueState;
import java.util.List;
import java.util.Objects;
import java.util.function.Predicate;
import picocli.CommandLine.Parameters;

/** A command about one queue. */
abstract class OnQueue extends Action {

    @Parameters(index = "0", paramLabel = "NAME", description = "The queue's name.")
    String name;

    final void sayIfUnknown(Session session) {
        if (!Objects.requireNonNull(QueueState.isKnown(session.mill(), name).block())) {
            sayUnknown(session);
        }
    }

    final void sayUnknown(Session session) {
        session.console().say("queue \"" + name + "\" is not registered and holds nothing; see: millrace queue list");
    }

    /** Does something to each; whether it was done to all is the exit code. */
    static int each(List<String> all, Predicate<String> action) {
        boolean done = true;
        for (String one : all) {
            done &= action.test(one);
        }
        return done ? Main.DONE : Main.PARTLY;
    }
}
