package io.millrace.server;

import io.millrace.Millrace;
import io.millrace.queue.Admission;
import io.millrace.queue.DeadLetter;
import io.millrace.queue.FacetQueue;
import io.millrace.queue.Policies;
import io.millrace.queue.PolicySettings;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** How queues hand out their messages, their dead letters, and deliveries that are taken back, over HTTP. */
final class PolicyApi {

    /** How many dead letters one answer lists. */
    static final int MAX_LETTERS = 1_000;

    private final Millrace mill;

    PolicyApi(Millrace mill) {
        this.mill = mill;
    }

    void addTo(Router router) {
        router.route("GET", "/api/queues/{name}/policies", Router.Kind.GUARDED, this::show)
                .route("PATCH", "/api/queues/{name}/policies", Router.Kind.GUARDED, this::change)
                .route("GET", "/api/queues/{name}/dead-letters", Router.Kind.GUARDED, this::deadLetters)
                .route("POST", "/api/queues/{name}/dead-letters/redrive", Router.Kind.GUARDED, this::redrive)
                .route("POST", "/api/queues/{name}/dead-letters/drop", Router.Kind.GUARDED, this::drop)
                .route("POST", "/api/queues/{name}/cancel", Router.Kind.GUARDED, this::cancel)
                .route("GET", "/api/queues/{name}/load", Router.Kind.GUARDED, this::load)
                .route("POST", "/api/queues/{name}/doctor", Router.Kind.GUARDED, this::doctor);
    }

    private Mono<Void> show(Exchange exchange) {
        return answer(exchange, policies(exchange).show());
    }

    private Policies policies(Exchange exchange) {
        return mill.queue(exchange.path("name")).policies();
    }

    private static Mono<Void> answer(Exchange exchange, Mono<PolicySettings> settings) {
        return settings.flatMap(set -> exchange.answer(200, QueueShapes.policies(exchange.path("name"), set)));
    }

    private Mono<Void> change(Exchange exchange) {
        Policies policies = policies(exchange);
        return exchange.object(PolicyChange.FIELDS).flatMap(body -> {
            PolicyChange change;
            try {
                change = PolicyChange.of(policies, body);
            } catch (IllegalArgumentException e) {
                throw Problem.of(400, "bad_request", String.valueOf(e.getMessage()));
            }
            String facet = change.facet();
            return change.apply().then(answer(exchange, facet == null ? policies.show() : policies.show(facet)));
        });
    }

    /** What a registration says of limits: {@code limit} and {@code overflow}. */
    static Admission admission(Map<String, @Nullable Object> body) {
        Object limit = body.get("limit");
        String overflow = Exchange.text(body, "overflow");
        if (limit == null && overflow != null) {
            throw Problem.of(
                    400, "bad_request", "overflow says what happens at a limit, and there is none: give limit, too");
        }
        if (limit == null) {
            return Admission.UNLIMITED;
        }
        try {
            return Admission.of(
                    Exchange.number("limit", limit, 1, Admission.MAX_LIMIT),
                    overflow == null
                            ? Admission.Overflow.REJECT
                            : PolicyChange.word(Admission.Overflow.class, "overflow", overflow));
        } catch (IllegalArgumentException e) {
            throw Problem.of(400, "bad_request", String.valueOf(e.getMessage()));
        }
    }

    /** One more than asked for tells whether there are more. */
    private Mono<Void> deadLetters(Exchange exchange) {
        int n = exchange.number("n", 100, 1, MAX_LETTERS);
        String after = exchange.query("after");
        FacetQueue queue = mill.queue(exchange.path("name"));
        Flux<DeadLetter> letters;
        try {
            letters = after == null ? queue.deadLetters() : queue.deadLetters(after);
        } catch (IllegalArgumentException e) {
            throw Problem.of(400, "bad_request", "after: " + e.getMessage());
        }
        return letters.take(n + 1L).collectList().flatMap(some -> {
            List<DeadLetter> page = some.subList(0, Math.min(n, some.size()));
            Map<String, @Nullable Object> shape = new LinkedHashMap<>();
            shape.put("deadLetters", page.stream().map(QueueShapes::deadLetter).toList());
            if (some.size() > n) {
                shape.put("next", page.get(n - 1).entry());
            }
            return exchange.answer(200, shape);
        });
    }

    private Mono<Void> redrive(Exchange exchange) {
        FacetQueue queue = mill.queue(exchange.path("name"));
        return exchange.object("entries", "facet", "all")
                .doOnNext(PolicyApi::mustSayOneWay)
                .flatMap(body -> told(
                        exchange, "redriven", which(body, "", queue::redrive, queue::redriveAll, queue::redriveAll)));
    }

    private Mono<Void> drop(Exchange exchange) {
        FacetQueue queue = mill.queue(exchange.path("name"));
        return exchange.object("entries", "facet", "all", "before").flatMap(body -> {
            mustSayOneWay(body);
            String before = Exchange.text(body, "before");
            Mono<Long> dropping = before == null
                    ? which(
                            body,
                            ", {\"before\": \"168h\"}",
                            queue::dropDeadLetters,
                            queue::dropAllDeadLetters,
                            queue::dropAllDeadLetters)
                    : queue.dropDeadLettersBefore(past(before));
            return told(exchange, "dropped", dropping);
        });
    }

    private interface Some {
        Mono<Long> of(List<String> entries);
    }

    private interface OfFacet {
        Mono<Long> of(String facet);
    }

    private interface All {
        Mono<Long> of();
    }

    /** Which of two was meant cannot be known, and what is dropped is gone. */
    private static void mustSayOneWay(Map<String, @Nullable Object> body) {
        List<String> said = Stream.of("entries", "facet", "all", "before")
                .filter(field -> body.get(field) != null && !Boolean.FALSE.equals(body.get(field)))
                .toList();
        if (said.size() > 1) {
            throw Problem.of(
                    400, "bad_request", "the body must say which in one way, not by " + String.join(" and ", said));
        }
    }

    private static Mono<Long> which(
            Map<String, @Nullable Object> body, String more, Some some, OfFacet ofFacet, All all) {
        String facet = Exchange.text(body, "facet");
        if (body.get("entries") instanceof List<?> entries) {
            return some.of(texts("entries", entries));
        } else if (facet != null) {
            return ofFacet.of(facet);
        } else if (Boolean.TRUE.equals(body.get("all"))) {
            return all.of();
        }
        throw Problem.of(
                400,
                "bad_request",
                "the body must say which: {\"entries\": [\"...\"]}, {\"facet\": \"...\"}" + more
                        + " or {\"all\": true}");
    }

    private static Mono<Void> told(Exchange exchange, String word, Mono<Long> treated) {
        return treated.flatMap(count -> exchange.answer(200, Map.of(word, count)));
    }

    private Instant past(String before) {
        try {
            return Durations.past(
                    before, Instant.ofEpochMilli(mill.redis().clock().millis()));
        } catch (IllegalArgumentException e) {
            throw Problem.of(400, "bad_request", "before: " + e.getMessage());
        }
    }

    private static List<String> texts(String field, List<?> values) {
        if (values.size() > MAX_LETTERS || !values.stream().allMatch(String.class::isInstance)) {
            throw Problem.of(400, "bad_request", field + " must be up to " + MAX_LETTERS + " texts");
        }
        return values.stream().map(String.class::cast).toList();
    }

    private Mono<Void> cancel(Exchange exchange) {
        FacetQueue queue = mill.queue(exchange.path("name"));
        return exchange.object("ids").flatMap(body -> {
            if (!(body.get("ids") instanceof List<?> ids)) {
                throw Problem.of(400, "bad_request", "the body must be {\"ids\": [\"...\"]}");
            }
            Map<String, Object> shape = new LinkedHashMap<>();
            return Flux.fromIterable(texts("ids", ids))
                    .concatMap(id -> queue.cancel(id).filter(done -> done).map(done -> id))
                    .collectList()
                    .flatMap(cancelled -> {
                        shape.put("cancelled", cancelled);
                        return exchange.answer(200, shape);
                    });
        });
    }

    private Mono<Void> load(Exchange exchange) {
        int top = exchange.number("top", 10, 1, 1_000);
        return mill.queue(exchange.path("name"))
                .load(top)
                .flatMap(load -> exchange.answer(200, QueueShapes.load(load)));
    }

    private Mono<Void> doctor(Exchange exchange) {
        return mill.queue(exchange.path("name"))
                .doctor()
                .flatMap(report -> exchange.answer(200, Shapes.report(report)));
    }
}
