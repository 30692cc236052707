package io.millrace.cli;

import io.millrace.queue.FacetQueue;
import io.millrace.queue.LeaseOptions;
import io.millrace.queue.Receipt;
import io.millrace.server.Shapes;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import reactor.core.publisher.Mono;

/** What becomes of leases that {@code pull --lease} took, by their receipts. */
final class LeaseCommands {

    private LeaseCommands() {}

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
            return each(receipts, receipt -> {
                boolean acknowledged = acknowledge(session, receipt);
                session.console().data(Shapes.acknowledged(receipt, acknowledged));
                return acknowledged;
            });
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

    /** Ends or extends leases by their receipts; a line {receipt, done} each. */
    private abstract static class OnLeases extends OnQueue {

        @Parameters(index = "1..*", arity = "1..*", paramLabel = "RECEIPT", description = "What pull --lease gave.")
        private List<String> receipts;

        /** Whether it was done; what is renewed is the receipt from then on. */
        abstract Mono<Shapes.Treated> treat(FacetQueue queue, Receipt receipt);

        @Override
        int run(Session session) {
            FacetQueue queue = session.mill().queue(name);
            return each(receipts, text -> {
                Shapes.Treated treated = Shapes.Treated.GONE;
                try {
                    treated = Objects.requireNonNull(
                            treat(queue, Receipt.parse(text)).block());
                } catch (IllegalArgumentException e) {
                    session.console().say(String.valueOf(e.getMessage()));
                }
                session.console().data(Shapes.treated(text, treated));
                return treated.done();
            });
        }
    }

    @Command(
            name = "nack",
            description =
                    "Give leased messages back as failed attempts: {receipt, done} each. Exit code 1 if a lease was"
                            + " not held any more.",
            footer = "%nExample: millrace queue nack searches 30000.20.1790000000000-0 --delay 1m")
    static final class Nack extends OnLeases {

        @Option(names = "--delay", paramLabel = "TIME", description = "Keep them back so long, such as 1m.")
        private Duration delay = Duration.ZERO;

        @Option(names = "--reason", paramLabel = "TEXT", description = "What the dead letter they may become says.")
        private String reason = "given back by hand";

        @Override
        void check() {
            if (delay.isNegative() || delay.compareTo(FacetQueue.MAX_NACK_DELAY) > 0) {
                throw usage("--delay must be up to " + FacetQueue.MAX_NACK_DELAY.toDays() + " days, was " + delay);
            }
        }

        @Override
        Mono<Shapes.Treated> treat(FacetQueue queue, Receipt receipt) {
            return queue.nack(receipt, delay, reason).map(Shapes.Treated::of);
        }
    }

    @Command(
            name = "release",
            description = "Give leased messages back as if they had never been handed out: {receipt, done} each.",
            footer = "%nExample: millrace queue release searches 30000.20.1790000000000-0")
    static final class Release extends OnLeases {

        @Override
        Mono<Shapes.Treated> treat(FacetQueue queue, Receipt receipt) {
            return queue.release(receipt).map(Shapes.Treated::of);
        }
    }

    @Command(
            name = "bury",
            description = "Make leased messages dead letters: {receipt, done} each.",
            footer = "%nExample: millrace queue bury searches 30000.20.1790000000000-0 --reason 'cannot be parsed'")
    static final class Bury extends OnLeases {

        @Option(names = "--reason", paramLabel = "TEXT", description = "What the dead letter says.")
        private String reason = "buried by hand";

        @Override
        Mono<Shapes.Treated> treat(FacetQueue queue, Receipt receipt) {
            return queue.bury(receipt, reason).map(Shapes.Treated::of);
        }
    }

    @Command(
            name = "extend",
            description = "Begin leases anew: {receipt, done, renewed} each; renewed is the receipt from then on.",
            footer = "%nExample: millrace queue extend searches 30000.20.1790000000000-0 --lease 10m")
    static final class Extend extends OnLeases {

        @Option(names = "--lease", required = true, paramLabel = "TIME", description = "For how long from now.")
        private Duration lease;

        @Override
        void check() {
            LeaseOptions.builder().lease(lease);
        }

        @Override
        Mono<Shapes.Treated> treat(FacetQueue queue, Receipt receipt) {
            return queue.extend(receipt, lease)
                    .map(renewed -> new Shapes.Treated(true, renewed))
                    .defaultIfEmpty(Shapes.Treated.GONE);
        }
    }
}
