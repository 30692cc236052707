package io.millrace.cli;

import io.millrace.queue.Admission;
import io.millrace.queue.QueueOptions;
import io.millrace.server.QueueState;
import io.millrace.server.Shapes;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

@Command(
        name = "queue",
        description = "Register queues, look at them, take messages out.",
        mixinStandardHelpOptions = true,
        subcommands = {
            QueueCommand.Register.class,
            QueueCommand.Unregister.class,
            LookCommands.ListAll.class,
            LookCommands.Show.class,
            MessageCommands.Pull.class,
            LeaseCommands.Ack.class,
            LeaseCommands.Nack.class,
            LeaseCommands.Release.class,
            LeaseCommands.Bury.class,
            LeaseCommands.Extend.class,
            MessageCommands.Peek.class,
            QueueCommand.Destroy.class,
            LookCommands.Doctor.class,
            LookCommands.Load.class,
            MessageCommands.Cancel.class,
            PolicyCommands.Show.class,
            PolicyCommands.Weight.class,
            PolicyCommands.CapCommand.class,
            PolicyCommands.RateCommand.class,
            PolicyCommands.Pause.class,
            PolicyCommands.Resume.class,
            PolicyCommands.OrderCommand.class,
            PolicyCommands.CostCommand.class,
            PolicyCommands.LimitCommand.class,
            DeadLetterCommands.class
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  millrace queue register searches '.*:page:.*google.*'",
            "  millrace queue list",
            "  millrace queue pull searches -n 10 --lease 30s",
            "  millrace queue ack searches 30000.20.1790000000000-0",
            "  millrace queue weight searches env-1 2.5",
            "  millrace queue dead-letters redrive searches --all"
        })
final class QueueCommand implements Runnable {

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        throw new ParameterException(spec.commandLine(), "say what to do with queues: a command is missing");
    }

    @Command(
            name = "register",
            description = "Register a queue, or give it another pattern. Prints {queue, pattern[, limit,"
                    + " overflow][, partitions]}.",
            footer = {
                "%nExamples:",
                "  millrace queue register searches '.*:page:.*google.*'",
                "  millrace queue register searches '.*:page:.*' --limit 10000 --overflow oldest",
                "  millrace queue register orders '.*:order:.*' --partitions 8"
            })
    static final class Register extends OnQueue {

        @Parameters(
                index = "1",
                paramLabel = "REGEX",
                description = "RE2 regular expression that must match a whole topic, environment:type:name.")
        private String pattern;

        @Option(names = "--limit", paramLabel = "N", description = "How many messages each facet may have waiting.")
        private @Nullable Integer limit;

        @Option(
                names = "--overflow",
                paramLabel = "WHAT",
                description =
                        "What happens to one more than --limit: reject it, drop the oldest, let it replace the waiting"
                                + " one of its type and name (newest), or let its producer wait: reject, oldest,"
                                + " newest, wait. Default: reject.")
        private Admission.@Nullable Overflow overflow;

        @Option(
                names = "--partitions",
                paramLabel = "P",
                description =
                        "On how many slots of a cluster its facets are spread, 1 to 64. Stays until the queue is destroyed;"
                                + " by default what it has, 1 for a new queue.")
        private @Nullable Integer partitions;

        @Override
        void check() {
            options();
        }

        @Override
        int run(Session session) {
            session.console()
                    .data(Shapes.registration(Objects.requireNonNull(session.mill()
                            .queues()
                            .register(name, pattern, options())
                            .block())));
            return Main.DONE;
        }

        private QueueOptions options() {
            QueueOptions.Builder options = QueueOptions.builder().admission(admission());
            try {
                return (partitions == null ? options : options.partitions(partitions)).build();
            } catch (IllegalArgumentException e) {
                throw usage(String.valueOf(e.getMessage()));
            }
        }

        private Admission admission() {
            if (limit == null && overflow != null) {
                throw usage("--overflow says what happens at a limit, and there is none: give --limit, too");
            }
            try {
                return limit == null
                        ? Admission.UNLIMITED
                        : Admission.of(limit, overflow == null ? Admission.Overflow.REJECT : overflow);
            } catch (IllegalArgumentException e) {
                throw usage(String.valueOf(e.getMessage()));
            }
        }
    }

    @Command(
            name = "unregister",
            description = "Let nothing more go to a queue; what is on it stays. Prints {queue, unregistered}.",
            footer = "%nExample: millrace queue unregister searches")
    static final class Unregister extends OnQueue {

        @Override
        int run(Session session) {
            Map<String, Object> shape = new LinkedHashMap<>();
            shape.put("queue", name);
            shape.put(
                    "unregistered",
                    Objects.requireNonNull(
                            session.mill().queues().unregister(name).block()));
            session.console().data(shape);
            return Main.DONE;
        }
    }

    @Command(
            name = "destroy",
            description = "Remove a queue, its messages and its dead letters. Prints {queue, removed}.",
            footer = "%nExample: millrace queue destroy searches --yes")
    static final class Destroy extends OnQueue {

        @Option(names = "--yes", description = "Do not ask.")
        private boolean yes;

        @Override
        int run(Session session) {
            if (!yes && !confirmed(session)) {
                session.console().say("nothing was removed");
                return Main.PARTLY;
            }
            Map<String, Object> shape = new LinkedHashMap<>();
            shape.put("queue", name);
            shape.put(
                    "removed",
                    Objects.requireNonNull(session.mill().queue(name).destroy().block()));
            session.console().data(shape);
            return Main.DONE;
        }

        private boolean confirmed(Session session) {
            QueueState state = QueueState.of(session.mill(), name).block();
            long held = state == null ? 0 : state.waiting() + state.inFlight() + state.later() + state.deadLetters();
            return session.console()
                    .confirmed(
                            "Remove queue \"" + name + "\" and its " + held + " messages for good?",
                            "destroying a queue cannot be undone; --yes says that you mean it");
        }
    }
}
