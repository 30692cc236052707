package io.millrace.cli;

import io.millrace.drain.Drain;
import io.millrace.drain.DrainBuilder;
import io.millrace.drain.DrainEnvironment;
import io.millrace.drain.DrainEvent;
import io.millrace.server.DrainMount;
import io.millrace.server.MillraceServer;
import io.millrace.server.ServerSettings;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
        name = "serve",
        description =
                "Serve the operations API over HTTP until SIGTERM: events, queues, live listening, health, metrics."
                        + " Receive change notifications for a drain when ROUTEMASTER_DRAIN_TOKENS or"
                        + " MILLRACE_WEBHOOK_SECRETS (lists with commas) say who may send them.",
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

    @Override
    int run(Session session) {
        ServerSettings settings =
                ServerSettings.builder().host(host).port(port).token(token()).build();
        DrainMount drain = drain(session);
        MillraceServer server = Objects.requireNonNull((drain == null
                        ? MillraceServer.start(session.mill(), settings)
                        : MillraceServer.start(session.mill(), settings, drain))
                .block());
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
        session.console().data(shape);
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
