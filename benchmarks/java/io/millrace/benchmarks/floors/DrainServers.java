package io.millrace.benchmarks.floors;

import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.drain.Drain;
import io.millrace.drain.DrainBuilder;
import io.millrace.drain.DrainSettings;
import io.millrace.drain.Head;
import io.millrace.drain.http.DrainServer;
import io.millrace.json.Notifications;
import io.millrace.redis.RedisSettings;
import java.util.concurrent.CountDownLatch;
import java.util.function.Consumer;
import reactor.core.publisher.Mono;
import reactor.netty.DisposableServer;
import reactor.netty.http.server.HttpServer;
import reactor.netty.http.server.HttpServerRequest;
import tools.jackson.databind.json.JsonMapper;

/** The servers that {@link DrainFloors} compares, each in a process of its own. */
final class DrainServers {

    /** What is done with a request before it gets 204. */
    enum Kind {
        BARE("bare Reactor Netty, body aggregated"),
        JACKSON("the same with Jackson's tree"),
        CHECK("the same with the drain's check of the batch"),
        PARSE("drain without the store: sender, parse, validate, digest"),
        STORE("drain: safe in Redis"),
        PROCESS("drain: safe in Redis, and mapped by the same process");

        private final String title;

        Kind(String title) {
            this.title = title;
        }

        String title() {
            return title;
        }
    }

    private static final JsonMapper JACKSON = new JsonMapper();

    private DrainServers() {}

    public static void main(String[] args) throws InterruptedException {
        Kind kind = Kind.valueOf(args[0]);
        Millrace mill = Millrace.connect(MillraceSettings.of(
                RedisSettings.builder(args[1]).namespace("drain-floors").build()));
        DrainBuilder builder = mill.drain()
                .tokens("demo")
                .settings(DrainSettings.builder()
                        .maxStored(10_000_000)
                        .deduplicate(DrainSettings.DEFAULT_DEDUPLICATION_WINDOW, 10_000_000)
                        .build());
        Drain drain = (kind == Kind.PROCESS ? builder.mapping() : builder).build();
        DisposableServer server = switch (kind) {
            case BARE -> plain(body -> {});
            case JACKSON -> plain(DrainServers::tree);
            case CHECK ->
                plain(body -> Notifications.check(body, DrainSettings.defaults().maxEvents()));
            case PARSE -> parsing(drain);
            case STORE, PROCESS -> DrainServer.create(drain, "/events").bindNow();
        };
        if (kind == Kind.PROCESS) {
            drain.start();
        }
        System.out.println("port " + server.port());
        System.out.flush();
        new CountDownLatch(1).await();
    }

    private static void tree(byte[] body) {
        if (!JACKSON.readTree(body).isArray()) {
            throw new IllegalArgumentException("no array");
        }
    }

    private static DisposableServer plain(Consumer<byte[]> work) {
        return HttpServer.create()
                .host("127.0.0.1")
                .port(0)
                .route(routes -> routes.post(
                        "/events",
                        (request, response) -> body(request)
                                .doOnNext(work)
                                .then(Mono.defer(
                                        () -> response.status(204).send().then()))))
                .bindNow();
    }

    private static DisposableServer parsing(Drain drain) {
        return HttpServer.create()
                .host("127.0.0.1")
                .port(0)
                .route(routes -> routes.post("/events", (request, response) -> {
                    Head head = request.requestHeaders()::get;
                    drain.intake().authenticate(head);
                    return body(request)
                            .doOnNext(body -> drain.intake().read(head, body))
                            .then(Mono.defer(() -> response.status(204).send().then()));
                }))
                .bindNow();
    }

    private static Mono<byte[]> body(HttpServerRequest request) {
        return request.receive().aggregate().asByteArray();
    }
}
