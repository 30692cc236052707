package io.millrace.cli;

import io.millrace.queue.Cap;
import io.millrace.queue.Cost;
import io.millrace.queue.Order;
import io.millrace.queue.Policies;
import io.millrace.queue.PolicySettings;
import io.millrace.queue.Rate;
import io.millrace.queue.Registration;
import io.millrace.server.QueueShapes;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import reactor.core.publisher.Mono;

/** How a queue hands out its messages; each command prints what is set afterwards: one for a facet, of the queue and that facet. */
final class PolicyCommands {

    private PolicyCommands() {}

    /** A command that changes something, and shows what is set then. */
    private abstract static class Change extends OnQueue {

        abstract Mono<Void> change(Policies policies);

        /** Whom it is for; null: the whole queue. */
        @Nullable
        String facet() {
            return null;
        }

        /** What else the user should know. */
        void sayMore(Session session) {}

        @Override
        int run(Session session) {
            Policies policies = session.mill().queue(name).policies();
            String facet = facet();
            PolicySettings settings = change(policies)
                    .then(facet == null ? policies.show() : policies.show(facet))
                    .block();
            session.console().data(QueueShapes.policies(name, Objects.requireNonNull(settings)));
            sayIfUnknown(session);
            sayMore(session);
            return Main.DONE;
        }
    }

    @Command(
            name = "policies",
            description =
                    "Show how a queue hands out its messages: {queue, paused, cap, capEach, rate, rateEach, order,"
                            + " cost, facets}.",
            footer = "%nExample: millrace queue policies searches | jq '.facets[] | select(.paused)'")
    static final class Show extends Change {

        @Override
        Mono<Void> change(Policies policies) {
            return Mono.empty();
        }
    }

    @Command(
            name = "weight",
            description =
                    "Give a facet another share: with weights 3 and 1 one is served three times as often. 0 pauses it.",
            footer =
                    "%nExamples:%n  millrace queue weight searches env-1 2.5%n  millrace queue weight searches env-1 1")
    static final class Weight extends Change {

        @Parameters(index = "1", paramLabel = "FACET", description = "Whose share.")
        private String facet;

        @Parameters(
                index = "2",
                paramLabel = "W",
                showDefaultValue = Visibility.NEVER, // it must be given
                description = "0, or 0.001 to 1000; everybody begins with 1.")
        private double weight;

        @Override
        String facet() {
            return facet;
        }

        @Override
        Mono<Void> change(Policies policies) {
            return policies.weight(facet, weight);
        }
    }

    /** A limit of the queue, of one facet, or of each. */
    private abstract static class Limit extends Change {

        @Parameters(
                index = "1..2",
                arity = "1..2",
                paramLabel = "[FACET] N",
                hideParamSyntax = true,
                description = "The limit, for one facet or the whole queue; none takes it away.")
        List<String> words;

        @Option(names = "--each", description = "For each facet that has none of its own, not for all together.")
        boolean each;

        @Override
        @Nullable
        String facet() {
            return words.size() == 2 ? words.get(0) : null;
        }

        String limit() {
            return words.get(words.size() - 1);
        }

        @Override
        void check() {
            if (each && facet() != null) {
                throw usage("--each is for all facets, \"" + facet() + "\" is one: give one or the other");
            }
            try {
                read();
            } catch (IllegalArgumentException e) {
                throw usage(String.valueOf(e.getMessage()));
            }
        }

        abstract void read();
    }

    @Command(
            name = "cap",
            description = "Let at most N messages be in flight: of the queue, of a facet, or of each facet.",
            footer = {
                "%nExamples:",
                "  millrace queue cap searches 100",
                "  millrace queue cap searches env-1 5",
                "  millrace queue cap searches 20 --each --elastic",
                "  millrace queue cap searches env-1 none"
            })
    static final class CapCommand extends Limit {

        @Option(names = "--elastic", description = "Only while other facets wait; an idle system is used to the full.")
        private boolean elastic;

        @Override
        void read() {
            cap();
            if (elastic && !each && facet() == null) {
                throw new IllegalArgumentException("--elastic is for facets: name one, or say --each");
            }
        }

        @Override
        Mono<Void> change(Policies policies) {
            String facet = facet();
            return each ? policies.capEach(cap()) : facet != null ? policies.cap(facet, cap()) : policies.cap(cap());
        }

        private Cap cap() {
            if (limit().equals("none")) {
                return Cap.NONE;
            }
            try {
                Cap cap = Cap.of(Integer.parseInt(limit()));
                return elastic ? cap.whileOthersWait() : cap;
            } catch (NumberFormatException e) {
                throw new IllegalArgumentException(
                        "the cap must be a number of messages, or none to take it away, was \"" + limit() + "\"");
            }
        }
    }

    @Command(
            name = "rate",
            description = "Hand out at most N messages in a time: of the queue, of a facet, or of each facet.",
            footer = {
                "%nExamples:",
                "  millrace queue rate searches 500/s",
                "  millrace queue rate searches env-1 10/m",
                "  millrace queue rate searches env-1 '600/m burst 20'",
                "  millrace queue rate searches 50 --each       (a second's)",
                "  millrace queue rate searches env-1 none"
            })
    static final class RateCommand extends Limit {

        @Override
        void read() {
            Rate.parse(limit());
        }

        @Override
        Mono<Void> change(Policies policies) {
            Rate rate = Rate.parse(limit());
            String facet = facet();
            return each ? policies.rateEach(rate) : facet != null ? policies.rate(facet, rate) : policies.rate(rate);
        }
    }

    /** Of a facet, or of the whole queue. */
    private abstract static class OfFacetOrQueue extends Change {

        @Parameters(index = "1", arity = "0..1", paramLabel = "FACET", description = "Only this facet.")
        @Nullable
        String facet;

        @Override
        @Nullable
        String facet() {
            return facet;
        }
    }

    @Command(
            name = "pause",
            description = "Hand out nothing more, of a facet or of the whole queue; leases that are held go on.",
            footer = "%nExamples:%n  millrace queue pause searches env-1%n  millrace queue pause searches")
    static final class Pause extends OfFacetOrQueue {

        @Override
        Mono<Void> change(Policies policies) {
            return facet == null ? policies.pause() : policies.pause(facet);
        }
    }

    @Command(
            name = "resume",
            description = "End a pause, or a weight of 0.",
            footer = "%nExamples:%n  millrace queue resume searches env-1%n  millrace queue resume searches")
    static final class Resume extends OfFacetOrQueue {

        @Override
        Mono<Void> change(Policies policies) {
            return facet == null ? policies.resume() : policies.resume(facet);
        }
    }

    @Command(
            name = "order",
            description =
                    "Say whether messages of a facet may overtake one that is in flight or waits to be tried again:"
                            + " free, or strict.",
            footer = "%nExample: millrace queue order payments strict")
    static final class OrderCommand extends Change {

        @Parameters(index = "1", paramLabel = "ORDER", description = "free or strict.")
        private Order order;

        @Override
        Mono<Void> change(Policies policies) {
            return policies.order(order);
        }
    }

    @Command(
            name = "cost",
            description = "Say what facets take fair shares of: messages, bytes, or time in flight.",
            footer = "%nExample: millrace queue cost exports time")
    static final class CostCommand extends Change {

        @Parameters(index = "1", paramLabel = "COST", description = "messages, bytes or time.")
        private Cost cost;

        @Override
        Mono<Void> change(Policies policies) {
            return policies.cost(cost);
        }
    }

    @Command(
            name = "limit",
            description =
                    "Let a facet have its own limit of waiting messages, in a queue that was registered with --limit.",
            footer =
                    "%nExamples:%n  millrace queue limit searches env-1 5000%n  millrace queue limit searches env-1 none")
    static final class LimitCommand extends Change {

        @Parameters(index = "1", paramLabel = "FACET", description = "Whose limit.")
        private String facet;

        @Parameters(index = "2", paramLabel = "N", description = "How many; 0: any number; none: as all the others.")
        private String limit;

        @Override
        void check() {
            read();
        }

        @Override
        String facet() {
            return facet;
        }

        @Override
        Mono<Void> change(Policies policies) {
            return policies.limitWaiting(facet, read());
        }

        @Override
        void sayMore(Session session) {
            Registration registration = session.mill()
                    .queues()
                    .registrations()
                    .filter(one -> one.queue().equals(name))
                    .blockFirst();
            if (read() > 0 && registration != null && registration.admission().limit() == 0) {
                session.console()
                        .say("queue \"" + name
                                + "\" is registered without --limit: until it has one, nothing is limited");
            }
        }

        private int read() {
            try {
                int read = limit.equals("none") ? -1 : Integer.parseInt(limit);
                if (read >= 0 || limit.equals("none")) {
                    return read;
                }
            } catch (NumberFormatException e) {
                // told below
            }
            throw usage("the limit must be a number of messages, or none, was \"" + limit + "\"");
        }
    }
}
