package io.millrace.server;

import io.millrace.Millrace;
import io.millrace.queue.Admission;
import io.millrace.queue.Cap;
import io.millrace.queue.Cost;
import io.millrace.queue.DeadLetter;
import io.millrace.queue.FacetQueue;
import io.millrace.queue.Order;
import io.millrace.queue.Policies;
import io.millrace.queue.Rate;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** How queues hand out their messages, their dead letters, and deliveries that are taken back, over HTTP. */
final class PolicyApi {

    /** How many dead letters one answer lists. */
    static final int MAX_LETTERS = 1_000;

    private static final String[] FIELDS = {
        "facet", "each", "weight", "paused", "cap", "rate", "order", "cost", "limitWaiting"
    };

    private static final List<String> NOT_OF_A_FACET = List.of("order", "cost");
    private static final List<String> NOT_OF_EACH = List.of("weight", "paused", "order", "cost", "limitWaiting");

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
        String name = exchange.path("name");
        return mill.queue(name)
                .policies()
                .show()
                .flatMap(settings -> exchange.answer(200, QueueShapes.policies(name, settings)));
    }

    private Mono<Void> change(Exchange exchange) {
        Policies policies = mill.queue(exchange.path("name")).policies();
        return exchange.object(FIELDS).flatMap(body -> {
            List<Mono<Void>> changes;
            try {
                changes = changes(policies, body);
            } catch (IllegalArgumentException e) {
                throw Problem.of(400, "bad_request", String.valueOf(e.getMessage()));
            }
            return Flux.concat(changes).then(Mono.defer(() -> show(exchange)));
        });
    }

    /** All are checked before the first is made. */
    private static List<Mono<Void>> changes(Policies policies, Map<String, @Nullable Object> body) {
        String facet = Exchange.text(body, "facet");
        boolean each = flag(body, "each");
        if (each && facet != null) {
            throw new IllegalArgumentException(
                    "each is for all facets, \"" + facet + "\" is one: give one or the other");
        }
        if (each || facet != null) {
            for (String field : each ? NOT_OF_EACH : NOT_OF_A_FACET) {
                if (body.containsKey(field)) {
                    throw new IllegalArgumentException(
                            field + " cannot be set for " + (each ? "each facet" : "a facet") + ": ask for it apart");
                }
            }
        }
        List<Mono<Void>> changes = new ArrayList<>();
        if (body.containsKey("weight")) {
            changes.add(policies.weight(named(facet, "weight"), decimal(body.get("weight"))));
        }
        if (body.containsKey("limitWaiting")) {
            Object limit = body.get("limitWaiting");
            changes.add(policies.limitWaiting(
                    named(facet, "limitWaiting"),
                    limit == null ? -1 : Exchange.number("limitWaiting", limit, 0, Integer.MAX_VALUE)));
        }
        if (body.containsKey("cap")) {
            Cap cap = cap(body.get("cap"));
            changes.add(each ? policies.capEach(cap) : facet != null ? policies.cap(facet, cap) : policies.cap(cap));
        }
        if (body.containsKey("rate")) {
            Rate rate = rate(body.get("rate"));
            changes.add(
                    each ? policies.rateEach(rate) : facet != null ? policies.rate(facet, rate) : policies.rate(rate));
        }
        if (body.containsKey("paused")) {
            boolean paused = flag(body, "paused");
            changes.add(
                    facet == null
                            ? paused ? policies.pause() : policies.resume()
                            : paused ? policies.pause(facet) : policies.resume(facet));
        }
        String order = Exchange.text(body, "order");
        if (order != null) {
            changes.add(policies.order(word(Order.class, "order", order)));
        }
        String cost = Exchange.text(body, "cost");
        if (cost != null) {
            changes.add(policies.cost(word(Cost.class, "cost", cost)));
        }
        if (changes.isEmpty()) {
            throw new IllegalArgumentException(
                    "the body must have at least one of weight, paused, cap, rate, order, cost,"
                            + " limitWaiting; and facet, or each, for what is not of the whole queue");
        }
        return changes;
    }

    private static boolean flag(Map<String, @Nullable Object> body, String field) {
        Object value = body.getOrDefault(field, false);
        if (value instanceof Boolean flag) {
            return flag;
        }
        throw new IllegalArgumentException(field + " must be true or false, was " + value);
    }

    private static String named(@Nullable String facet, String field) {
        if (facet == null) {
            throw new IllegalArgumentException(field + " is a facet's: say which in \"facet\"");
        }
        return facet;
    }

    private static double decimal(@Nullable Object value) {
        if (value instanceof Number number) {
            return number.doubleValue();
        }
        throw new IllegalArgumentException("weight must be a number, was " + value);
    }

    private static Cap cap(@Nullable Object value) {
        if (value == null) {
            return Cap.NONE;
        }
        if (value instanceof Map<?, ?> map) {
            Cap cap = Cap.of(Exchange.number("cap.messages", map.get("messages"), 1, 1_000_000));
            return Boolean.TRUE.equals(map.get("elastic")) ? cap.whileOthersWait() : cap;
        }
        return Cap.of(Exchange.number("cap", value, 1, 1_000_000));
    }

    private static Rate rate(@Nullable Object value) {
        return value == null ? Rate.UNLIMITED : Rate.parse(String.valueOf(value));
    }

    private static <E extends Enum<E>> E word(Class<E> words, String field, String text) {
        for (E word : words.getEnumConstants()) {
            if (word.name().equalsIgnoreCase(text)) {
                return word;
            }
        }
        throw new IllegalArgumentException(field + " must be one of "
                + List.of(words.getEnumConstants()).toString().toLowerCase(Locale.ROOT) + ", was \"" + text + "\"");
    }

    /** What a registration says of limits: {@code limit} and {@code overflow}. */
    static Admission admission(Map<String, @Nullable Object> body) {
        Object limit = body.get("limit");
        String overflow = Exchange.text(body, "overflow");
        if (limit == null) {
            return Admission.UNLIMITED;
        }
        try {
            return Admission.of(
                    Exchange.number("limit", limit, 1, Admission.MAX_LIMIT),
                    overflow == null
                            ? Admission.Overflow.REJECT
                            : word(Admission.Overflow.class, "overflow", overflow));
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
