package io.millrace.drain.http;

import io.millrace.drain.Drain;
import java.time.Duration;
import java.util.function.Consumer;
import reactor.netty.http.HttpProtocol;
import reactor.netty.http.server.HttpServer;
import reactor.netty.http.server.HttpServerRoutes;

/**
 * Puts a drain on HTTP. Senders get 204 when a batch is safe; 401, 403, 404, 405, 408, 413, 415 or 400 for what is theirs to mend; 503
 * with {@code Retry-After} when it was not stored: Redis is away, or there is too much under way.
 */
public final class DrainServer {

    private static final int MAX_LINE = 8 << 10;
    private static final int MAX_HEADERS = 16 << 10;
    private static final Duration IDLE = Duration.ofSeconds(60);
    private static final int MAX_KEEP_ALIVE_REQUESTS = 1_000_000;

    private DrainServer() {}

    /**
     * A route for a server of the caller's. Give that server an {@code idleTimeout} and a {@link HeadTimeout}: Reactor Netty has none by
     * itself and waits for ever for the head of a request. Bodies are bounded here, in size and time.
     *
     * @param path such as {@code /events}; what is below it gets 404
     * @throws IllegalStateException if the drain has neither tokens nor webhook secrets
     */
    public static Consumer<HttpServerRoutes> mount(Drain drain, String path) {
        DrainEndpoint endpoint = new DrainEndpoint(drain);
        String root = checked(path);
        return routes -> routes.route(
                request -> isAt(root, DrainEndpoint.path(request)),
                (request, response) -> DrainEndpoint.path(request).equals(root)
                                || DrainEndpoint.path(request).equals(root + '/')
                        ? endpoint.handle(request, response)
                        : endpoint.nothingHere(request, response));
    }

    /**
     * A server for a drain alone, bounded throughout, on a free port of the loopback address unless told otherwise: {@code
     * DrainServer.create(drain, "/events").host("0.0.0.0").port(8080).bindNow()}.
     */
    public static HttpServer create(Drain drain, String path) {
        return HttpServer.create()
                .host("127.0.0.1")
                .port(0)
                .protocol(HttpProtocol.HTTP11)
                .forwarded(false)
                .compress(false)
                .idleTimeout(IDLE)
                .readTimeout(drain.intake().settings().bodyTimeout())
                .requestTimeout(drain.intake().settings().bodyTimeout().multipliedBy(2))
                .doOnChannelInit(new HeadTimeout(drain.intake().settings().bodyTimeout()))
                .maxKeepAliveRequests(MAX_KEEP_ALIVE_REQUESTS)
                .httpRequestDecoder(limits -> limits.maxInitialLineLength(MAX_LINE)
                        .maxHeaderSize(MAX_HEADERS)
                        .h2cMaxContentLength(0))
                .route(mount(drain, path));
    }

    private static boolean isAt(String root, String path) {
        return path.startsWith(root) && (path.length() == root.length() || path.charAt(root.length()) == '/');
    }

    private static String checked(String path) {
        if (!path.startsWith("/") || path.length() < 2 || path.endsWith("/") || path.indexOf('?') >= 0) {
            throw new IllegalArgumentException("a path to mount a drain at looks like /events, was \"" + path + "\"");
        }
        return path;
    }
}
