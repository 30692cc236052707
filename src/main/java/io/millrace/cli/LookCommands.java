package io.millrace.cli;

import io.millrace.queue.DoctorReport;
import io.millrace.server.QueueShapes;
import io.millrace.server.QueueState;
import io.millrace.server.Shapes;
import java.util.Objects;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Commands that show what queues there are and what they have. */
final class LookCommands {

    private LookCommands() {}

    @Command(
            name = "list",
            description = "Show all registered queues: {queue, pattern, waiting, facets, inFlight, later, oldestAgeMs,"
                    + " deadLetters, paused} each.",
            footer = "%nExample: millrace queue list | jq -r '.queue'")
    static final class ListAll extends Action {

        @Override
        int run(Session session) {
            Waiting.forEach(
                    QueueState.all(session.mill()), state -> session.console().data(Shapes.summary(state)));
            return Main.DONE;
        }
    }

    @Command(
            name = "show",
            description = "Show one queue and its facets, as one JSON object.",
            footer = "%nExample: millrace queue show searches | jq '.facets[] | select(.waiting > 100)'")
    static final class Show extends OnQueue {

        @Override
        int run(Session session) {
            QueueState state = QueueState.of(session.mill(), name).block();
            if (state == null) {
                sayUnknown(session);
                return Main.PARTLY;
            }
            session.console().data(Shapes.details(state));
            return Main.DONE;
        }
    }

    @Command(
            name = "doctor",
            description =
                    "Check that a queue's data are in order, and repair what is not. Exit code 1 if something was not.",
            footer = "%nExample: millrace queue doctor searches")
    static final class Doctor extends OnQueue {

        @Override
        int run(Session session) {
            DoctorReport report =
                    Objects.requireNonNull(session.mill().queue(name).doctor().block());
            session.console().data(Shapes.report(report));
            sayIfUnknown(session);
            report.findings()
                    .forEach(finding -> session.console()
                            .say("repaired: " + finding.kind() + " " + finding.where()
                                    + (finding.count() > 1 ? ", " + finding.count() + " times" : "")));
            return report.healthy() ? Main.DONE : Main.PARTLY;
        }
    }

    @Command(
            name = "load",
            description = "Show a queue at a glance, however many facets it has: {queue, facets, waiting, oldestAgeMs,"
                    + " noisiest, mostStarved, dwell}.",
            footer = "%nExample: millrace queue load searches --top 5 | jq -c '.noisiest[]'")
    static final class Load extends OnQueue {

        @Option(names = "--top", paramLabel = "N", defaultValue = "10", description = "How many facets of each kind.")
        private int top;

        @Override
        void check() {
            if (top < 1 || top > 1_000) {
                throw usage("--top must be 1 to 1000, was " + top);
            }
        }

        @Override
        int run(Session session) {
            session.console()
                    .data(QueueShapes.load(Objects.requireNonNull(
                            session.mill().queue(name).load(top).block())));
            sayIfUnknown(session);
            return Main.DONE;
        }
    }
}
