package io.millrace.server;

import io.millrace.Millrace;
import io.millrace.MillraceException;
import io.millrace.drain.http.DrainEndpoint;
import io.millrace.drain.http.HeadTimeout;
import io.millrace.json.Json;
import io.millrace.stream.Upkeep;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.util.concurrent.GlobalEventExecutor;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;
import reactor.netty.ChannelBindException;
import reactor.netty.DisposableServer;
import reactor.netty.channel.AbortedException;
import reactor.netty.http.HttpProtocol;
import reactor.netty.http.server.HttpServer;
import reactor.netty.http.server.HttpServerRequest;
import reactor.netty.http.server.HttpServerResponse;
import reactor.netty.resources.LoopResources;
import reactor.util.retry.Retry;

/**
 * Millrace over HTTP: the operations API, health, metrics, and the reception of a drain; it may look after change streams as well.
 * {@link #start} returns it when it listens; {@link #stop} ends it in order: it is not ready any more, takes no new connections, ends live listeners, lets requests under way finish, closes what is left.
 */
public final class MillraceServer {

    private static final Logger log = LoggerFactory.getLogger(MillraceServer.class);

    private static final int MAX_LINE = 8 << 10;
    private static final int MAX_HEADERS = 16 << 10;
    private static final int MAX_CONNECTIONS = 4_096;
    private static final int MAX_KEEP_ALIVE_REQUESTS = 100_000;
    private static final Duration IDLE = Duration.ofSeconds(60);
    private static final Duration WHOLE_REQUEST = Duration.ofMinutes(5);
    private static final Duration REDIS_BUDGET = Duration.ofSeconds(1);
    private static final Duration DRAIN_PAUSE = Duration.ofSeconds(5);
    private static final Duration LAST_BYTES = Duration.ofMillis(50);

    /**
     * Reactor's key for what becomes of errors that nobody waits for any more. Here: a body that breaks off when its request was
     * answered already, which must not fill the log.
     */
    private static final String ON_ERROR_DROPPED = "reactor.onErrorDropped.local";

    private final Millrace mill;
    private final @Nullable DrainMount mount;
    private final @Nullable Upkeep upkeep;
    private final Disposable.Composite running = Disposables.composite();
    private final ServerSettings settings;
    private final Access access;
    private final Router router = new Router();
    private final Metrics metrics;
    private final AtomicInteger requests = new AtomicInteger();
    private final AtomicInteger listeners = new AtomicInteger();
    private final Sinks.Empty<Void> stopping = Sinks.empty();
    private final ChannelGroup connections = new DefaultChannelGroup(GlobalEventExecutor.INSTANCE);
    private final LoopResources loops = LoopResources.create("millrace-http");
    private final byte[] openApi = resource("/openapi.json");
    private final Mono<Void> stop;
    private volatile boolean draining;
    private volatile @Nullable DisposableServer bound;

    private MillraceServer(
            Millrace mill, ServerSettings settings, @Nullable DrainMount mount, @Nullable Upkeep upkeep) {
        this.mill = mill;
        this.mount = mount;
        this.upkeep = upkeep;
        this.settings = settings;
        this.access = new Access(settings);
        this.metrics = new Metrics(mill, mount == null ? null : mount.drain(), requests, listeners);
        this.stop = Mono.defer(this::stopOnce).cache();
        new OperationsApi(mill, settings, metrics, stopping.asMono()).addTo(router);
        new MessageApi(mill, metrics).addTo(router);
        new PolicyApi(mill).addTo(router);
        new StreamsApi(mill).addTo(router);
        router.route(
                        "GET",
                        "/health/live",
                        Router.Kind.OPEN,
                        exchange -> exchange.answer(200, Map.of("status", "live")))
                .route("GET", "/health/ready", Router.Kind.OPEN, this::ready)
                .route("GET", "/metrics", Router.Kind.GUARDED, this::scrape)
                .route(
                        "GET",
                        "/openapi.json",
                        Router.Kind.OPEN,
                        exchange -> exchange.send(200, Exchange.JSON, openApi));
        if (mount != null) {
            DrainEndpoint endpoint = new DrainEndpoint(mount.drain()); // it lets in whom the drain knows
            router.route(
                    "POST",
                    mount.path(),
                    Router.Kind.OPEN,
                    exchange -> endpoint.handle(exchange.request(), exchange.response()));
        }
    }

    /**
     * Starts a server. Cold; each subscription starts one. The Millrace stays the caller's to close, after the server's end.
     *
     * @return the server, when it listens
     * @throws MillraceException in the returned Mono, if the address is taken or not this machine's
     */
    public static Mono<MillraceServer> start(Millrace mill, ServerSettings settings) {
        return start(mill, settings, null, null);
    }

    /** As {@link #start(Millrace, ServerSettings)}; it receives for a drain as well, and runs it. */
    public static Mono<MillraceServer> start(Millrace mill, ServerSettings settings, DrainMount drain) {
        return start(mill, settings, drain, null);
    }

    /** As {@link #start(Millrace, ServerSettings)}, with a drain, streams to look after, both, or neither. */
    public static Mono<MillraceServer> start(
            Millrace mill, ServerSettings settings, @Nullable DrainMount drain, @Nullable Upkeep upkeep) {
        return Mono.defer(() -> new MillraceServer(mill, settings, drain, upkeep).bind());
    }

    /** The port it listens on. */
    public int port() {
        DisposableServer server = bound;
        if (server == null) {
            throw new IllegalStateException("the server does not listen yet");
        }
        return server.port();
    }

    /** Ends the server in order; completes when the last connection is closed. May be subscribed to any number of times. */
    public Mono<Void> stop() {
        return stop;
    }

    /** For tests: what there is to ask for. */
    Router router() {
        return router;
    }

    private Mono<MillraceServer> bind() {
        return HttpServer.create()
                .host(settings.host())
                .port(settings.port())
                .runOn(loops)
                .channelGroup(connections)
                .protocol(HttpProtocol.HTTP11)
                .forwarded(false)
                .compress(false)
                .idleTimeout(IDLE)
                .readTimeout(settings.readTimeout())
                .requestTimeout(WHOLE_REQUEST)
                .doOnChannelInit(new HeadTimeout(settings.readTimeout()))
                .maxKeepAliveRequests(MAX_KEEP_ALIVE_REQUESTS)
                .httpRequestDecoder(limits -> limits.maxInitialLineLength(MAX_LINE)
                        .maxHeaderSize(MAX_HEADERS)
                        .h2cMaxContentLength(0))
                .doOnConnection(connection -> {
                    if (connections.size() > MAX_CONNECTIONS) {
                        connection.dispose();
                    }
                })
                .handle(this::handle)
                .bind()
                .<MillraceServer>map(server -> {
                    bound = server;
                    if (mount != null) {
                        running.add(process(mount));
                    }
                    if (upkeep != null) {
                        running.add(keep(upkeep));
                    }
                    return this;
                })
                .onErrorMap(ChannelBindException.class, this::cannotListen)
                .doOnError(failed -> loops.dispose());
    }

    /** Processes what the drain has stored, until the server stops: trouble that does not pass is told and tried again. */
    private static Disposable process(DrainMount mount) {
        String name = mount.drain().name();
        return mount.drain()
                .run()
                .doOnError(error -> log.error("drain \"{}\" stands still", name, error))
                .retryWhen(Retry.fixedDelay(Long.MAX_VALUE, DRAIN_PAUSE))
                .subscribe(
                        none -> {},
                        error -> log.error("drain \"{}\" has stopped", name, error),
                        () -> log.debug("drain \"{}\" has ended", name));
    }

    private Disposable keep(Upkeep streams) {
        return streams.reports()
                .subscribe(
                        metrics::kept,
                        error -> log.error("streams are no longer looked after", error),
                        () -> log.debug("looking after streams has ended"));
    }

    private MillraceException cannotListen(ChannelBindException e) {
        return new MillraceException(
                "cannot listen on " + settings.host() + ":" + settings.port() + ": "
                        + (e.getCause() == null ? e.getMessage() : e.getCause().getMessage())
                        + "; choose another address with --host and --port",
                false,
                e);
    }

    private Mono<Void> handle(HttpServerRequest request, HttpServerResponse response) {
        long begin = System.nanoTime();
        String method = request.method().name();
        response.header("X-Content-Type-Options", "nosniff").header(HttpHeaderNames.CACHE_CONTROL, "no-store");
        if (draining) {
            response.keepAlive(false);
        }
        Exchange plain = new Exchange(request, response, Map.of(), settings.maxBodyBytes());
        Router.Match match;
        try {
            match = router.match(method, request.uri());
            access.check(method, request.requestHeaders(), match.route().kind());
        } catch (Problem problem) {
            return refuse(plain, request, problem)
                    .doFinally(end -> metrics.request("other", "other", problem.status(), System.nanoTime() - begin));
        }
        Router.Route route = match.route();
        boolean listening = route.kind() == Router.Kind.LISTENING;
        AtomicInteger counted = listening ? listeners : requests;
        int limit = listening ? settings.maxListeners() : settings.maxInFlight();
        Exchange exchange = new Exchange(request, response, match.path(), settings.maxBodyBytes());
        return Mono.defer(() -> counted.incrementAndGet() > limit && route.kind() != Router.Kind.OPEN
                        ? Mono.error(Problem.passing(
                                503,
                                "overloaded",
                                limit + (listening ? " listeners are here" : " requests are under way")
                                        + ", which is the limit"))
                        : route.handler().handle(exchange))
                .onErrorResume(failure -> failed(exchange, request, response, failure))
                .doFinally(end -> {
                    counted.decrementAndGet();
                    metrics.request(method, route.template(), response.status().code(), System.nanoTime() - begin);
                })
                .contextWrite(context -> context.put(ON_ERROR_DROPPED, (Consumer<Throwable>) MillraceServer::tooLate));
    }

    private static void tooLate(Throwable failure) {
        log.debug("a body broke off after its request had been answered", failure);
    }

    private Mono<Void> failed(
            Exchange exchange, HttpServerRequest request, HttpServerResponse response, Throwable failure) {
        if (AbortedException.isConnectionReset(failure) || failure instanceof AbortedException) {
            return Mono.error(failure); // nobody is there to be answered
        }
        if (response.hasSentHeaders()) {
            log.debug("{} {} broke off after its answer had begun", request.method(), request.path(), failure);
            return Mono.error(failure);
        }
        return refuse(exchange, request, Problem.from(failure));
    }

    /** Answers with a problem. A body that is not wanted is not read to its end: the connection ends soon after the answer. */
    private Mono<Void> refuse(Exchange exchange, HttpServerRequest request, Problem problem) {
        problem.headers().forEach(exchange.response()::header);
        boolean unread = request.requestHeaders().contains(HttpHeaderNames.TRANSFER_ENCODING)
                || !request.requestHeaders()
                        .get(HttpHeaderNames.CONTENT_LENGTH, "0")
                        .equals("0");
        String instance = request.uri();
        int mark = instance.indexOf('?');
        return exchange.problem(
                problem.status(),
                Json.write(problem.shape(mark < 0 ? instance : instance.substring(0, mark))),
                unread && (problem.status() == 413 || problem.status() == 408 || problem.status() == 415));
    }

    private Mono<Void> ready(Exchange exchange) {
        if (draining) {
            return exchange.answer(503, health("stopping", null));
        }
        long begin = System.nanoTime();
        return mill.redis()
                .call("PING")
                .timeout(REDIS_BUDGET)
                .map(pong -> Duration.ofNanos(System.nanoTime() - begin).toMillis())
                .flatMap(millis -> exchange.answer(200, health("ready", Map.of("status", "up", "millis", millis))))
                .onErrorResume(
                        e -> e instanceof MillraceException || e instanceof TimeoutException,
                        away -> exchange.answer(503, health("not ready", Map.of("status", "down"))));
    }

    private static Map<String, @Nullable Object> health(String status, @Nullable Object redis) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("status", status);
        if (redis != null) {
            shape.put("redis", redis);
        }
        return shape;
    }

    private Mono<Void> scrape(Exchange exchange) {
        return metrics.scrape()
                .flatMap(text -> exchange.send(
                        200, "text/plain; version=0.0.4; charset=utf-8", text.getBytes(StandardCharsets.UTF_8)));
    }

    private Mono<Void> stopOnce() {
        draining = true;
        DisposableServer server = bound;
        if (server != null) {
            server.dispose(); // listens no more; connections stay
        }
        var unused = stopping.tryEmitEmpty();
        return idle().timeout(
                        settings.shutdownGrace(),
                        Mono.fromRunnable(() -> log.warn(
                                "{} requests did not finish within {} and are cut off",
                                requests.get() + listeners.get(),
                                settings.shutdownGrace())))
                .then(Mono.delay(LAST_BYTES))
                .then(Mono.<Void>create(sink -> connections.close().addListener(done -> sink.success())))
                .publishOn(Schedulers.boundedElastic()) // ending event loops may wait for a moment
                .then(loops.disposeLater(Duration.ZERO, Duration.ofSeconds(2)))
                .onErrorComplete()
                .doFinally(end -> {
                    running.dispose();
                    metrics.close();
                });
    }

    private Mono<Void> idle() {
        return Flux.interval(Duration.ZERO, Duration.ofMillis(10))
                .takeUntil(tick -> requests.get() == 0 && listeners.get() == 0)
                .then();
    }

    private static byte[] resource(String name) {
        try (InputStream in = MillraceServer.class.getResourceAsStream(name)) {
            if (in == null) {
                throw new IllegalStateException("the resource " + name + " is missing in this build");
            }
            return in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
