package io.millrace.cli;

import io.millrace.drain.Drain;
import io.millrace.drain.DrainBuilder;
import io.millrace.drain.DrainEnvironment;
import io.millrace.drain.DrainEvent;
import io.millrace.server.DrainMount;
import io.millrace.server.Durations;
import io.millrace.server.MillraceServer;
import io.millrace.server.ServerSettings;
import io.millrace.stream.Trimmer;
import io.millrace.stream.Upkeep;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.Option;

@Command(
        name = "serve",
        description =
                "Serve the operations API over HTTP until SIGTERM: events, queues, live listening, health, metrics."
                        + " Receive change notifications for a drain when ROUTEMASTER_DRAIN_TOKENS or"
                        + " MILLRACE_WEBHOOK_SECRETS (lists with commas) say who may send them."
                        + " Look after change streams: --maintain-streams, or --delayer and --trimmer.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  MILLRACE_REDIS=redis://localhost millrace serve",
            "  millrace serve --host 0.0.0.0 --port 80 --token-file /run/secrets/millrace",
            "",
            "  curl -X PUT  localhost:8080/api/queues/searches -H 'Content-Type: application/json'"
                    + " -d '{\"pattern\":\".*google.*\"}'",
            "  curl         localhost:8080/api/events --data-binary @events.ndjson -H 'Content-Type:"
                    + " application/x-ndjson'",
            "  curl -X POST localhost:8080/api/queues/searches/pull -H 'Content-Type: application/json'"
                    + " -d '{\"n\":10,\"lease\":\"30s\"}'",
            "  curl -N      'localhost:8080/api/listen?pattern=*:page:*'",
            "",
            "  ROUTEMASTER_DRAIN_TOKENS=demo millrace serve --events-to-queues",
            "  curl -u demo:x localhost:8080/events -H 'Content-Type: application/json'"
                    + " -d '[{\"topic\":\"widgets\",\"type\":\"update\",\"url\":\"https://example.com/widgets/1\",\"t\":1503000000000}]'",
            "",
            "  millrace serve --maintain-streams              # all streams: notes moved after 5m, trimmed every 30s",
            "  millrace serve --delayer products=10m --delayer orders --trimmer products=1m",
            "",
            "All of it is described at /openapi.json. A token comes from --token-file or MILLRACE_TOKEN."
        })
final class ServeCommand extends Action {

    private static final String TOKEN = "MILLRACE_TOKEN";

    @Option(
            names = "--port",
            paramLabel = "PORT",
            defaultValue = "8080",
            description = "Where to listen; 0: a free port.")
    private int port;

    @Option(
            names = "--host",
            paramLabel = "HOST",
            defaultValue = ServerSettings.DEFAULT_HOST,
            description = "Address to listen on; others than this machine's own need a token.")
    private String host;

    @Option(names = "--token-file", paramLabel = "FILE", description = "File that holds the token callers must send.")
    private @Nullable Path tokenFile;

    @Option(
            names = "--events-path",
            paramLabel = "PATH",
            defaultValue = DrainMount.DEFAULT_PATH,
            description = "Where change notifications are received: CloudEvents, Standard Webhooks, Routemaster's.")
    private String eventsPath;

    @Option(
            names = "--drain",
            paramLabel = "NAME",
            defaultValue = Drain.DEFAULT_NAME,
            description = "The drain they are for; changed URLs are marked in its dirty map.")
    private String drainName;

    @Option(
            names = "--events-to-queues",
            description = "Deliver what changed to queues as well: topic as environment, type of change, URL as name.")
    private boolean eventsToQueues;

    @Option(
            names = "--delayer",
            paramLabel = "STREAM[=DELAY]",
            description =
                    "Move repair notes of this stream when they are so old, 5m by default: longer than the longest"
                            + " transaction. May be repeated, and run in several processes. A name that has a = needs a DELAY.")
    private List<String> delayers = List.of();

    @Option(
            names = "--trimmer",
            paramLabel = "STREAM[=EVERY]",
            description = "Remove from this stream what every registered consumer has committed, every 30s by default."
                    + " May be repeated, and run in several processes.")
    private List<String> trimmers = List.of();

    @Option(
            names = "--maintain-streams",
            paramLabel = "DELAY",
            arity = "0..1",
            fallbackValue = "5m",
            showDefaultValue = Visibility.NEVER,
            description =
                    "A delayer and a trimmer for every stream there is, or will be; notes are moved when they are so"
                            + " old, 5m by default. What --delayer and --trimmer say of a stream holds for it.")
    private @Nullable Duration maintain;

    @Override
    void check() {
        times(delayers, Upkeep.DEFAULT_DELAY);
        times(trimmers, Trimmer.DEFAULT_EVERY);
    }

    @Override
    int run(Session session) {
        ServerSettings settings =
                ServerSettings.builder().host(host).port(port).token(token()).build();
        DrainMount drain = drain(session);
        Upkeep upkeep = upkeep(session);
        MillraceServer server = Objects.requireNonNull(
                MillraceServer.start(session.mill(), settings, drain, upkeep).block());
        CountDownLatch end = new CountDownLatch(1);
        Signals.onEnd(end::countDown);
        String address = "http://" + (host.contains(":") ? "[" + host + "]" : host) + ":" + server.port();
        session.console().say("listening on " + address + ", Redis at " + session.shownAddress());
        Map<String, Object> shape = new LinkedHashMap<>();
        shape.put("listening", address);
        shape.put("port", server.port());
        if (drain != null) {
            session.console().say("receiving for drain \"" + drainName + "\" at " + address + eventsPath);
            shape.put("events", address + eventsPath);
        }
        if (upkeep != null) {
            session.console().say("looking after " + kept());
        }
        try {
            session.console().data(shape);
        } catch (ClosedOutputException unread) {
            // A service that nobody reads is one all the same.
        }
        try {
            end.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        session.console()
                .say("stopping; requests under way have up to "
                        + settings.shutdownGrace().toSeconds() + " s");
        server.stop().block();
        session.console().say("stopped");
        return Main.DONE;
    }

    private @Nullable Upkeep upkeep(Session session) {
        if (maintain == null && delayers.isEmpty() && trimmers.isEmpty()) {
            return null;
        }
        Upkeep upkeep = session.mill().streams().upkeep();
        if (maintain != null) {
            upkeep = upkeep.all(maintain);
        }
        for (Map.Entry<String, Duration> each :
                times(delayers, Upkeep.DEFAULT_DELAY).entrySet()) {
            upkeep = upkeep.delayer(each.getKey(), each.getValue());
        }
        for (Map.Entry<String, Duration> each :
                times(trimmers, Trimmer.DEFAULT_EVERY).entrySet()) {
            upkeep = upkeep.trimmer(each.getKey(), each.getValue());
        }
        return upkeep;
    }

    private String kept() {
        Set<String> named = new TreeSet<>(times(delayers, Upkeep.DEFAULT_DELAY).keySet());
        named.addAll(times(trimmers, Trimmer.DEFAULT_EVERY).keySet());
        return maintain != null ? "all streams" : "streams " + String.join(", ", named);
    }

    /** Streams and what was said of each; the last = divides the two. */
    private static Map<String, Duration> times(List<String> all, Duration otherwise) {
        Map<String, Duration> times = new LinkedHashMap<>();
        for (String one : all) {
            int mark = one.lastIndexOf('=');
            times.put(
                    mark < 0 ? one : one.substring(0, mark),
                    mark < 0 ? otherwise : Durations.parse(one.substring(mark + 1)));
        }
        return times;
    }

    private @Nullable DrainMount drain(Session session) {
        DrainEnvironment senders = DrainEnvironment.of(main().environment());
        if (senders.tokens().isEmpty() && senders.webhookSecrets().isEmpty()) {
            return null;
        }
        DrainBuilder drain = session.mill()
                .drain()
                .name(drainName)
                .tokens(senders.tokens())
                .webhookSecrets(senders.webhookSecrets())
                .mapping();
        return new DrainMount((eventsToQueues ? drain.deliverToQueues(DrainEvent::topic) : drain).build(), eventsPath);
    }

    private @Nullable String token() {
        if (tokenFile == null) {
            String token = main().environment().get(TOKEN);
            return token == null || token.isEmpty() ? null : token;
        }
        try {
            return Files.readString(tokenFile).strip();
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read the token from \"" + tokenFile + "\"", e);
        }
    }
}
