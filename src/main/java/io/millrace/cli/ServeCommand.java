package io.millrace.cli;

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
                "Serve the operations API over HTTP until SIGTERM: events, queues, live listening, health, metrics.",
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

    @Override
    int run(Session session) {
        ServerSettings settings =
                ServerSettings.builder().host(host).port(port).token(token()).build();
        MillraceServer server = Objects.requireNonNull(
                MillraceServer.start(session.mill(), settings).block());
        CountDownLatch end = new CountDownLatch(1);
        Signals.onEnd(end::countDown);
        String address = "http://" + (host.contains(":") ? "[" + host + "]" : host) + ":" + server.port();
        session.console().say("listening on " + address + ", Redis at " + session.shownAddress());
        Map<String, Object> shape = new LinkedHashMap<>();
        shape.put("listening", address);
        shape.put("port", server.port());
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
