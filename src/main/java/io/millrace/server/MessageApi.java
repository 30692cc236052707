package io.millrace.server;

import io.millrace.Millrace;
import io.millrace.queue.Delivery;
import io.millrace.queue.FacetQueue;
import io.millrace.queue.LeaseOptions;
import io.millrace.queue.Message;
import io.millrace.queue.QueueGroup;
import io.millrace.queue.Receipt;
import io.millrace.server.Shapes.Treated;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Messages over HTTP: taking them, alone or under a lease, of one queue or of several, and what becomes of leases. */
final class MessageApi {

    /** How many receipts one request may treat. */
    static final int MAX_RECEIPTS = 1_000;

    private final Millrace mill;
    private final Metrics metrics;

    MessageApi(Millrace mill, Metrics metrics) {
        this.mill = mill;
        this.metrics = metrics;
    }

    void addTo(Router router) {
        router.route("GET", "/api/queues/{name}/peek", Router.Kind.GUARDED, this::peek)
                .route("POST", "/api/pull", Router.Kind.GUARDED, this::pullFromSeveral)
                .route("POST", "/api/queues/{name}/pull", Router.Kind.GUARDED, this::pull)
                .route("POST", "/api/queues/{name}/ack", Router.Kind.GUARDED, this::acknowledge)
                .route("POST", "/api/queues/{name}/nack", Router.Kind.GUARDED, this::nack)
                .route("POST", "/api/queues/{name}/release", Router.Kind.GUARDED, this::release)
                .route("POST", "/api/queues/{name}/bury", Router.Kind.GUARDED, this::bury)
                .route("POST", "/api/queues/{name}/extend", Router.Kind.GUARDED, this::extend);
    }

    private Mono<Void> peek(Exchange exchange) {
        int n = exchange.number("n", 10, 1, LeaseOptions.MAX_BATCH_SIZE);
        return mill.queue(exchange.path("name"))
                .peek(n)
                .map(Shapes::message)
                .collectList()
                .flatMap(messages -> exchange.answer(200, Map.of("messages", messages)));
    }

    private Mono<Void> pull(Exchange exchange) {
        FacetQueue queue = mill.queue(exchange.path("name"));
        return exchange.object("n", "lease").flatMap(body -> pull(exchange, body, queue::pull, queue::lease));
    }

    private Mono<Void> pullFromSeveral(Exchange exchange) {
        return exchange.object("queues", "n", "lease").flatMap(body -> {
            QueueGroup group = mill.queues().group(weights(body.get("queues")));
            return pull(exchange, body, group::pull, group::lease);
        });
    }

    private static Map<String, Integer> weights(@Nullable Object queues) {
        if (!(queues instanceof Map<?, ?> map) || map.isEmpty() || map.size() > QueueGroup.MAX_QUEUES) {
            throw Problem.of(
                    400,
                    "bad_request",
                    "queues must be 1 to " + QueueGroup.MAX_QUEUES
                            + " names with their weights: {\"queues\": {\"high\": 3, \"low\": 1}}");
        }
        Map<String, Integer> weights = new LinkedHashMap<>();
        map.forEach((name, weight) -> weights.put(
                String.valueOf(name),
                Exchange.number("the weight of \"" + name + "\"", weight, 1, QueueGroup.MAX_WEIGHT)));
        return weights;
    }

    private interface Leasing {
        Flux<Delivery> lease(int n, LeaseOptions options);
    }

    private Mono<Void> pull(
            Exchange exchange,
            Map<String, @Nullable Object> body,
            Function<Integer, Flux<Message>> take,
            Leasing leasing) {
        int n = body.containsKey("n") ? Exchange.number("n", body.get("n"), 1, LeaseOptions.MAX_BATCH_SIZE) : 1;
        String lease = Exchange.text(body, "lease");
        Flux<Map<String, @Nullable Object>> messages = lease == null
                ? take.apply(n).map(Shapes::message)
                : leasing.lease(n, LeaseOptions.builder().lease(lease(lease)).build())
                        .map(Shapes::delivery);
        List<Map<String, @Nullable Object>> taken = new ArrayList<>();
        return messages.doOnNext(taken::add)
                .then()
                // What one partition or queue did not give must not lose what others gave; the trouble shows again with
                // the next call.
                .onErrorResume(error -> taken.isEmpty() ? Mono.error(error) : Mono.empty())
                .then(Mono.defer(() -> {
                    metrics.pulled(taken.size());
                    return exchange.answer(200, Map.of("messages", taken));
                }));
    }

    private static Duration lease(String text) {
        try {
            return LeaseOptions.builder().lease(Durations.parse(text)).build().lease();
        } catch (IllegalArgumentException e) {
            throw Problem.of(400, "bad_request", String.valueOf(e.getMessage()));
        }
    }

    private Mono<Void> acknowledge(Exchange exchange) {
        FacetQueue queue = mill.queue(exchange.path("name"));
        return exchange.object("receipts").flatMap(body -> {
            List<String> held = new ArrayList<>();
            List<String> gone = new ArrayList<>();
            return each(body, receipt -> queue.acknowledge(receipt).map(Treated::of))
                    .doOnNext(one -> (one.fate().done() ? held : gone).add(one.receipt())) // one after another
                    .then(Mono.defer(() -> {
                        metrics.acknowledged(held.size(), gone.size());
                        Map<String, Object> shape = new LinkedHashMap<>();
                        shape.put("acknowledged", held);
                        shape.put("refused", gone);
                        return exchange.answer(200, shape);
                    }));
        });
    }

    private Mono<Void> nack(Exchange exchange) {
        FacetQueue queue = mill.queue(exchange.path("name"));
        return exchange.object("receipts", "delay", "reason").flatMap(body -> {
            String delay = Exchange.text(body, "delay");
            return Mono.defer(() -> {
                        Duration later = delay == null ? Duration.ZERO : Durations.parse(delay);
                        return treat(exchange, body, receipt -> queue.nack(receipt, later, reason(body)));
                    })
                    .onErrorMap(
                            IllegalArgumentException.class,
                            e -> Problem.of(400, "bad_request", String.valueOf(e.getMessage())));
        });
    }

    private Mono<Void> release(Exchange exchange) {
        FacetQueue queue = mill.queue(exchange.path("name"));
        return exchange.object("receipts").flatMap(body -> treat(exchange, body, queue::release));
    }

    private Mono<Void> bury(Exchange exchange) {
        FacetQueue queue = mill.queue(exchange.path("name"));
        return exchange.object("receipts", "reason")
                .flatMap(body -> treat(exchange, body, receipt -> queue.bury(receipt, reason(body))));
    }

    private static String reason(Map<String, @Nullable Object> body) {
        String reason = Exchange.text(body, "reason");
        return reason == null ? "given back by its consumer" : reason;
    }

    private static Mono<Void> treat(
            Exchange exchange, Map<String, @Nullable Object> body, Function<Receipt, Mono<Boolean>> how) {
        return treated(exchange, body, receipt -> how.apply(receipt).map(Treated::of));
    }

    private Mono<Void> extend(Exchange exchange) {
        FacetQueue queue = mill.queue(exchange.path("name"));
        return exchange.object("receipts", "lease").flatMap(body -> {
            String lease = Exchange.text(body, "lease");
            if (lease == null) {
                throw Problem.of(400, "bad_request", "say for how long: {\"receipts\": [\"...\"], \"lease\": \"30s\"}");
            }
            Duration time = lease(lease);
            return treated(
                    exchange,
                    body,
                    receipt -> queue.extend(receipt, time)
                            .map(renewed -> new Treated(true, renewed))
                            .defaultIfEmpty(Treated.GONE));
        });
    }

    /** A receipt, and what became of its lease. */
    private record One(String receipt, Treated fate) {}

    private static Mono<Void> treated(
            Exchange exchange, Map<String, @Nullable Object> body, Function<Receipt, Mono<Treated>> how) {
        return each(body, how)
                .map(one -> Shapes.treated(one.receipt(), one.fate()))
                .collectList()
                .flatMap(all -> exchange.answer(200, Map.of("receipts", all)));
    }

    /** In their order; what is no receipt was never held. */
    private static Flux<One> each(Map<String, @Nullable Object> body, Function<Receipt, Mono<Treated>> how) {
        if (!(body.get("receipts") instanceof List<?> receipts)
                || receipts.size() > MAX_RECEIPTS
                || !receipts.stream().allMatch(String.class::isInstance)) {
            throw Problem.of(
                    400,
                    "bad_request",
                    "the body must be {\"receipts\": [\"...\"]} with " + MAX_RECEIPTS + " receipts at most");
        }
        return Flux.fromIterable(receipts).cast(String.class).flatMapSequential(text -> {
            Receipt receipt;
            try {
                receipt = Receipt.parse(text);
            } catch (IllegalArgumentException e) {
                return Mono.just(new One(text, Treated.GONE));
            }
            return how.apply(receipt).map(fate -> new One(text, fate));
        });
    }
}
