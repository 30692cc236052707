package io.millrace.cli;

import io.millrace.Event;
import io.millrace.Millrace;
import io.millrace.json.Json;
import io.millrace.queue.FacetQueue;
import io.millrace.queue.LeaseOptions;
import io.millrace.queue.LiveSignal;
import io.millrace.queue.Message;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;

@Command(
        name = "demo",
        description =
                "See in half a minute what Millrace does: made-up events, real queues, a real crash. Needs nothing.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  millrace demo",
            "  millrace --redis redis://localhost demo      (in a namespace of its own, removed at the end)"
        })
final class DemoCommand extends Action {

    private static final int EVENTS = 4_000;
    private static final int ROUNDS = 8;
    private static final int LEASED = 12;
    private static final int SHOWN_LIVE = 4;
    private static final Duration LEASE = Duration.ofSeconds(2);
    private static final Duration PATIENCE = Duration.ofSeconds(12);
    private static final String QUEUE = "orders";

    @Override
    boolean losesWithoutDisk() {
        return false;
    }

    @Override
    int run(Session session) {
        String namespace =
                "demo-" + Integer.toString(ThreadLocalRandom.current().nextInt(36 * 36 * 36 * 36), 36);
        Connection own = new Connection(session.address(), namespace, null, Map.of(), false);
        try (Session inside = own.quietly(session.console())) {
            try {
                return new Story(inside, session, namespace).tell();
            } finally {
                remove(inside.mill());
            }
        }
    }

    /** Leaves nothing behind on a server that is not ours. */
    private static void remove(Millrace mill) {
        Flux.just(QUEUE, "searches")
                .concatMap(name -> mill.queue(name).destroy())
                .then(mill.redis().call("UNLINK", (Object) mill.redis().keys().single("registry", "version")))
                .onErrorComplete()
                .block(PATIENCE);
    }

    /** One telling, step by step. */
    private static final class Story {

        private final Millrace mill;
        private final FacetQueue orders;
        private final Console console;
        private final Session outer;
        private final String namespace;
        private final Set<String> expected = new HashSet<>();
        private final Set<String> seen = new HashSet<>();
        private final long begin = System.nanoTime();
        private int step;

        Story(Session inside, Session outer, String namespace) {
            this.mill = inside.mill();
            this.orders = mill.queue(QUEUE);
            this.console = inside.console();
            this.outer = outer;
            this.namespace = namespace;
        }

        int tell() {
            console.say("");
            console.say(bold("Millrace demo") + "  on "
                    + (outer.isEmbedded() ? "an embedded Redis" : outer.shownAddress()) + ", namespace " + namespace);
            register();
            AtomicLong heard = new AtomicLong();
            Disposable listener = listen(heard);
            deliver();
            pullInTurns();
            List<String> lost = loseAConsumer();
            int back = workOff(lost);
            listener.dispose();
            return sum(back, lost.size(), heard.get());
        }

        private void register() {
            title("Register queues", "A queue wants events whose environment:type:name matches its pattern.");
            Map<String, String> patterns = new LinkedHashMap<>();
            patterns.put(QUEUE, ".*:order:.*");
            patterns.put("searches", ".*:page:.*google.*");
            patterns.forEach((name, pattern) -> {
                mill.queues().register(name, pattern).block();
                console.say(String.format("     %-10s %s", name, pattern));
            });
        }

        /** Shows a few live events as they come; counts all. */
        private Disposable listen(AtomicLong heard) {
            Sinks.Empty<Void> ready = Sinks.empty();
            Disposable listener = mill.listenSignals("*:signup:*")
                    .publishOn(Schedulers.boundedElastic())
                    .subscribe(signal -> {
                        if (signal instanceof LiveSignal.Listening) {
                            var unused = ready.tryEmitEmpty();
                        } else if (signal instanceof LiveSignal.Heard event && heard.incrementAndGet() <= SHOWN_LIVE) {
                            console.say(dim("     live  " + event.event().topic() + "  "
                                    + event.event().data()));
                        }
                    });
            ready.asMono().timeout(PATIENCE).block();
            return listener;
        }

        private void deliver() {
            List<Event> events = new DemoEvents().hour(EVENTS);
            title(
                    "Deliver " + count(events.size()) + " events",
                    "Four customers, one of them has nearly all the" + " traffic. Somebody listens live to *:signup:*");
            long start = System.nanoTime();
            mill.deliver(Flux.fromIterable(events))
                    .filter(delivered -> delivered.queues().contains(QUEUE))
                    .doOnNext(delivered -> expected.add(delivered.id()))
                    .then()
                    .block();
            double seconds = (System.nanoTime() - start) / 1e9;
            console.say(String.format(
                    Locale.ROOT,
                    "     %s events in %.1f s, %s of them orders; each is safe in Redis when its delivery is answered",
                    count(events.size()),
                    seconds,
                    count(expected.size())));
            pause();
        }

        private void pullInTurns() {
            title(
                    "Pull in fair turns",
                    "Facets take turns, one message each. The small ones do not wait behind the large.");
            Map<String, Long> before = waiting();
            Map<String, int[]> taken = new HashMap<>();
            for (int round = 0; round < ROUNDS; round++) {
                int now = round;
                List<Message> messages = Objects.requireNonNull(
                        orders.pull(DemoEvents.environments().size())
                                .collectList()
                                .block());
                for (Message message : messages) {
                    taken.computeIfAbsent(message.facet(), facet -> new int[ROUNDS])[now]++;
                    seen.add(message.id());
                }
            }
            table(before, taken, waiting());
            pause();
        }

        private void table(Map<String, Long> before, Map<String, int[]> taken, Map<String, Long> after) {
            StringBuilder head = new StringBuilder(String.format("     %-17s%8s  ", "facet", "waiting"));
            for (int round = 1; round <= ROUNDS; round++) {
                head.append(String.format("%4s", "r" + round));
            }
            console.say(bold(head.append(String.format("%10s", "left")).toString()));
            for (String facet : DemoEvents.environments()) {
                StringBuilder row = new StringBuilder(
                        String.format("     %-17s%8s  ", facet, count(before.getOrDefault(facet, 0L))));
                for (int count : taken.getOrDefault(facet, new int[ROUNDS])) {
                    row.append(String.format("%4s", count == 0 ? "." : String.valueOf(count)));
                }
                console.say(row.append(String.format("%10s", count(after.getOrDefault(facet, 0L))))
                        .toString());
            }
        }

        private Map<String, Long> waiting() {
            Map<String, Long> waiting = new HashMap<>();
            Waiting.forEach(orders.facets(), facet -> waiting.put(facet.facet(), facet.waiting()));
            return waiting;
        }

        /** The ids of messages that a consumer held when it was killed. */
        private List<String> loseAConsumer() {
            title(
                    "Kill a consumer",
                    "Another process takes " + LEASED + " messages under a lease of " + LEASE.toSeconds()
                            + " s. It is killed (SIGKILL) before it has done any.");
            Process worker = worker();
            List<String> held = new ArrayList<>();
            try (BufferedReader lines = worker.inputReader(StandardCharsets.UTF_8)) {
                while (held.size() < LEASED) {
                    String line = lines.readLine();
                    if (line == null) {
                        throw new CannotDoException("the consumer process ended after " + held.size() + " of " + LEASED
                                + " messages, with status " + worker.waitFor());
                    }
                    if (Json.read(line) instanceof Map<?, ?> message) {
                        held.add(String.valueOf(message.get("id")));
                    }
                }
                worker.destroyForcibly();
                if (!worker.waitFor(5, TimeUnit.SECONDS)) {
                    throw new CannotDoException("the consumer process " + worker.pid() + " cannot be killed");
                }
                console.say("     process " + worker.pid() + " held " + held.size() + " messages and is dead (status "
                        + worker.exitValue() + ")");
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new CannotDoException("interrupted");
            } finally {
                worker.destroyForcibly();
            }
            return held;
        }

        private Process worker() {
            String java = ProcessHandle.current()
                    .info()
                    .command()
                    .orElse(Path.of(System.getProperty("java.home"), "bin", "java")
                            .toString());
            String classPath = System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
            ProcessBuilder builder = new ProcessBuilder(
                    java,
                    "-XX:TieredStopAtLevel=1",
                    "-cp",
                    classPath,
                    Main.class.getName(),
                    "--namespace",
                    namespace,
                    "demo-worker",
                    QUEUE,
                    "-n",
                    String.valueOf(LEASED),
                    "--lease",
                    LEASE.toMillis() + "ms");
            builder.environment().put(Connection.VARIABLE, outer.address());
            builder.redirectError(ProcessBuilder.Redirect.DISCARD);
            try {
                return builder.start();
            } catch (IOException e) {
                throw new UncheckedIOException("the consumer process cannot be started: " + e.getMessage(), e);
            }
        }

        /** How many of the lost messages came again. */
        private int workOff(List<String> lost) {
            title(
                    "Work off the rest",
                    "A consumer of ours takes everything else meanwhile, then what the dead one held.");
            Set<String> missing = new HashSet<>(lost);
            int again = missing.size();
            LeaseOptions options = LeaseOptions.builder()
                    .lease(LEASE)
                    .pollInterval(Duration.ofMillis(250))
                    .build();
            long start = System.nanoTime();
            AtomicBoolean told = new AtomicBoolean();
            // One thread at a time sees messages, this one waits: the sets need no lock.
            Flux<Message> messages = orders.receive(options)
                    .flatMap(delivery -> delivery.ack().filter(done -> done).map(done -> delivery.message()), 64)
                    .timeout(PATIENCE, Mono.empty())
                    .publishOn(Schedulers.boundedElastic())
                    .doOnNext(message -> seen.add(message.id()))
                    .takeUntil(message -> seen.containsAll(expected));
            Waiting.forEach(messages, message -> {
                if (message.attempt() > 1 && missing.remove(message.id()) && told.compareAndSet(false, true)) {
                    console.say(String.format(
                            Locale.ROOT,
                            "     after %.1f s the messages of the dead consumer come back, attempt %d, the first is %s",
                            (System.nanoTime() - start) / 1e9,
                            message.attempt(),
                            message.event().topic()));
                }
            });
            return again - missing.size();
        }

        private int sum(int back, int killed, long heard) {
            Set<String> never = new HashSet<>(expected);
            never.removeAll(seen);
            boolean healthy = Objects.requireNonNull(orders.doctor().block()).healthy();
            boolean fine = never.isEmpty() && back == killed && healthy && heard > 0;
            title("Sum", "");
            console.say("     " + count(expected.size()) + " orders delivered, " + count(seen.size()) + " handled, "
                    + (never.isEmpty() ? green("none lost") : never.size() + " LOST") + "; " + back + " of " + killed
                    + " came back after the crash");
            console.say("     " + count(heard) + " signups heard live; the queue's doctor found "
                    + (healthy ? "nothing" : "something"));
            long millis = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begin);
            if (!console.terminal().output()) {
                Map<String, @Nullable Object> shape = new LinkedHashMap<>();
                shape.put("delivered", expected.size());
                shape.put("handled", seen.size());
                shape.put("lost", never.size());
                shape.put("heldByKilledConsumer", killed);
                shape.put("cameBack", back);
                shape.put("heardLive", heard);
                shape.put("millis", millis);
                console.data(shape);
            }
            next();
            return fine ? Main.DONE : Main.FAILED;
        }

        private void next() {
            console.say("");
            console.say(bold("Try next") + "  (millrace = java -jar target/millrace.jar)");
            console.say("     export MILLRACE_REDIS=redis://localhost:6379      or --data-dir DIR on each command");
            console.say("     millrace queue register searches '.*:page:.*google.*'");
            console.say("     millrace deliver --environment env-1 --type page --name http://google.com/q");
            console.say("     millrace queue pull searches --lease 30s");
            console.say("     millrace listen '*'                                in another terminal");
            console.say("     millrace doctor                                    is that Redis set up well?");
            console.say("     millrace serve                                     the same over HTTP, on port 8080");
            console.say("");
        }

        private void title(String title, String explained) {
            console.say("");
            console.say(bold(++step + ". " + title) + (explained.isEmpty() ? "" : "  " + dim(explained)));
        }

        /** A moment to read, if somebody does. */
        private void pause() {
            if (console.terminal().error()) {
                Mono.delay(Duration.ofMillis(1_200)).block();
            }
        }

        private static String count(long number) {
            return String.format(Locale.ROOT, "%,d", number);
        }

        private String bold(String text) {
            return styled("1", text);
        }

        private String dim(String text) {
            return styled("2", text);
        }

        private String green(String text) {
            return styled("32", text);
        }

        private String styled(String code, String text) {
            return console.terminal().colour() ? "\u001b[" + code + "m" + text + "\u001b[0m" : text;
        }
    }
}
