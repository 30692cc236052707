package io.millrace.server;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/**
 * Which request is answered by whom. A path is cut at its slashes first and decoded then, so that a name may hold any character,
 * a slash ({@code %2F}) too.
 */
final class Router {

    /** Answers a request. */
    interface Handler {
        Mono<Void> handle(Exchange exchange);
    }

    /** How a route is guarded and counted. */
    enum Kind {
        /** Needs the token, if there is one. */
        GUARDED,
        /** Everybody may ask. */
        OPEN,
        /** Needs the token, and goes on until the caller leaves. */
        LISTENING
    }

    /**
     * One kind of request.
     *
     * @param template such as {@code /api/queues/{name}}
     */
    record Route(String method, String template, Kind kind, Handler handler) {

        private List<String> segments() {
            return List.of(template.substring(1).split("/", -1));
        }
    }

    /** A route and the decoded parts of the path. */
    record Match(Route route, Map<String, String> path) {}

    private final List<Route> routes = new ArrayList<>();

    Router route(String method, String template, Kind kind, Handler handler) {
        routes.add(new Route(method, template, kind, handler));
        return this;
    }

    List<Route> routes() {
        return List.copyOf(routes);
    }

    /**
     * The route for a request.
     *
     * @throws Problem 404 if the path is unknown, 405 if only the method does not fit
     */
    Match match(String method, String uri) {
        int mark = uri.indexOf('?');
        String path = mark < 0 ? uri : uri.substring(0, mark);
        String[] segments =
                path.isEmpty() ? new String[] {""} : path.substring(1).split("/", -1);
        Set<String> allowed = new TreeSet<>();
        for (Route route : routes) {
            Map<String, String> parts = fit(route.segments(), segments);
            if (parts != null) {
                if (route.method().equals(method)) {
                    return new Match(route, parts);
                }
                allowed.add(route.method());
            }
        }
        if (allowed.isEmpty()) {
            throw Problem.of(404, "not_found", "there is nothing at this path; /openapi.json lists what there is");
        }
        throw Problem.of(405, "method_not_allowed", method + " is not for this path")
                .header("Allow", String.join(", ", allowed));
    }

    private static @Nullable Map<String, String> fit(List<String> template, String[] segments) {
        if (template.size() != segments.length) {
            return null;
        }
        Map<String, String> parts = new LinkedHashMap<>();
        for (int i = 0; i < segments.length; i++) {
            String wanted = template.get(i);
            if (wanted.startsWith("{")) {
                if (segments[i].isEmpty()) {
                    return null;
                }
                parts.put(wanted.substring(1, wanted.length() - 1), Exchange.decode(segments[i]));
            } else if (!wanted.equals(segments[i])) {
                return null;
            }
        }
        return parts;
    }
}
