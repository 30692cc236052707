package io.millrace.cli;

import io.millrace.Millrace;
import io.millrace.queue.Admission;
import io.millrace.queue.DoctorReport;
import io.millrace.queue.LeaseOptions;
import io.millrace.queue.QueueOptions;
import io.millrace.queue.Receipt;
import io.millrace.server.QueueShapes;
import io.millrace.server.QueueState;
import io.millrace.server.Shapes;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
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
            QueueCommand.ListAll.class,
            QueueCommand.Show.class,
            QueueCommand.Pull.class,
            QueueCommand.Ack.class,
            QueueCommand.Peek.class,
            QueueCommand.Destroy.class,
            QueueCommand.Doctor.class,
            QueueCommand.Load.class,
            QueueCommand.Cancel.class,
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

    /** A command about one queue. */
    abstract static class OnQueue extends Action {

        @Parameters(index = "0", paramLabel = "NAME", description = "The queue's name.")
        String name;
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
                defaultValue = "reject",
                description =
                        "What happens to one more: reject it, drop the oldest, let it replace the waiting one of its"
                                + " type and name (newest), or let its producer wait: reject, oldest, newest, wait.")
        private Admission.Overflow overflow;

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
            try {
                return limit == null ? Admission.UNLIMITED : Admission.of(limit, overflow);
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
            name = "list",
            description = "Show all registered queues: {queue, pattern, waiting, facets, inFlight, later, oldestAgeMs,"
                    + " deadLetters} each.",
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
                session.console().say(unknown(name));
                return Main.PARTLY;
            }
            session.console().data(Shapes.details(state));
            return Main.DONE;
        }
    }

    @Command(
            name = "pull",
            description = "Take messages, in turn from each facet: {queue, facet, id, attempt, receipt, event} each."
                    + " Without --lease they are gone from the queue, at most once.",
            footer = {
                "%nExamples:",
                "  millrace queue pull searches",
                "  millrace queue pull searches -n 100 --lease 5m > batch && work batch &&",
                "    millrace queue ack searches $(jq -r .receipt batch)"
            })
    static final class Pull extends OnQueue {

        @Option(names = "-n", paramLabel = "N", defaultValue = "1", description = "How many at most.")
        private int n;

        @Option(
                names = "--lease",
                paramLabel = "TIME",
                description = "Take them under a lease, such as 30s: what is not acknowledged in time comes again.")
        private @Nullable Duration lease;

        @Override
        void check() {
            if (n < 1) {
                throw usage("-n must be 1 or more, was " + n);
            }
            options();
        }

        @Override
        int run(Session session) {
            Console console = session.console();
            LeaseOptions options = options();
            int taken = 0;
            int before = -1;
            while (taken < n && taken != before) {
                before = taken;
                int now = Math.min(n - taken, LeaseOptions.MAX_BATCH_SIZE);
                List<Map<String, @Nullable Object>> batch = Objects.requireNonNull(
                        options == null
                                ? session.mill()
                                        .queue(name)
                                        .pull(now)
                                        .map(Shapes::message)
                                        .collectList()
                                        .block()
                                : session.mill()
                                        .queue(name)
                                        .lease(now, options)
                                        .map(Shapes::delivery)
                                        .collectList()
                                        .block());
                batch.forEach(console::data);
                taken += batch.size();
            }
            if (taken == 0) {
                sayIfUnknown(session, name);
            }
            return Main.DONE;
        }

        private @Nullable LeaseOptions options() {
            return lease == null ? null : LeaseOptions.builder().lease(lease).build();
        }
    }

    @Command(
            name = "ack",
            description = "Acknowledge leased messages by their receipts: {receipt, acknowledged} each."
                    + " Exit code 1 if a lease was not held any more.",
            footer = "%nExample: millrace queue ack searches 30000.20.1790000000000-0")
    static final class Ack extends OnQueue {

        @Parameters(index = "1..*", arity = "1..*", paramLabel = "RECEIPT", description = "What pull --lease gave.")
        private List<String> receipts;

        @Override
        int run(Session session) {
            boolean all = true;
            for (String receipt : receipts) {
                boolean acknowledged = acknowledge(session, receipt);
                session.console().data(Shapes.acknowledged(receipt, acknowledged));
                all &= acknowledged;
            }
            return all ? Main.DONE : Main.PARTLY;
        }

        private boolean acknowledge(Session session, String text) {
            Receipt receipt;
            try {
                receipt = Receipt.parse(text);
            } catch (IllegalArgumentException e) {
                session.console().say(String.valueOf(e.getMessage()));
                return false;
            }
            return Objects.requireNonNull(
                    session.mill().queue(name).acknowledge(receipt).block());
        }
    }

    @Command(
            name = "peek",
            description =
                    "Show the messages that pull would take, and leave them: {queue, facet, id, attempt, event} each.",
            footer = "%nExample: millrace queue peek searches -n 20")
    static final class Peek extends OnQueue {

        @Option(names = "-n", paramLabel = "N", defaultValue = "10", description = "How many at most, up to 256.")
        private int n;

        @Override
        void check() {
            if (n < 1 || n > LeaseOptions.MAX_BATCH_SIZE) {
                throw usage("-n must be 1 to " + LeaseOptions.MAX_BATCH_SIZE + ", was " + n);
            }
        }

        @Override
        int run(Session session) {
            Waiting.forEach(
                    session.mill().queue(name).peek(n),
                    message -> session.console().data(Shapes.message(message)));
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
            report.findings()
                    .forEach(finding -> session.console().say("repaired: " + finding.kind() + " " + finding.where()));
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
            return Main.DONE;
        }
    }

    @Command(
            name = "cancel",
            description = "Take delayed deliveries back by their event ids: {queue, id, cancelled} each."
                    + " Exit code 1 if one was not to come any more.",
            footer = "%nExample: millrace queue cancel reminders reminder-17")
    static final class Cancel extends OnQueue {

        @Parameters(index = "1..*", arity = "1..*", paramLabel = "ID", description = "The events' ids.")
        private List<String> ids;

        @Override
        int run(Session session) {
            boolean all = true;
            for (String id : ids) {
                boolean cancelled = Objects.requireNonNull(
                        session.mill().queue(name).cancel(id).block());
                Map<String, Object> shape = new LinkedHashMap<>();
                shape.put("queue", name);
                shape.put("id", id);
                shape.put("cancelled", cancelled);
                session.console().data(shape);
                all &= cancelled;
            }
            return all ? Main.DONE : Main.PARTLY;
        }
    }

    private static void sayIfUnknown(Session session, String name) {
        Millrace mill = session.mill();
        if (QueueState.of(mill, name).block() == null) {
            session.console().say(unknown(name));
        }
    }

    private static String unknown(String name) {
        return "queue \"" + name + "\" is not registered and holds nothing; see: millrace queue list";
    }
}
