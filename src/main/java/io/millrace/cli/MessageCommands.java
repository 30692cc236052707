package io.millrace.cli;

import io.millrace.queue.Delivery;
import io.millrace.queue.LeaseOptions;
import io.millrace.queue.Message;
import io.millrace.queue.QueueGroup;
import io.millrace.server.Shapes;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.BiConsumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import reactor.core.publisher.Flux;

/** Commands that take messages out of a queue, or show those that come next. */
final class MessageCommands {

    private MessageCommands() {}

    @Command(
            name = "pull",
            description = "Take messages, in turn from each facet: {queue, facet, id, attempt, receipt, event} each."
                    + " Without --lease they are gone from the queue, at most once.",
            footer = {
                "%nExamples:",
                "  millrace queue pull searches",
                "  millrace queue pull searches -n 100 --lease 5m > batch && work batch &&",
                "    millrace queue ack searches $(jq -r .receipt batch)",
                "  millrace queue pull urgent searches -n 10 --weight urgent=3"
            })
    static final class Pull extends OnQueue {

        @Parameters(
                index = "1..*",
                paramLabel = "NAME",
                description = "More queues, to take from all of them by weight.")
        private List<String> more = List.of();

        @Option(
                names = "--weight",
                paramLabel = "NAME=W",
                description = "How large a queue's share is while all have messages, 1 to 1000; 1 by default.")
        private Map<String, Integer> weights = Map.of();

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
            for (String weighed : weights.keySet()) {
                if (!weighed.equals(name) && !more.contains(weighed)) {
                    throw usage("--weight is of queue \"" + weighed + "\", which is not pulled from");
                }
            }
            options();
        }

        /** Each queue that was named, and its weight; the name goes without saying when there is one. */
        private Map<String, Integer> queues() {
            Map<String, Integer> queues = new LinkedHashMap<>();
            queues.put(name, weights.getOrDefault(name, 1));
            more.forEach(one -> queues.put(one, weights.getOrDefault(one, 1)));
            return queues;
        }

        @Override
        int run(Session session) {
            LeaseOptions options = options();
            QueueGroup group = session.mill().queues().group(queues());
            int taken = 0;
            int before = -1;
            while (taken < n && taken != before) {
                before = taken;
                int now = Math.min(n - taken, LeaseOptions.MAX_BATCH_SIZE);
                taken += options == null
                        ? shown(group.pull(now), Shapes::message, session, Pull::told)
                        : shown(group.lease(now, options), Shapes::delivery, session, Pull::released);
            }
            if (taken == 0) {
                sayIfUnknown(session);
            }
            return Main.DONE;
        }

        /** Prints each; what nobody reads any more is treated otherwise. */
        private static <T> int shown(
                Flux<T> some,
                Function<T, Map<String, @Nullable Object>> shape,
                Session session,
                BiConsumer<Session, List<T>> unread) {
            List<T> batch = Objects.requireNonNull(some.collectList().block());
            for (int i = 0; i < batch.size(); i++) {
                try {
                    session.console().data(shape.apply(batch.get(i)));
                } catch (ClosedOutputException closed) {
                    unread.accept(session, batch.subList(i, batch.size()));
                    throw closed;
                }
            }
            return batch.size();
        }

        private static void told(Session session, List<Message> gone) {
            session.console()
                    .say("standard output is closed: " + gone.size()
                            + (gone.size() == 1 ? " message was" : " messages were")
                            + " taken from the queue and could not be printed; --lease would have kept them");
        }

        private static void released(Session session, List<Delivery> unread) {
            Flux.fromIterable(unread).flatMap(Delivery::release).then().block();
        }

        private @Nullable LeaseOptions options() {
            return lease == null ? null : LeaseOptions.builder().lease(lease).build();
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
            name = "cancel",
            description = "Take delayed deliveries back by their event ids: {queue, id, cancelled} each."
                    + " Exit code 1 if one was not to come any more.",
            footer = "%nExample: millrace queue cancel reminders reminder-17")
    static final class Cancel extends OnQueue {

        @Parameters(index = "1..*", arity = "1..*", paramLabel = "ID", description = "The events' ids.")
        private List<String> ids;

        @Override
        int run(Session session) {
            return each(ids, id -> {
                boolean cancelled = Objects.requireNonNull(
                        session.mill().queue(name).cancel(id).block());
                Map<String, Object> shape = new LinkedHashMap<>();
                shape.put("queue", name);
                shape.put("id", id);
                shape.put("cancelled", cancelled);
                session.console().data(shape);
                return cancelled;
            });
        }
    }
}
