package io.millrace.server;

import io.millrace.Event;
import io.millrace.MalformedEventException;
import io.millrace.Millrace;
import io.millrace.json.EventCodec;
import io.millrace.json.Json;
import io.millrace.queue.Delivered;
import io.millrace.queue.LiveSignal;
import io.millrace.queue.QueueOptions;
import io.millrace.queue.Queues;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Events, registrations and live listening over HTTP; {@code openapi.json} describes it. */
final class OperationsApi {

    private static final Duration HEARTBEAT = Duration.ofSeconds(15);
    private static final String NDJSON = "application/x-ndjson";
    private static final ByteBuf HEARTBEAT_COMMENT =
            Unpooled.unreleasableBuffer(Unpooled.wrappedBuffer(": \n\n".getBytes(StandardCharsets.UTF_8)));

    private final Millrace mill;
    private final ServerSettings settings;
    private final Metrics metrics;
    private final Mono<Void> stopping;

    /** @param stopping completes when live listeners are to end */
    OperationsApi(Millrace mill, ServerSettings settings, Metrics metrics, Mono<Void> stopping) {
        this.mill = mill;
        this.settings = settings;
        this.metrics = metrics;
        this.stopping = stopping;
    }

    void addTo(Router router) {
        router.route("POST", "/api/events", Router.Kind.GUARDED, this::deliver)
                .route("GET", "/api/listen", Router.Kind.LISTENING, this::listen)
                .route("GET", "/api/queues", Router.Kind.GUARDED, this::list)
                .route("GET", "/api/queues/{name}", Router.Kind.GUARDED, this::show)
                .route("PUT", "/api/queues/{name}", Router.Kind.GUARDED, this::register)
                .route("DELETE", "/api/queues/{name}", Router.Kind.GUARDED, this::destroy)
                .route("POST", "/api/queues/{name}/unregister", Router.Kind.GUARDED, this::unregister);
    }

    private Mono<Void> deliver(Exchange exchange) {
        Function<Event, Mono<Delivered>> delivery = delivery(exchange);
        return switch (exchange.mediaType()) {
            case Exchange.JSON -> exchange.json().flatMap(body -> deliverJson(exchange, body.value(), delivery));
            case NDJSON, "application/ndjson", "application/jsonl" -> deliverLines(exchange, delivery);
            default -> Mono.error(exchange.unsupported(Exchange.JSON + " or " + NDJSON));
        };
    }

    /** At once, or as the query says: {@code after} so long, {@code at} an instant. */
    private Function<Event, Mono<Delivered>> delivery(Exchange exchange) {
        String after = exchange.query("after");
        String at = exchange.query("at");
        if (after != null && at != null) {
            throw Problem.of(400, "bad_request", "give either after or at");
        }
        if (after != null) {
            Duration delay = delay(after);
            return event -> mill.queues().deliverAfter(event, delay);
        }
        if (at != null) {
            Instant when = instant(at);
            return event -> mill.queues().deliverAt(event, when);
        }
        return mill::deliver;
    }

    private static Duration delay(String after) {
        try {
            Duration delay = Durations.parse(after);
            if (!delay.isNegative() && delay.compareTo(Queues.MAX_DELAY) <= 0) {
                return delay;
            }
        } catch (IllegalArgumentException e) {
            throw Problem.of(400, "bad_request", "after: " + e.getMessage());
        }
        throw Problem.of(400, "bad_request", "after must be up to ten years, was " + after);
    }

    private Instant instant(String at) {
        try {
            Instant when = Instant.parse(at);
            Instant last = Instant.ofEpochMilli(mill.redis().clock().millis()).plus(Queues.MAX_DELAY);
            if (when.isBefore(last)) {
                return when;
            }
        } catch (DateTimeException e) {
            throw Problem.of(
                    400, "bad_request", "at must be an instant such as 2027-01-01T08:00:00Z, was \"" + at + "\"");
        }
        throw Problem.of(400, "bad_request", "at must be within ten years, was " + at);
    }

    private Mono<Void> deliverJson(
            Exchange exchange, @Nullable Object body, Function<Event, Mono<Delivered>> delivery) {
        Intake intake = new Intake(metrics, true);
        if (body instanceof List<?> list) {
            return Flux.fromIterable(list)
                    .index()
                    .flatMapSequential(
                            item -> deliverItem(item.getT1() + 1, item.getT2(), delivery),
                            Queues.DELIVER_CONCURRENCY,
                            1)
                    .doOnNext(intake::add)
                    .onErrorMap(intake::stopped)
                    .then(Mono.defer(() -> exchange.answer(200, intake.shape())));
        }
        return event(body).flatMap(delivery).flatMap(delivered -> {
            intake.add(new EventIntake.Accepted(1, delivered));
            return exchange.answer(200, intake.shape());
        });
    }

    private static Mono<EventIntake.Outcome> deliverItem(
            long place, @Nullable Object item, Function<Event, Mono<Delivered>> delivery) {
        return event(item)
                .flatMap(delivery)
                .<EventIntake.Outcome>map(delivered -> new EventIntake.Accepted(place, delivered))
                .onErrorResume(
                        MalformedEventException.class,
                        e -> Mono.just(new EventIntake.Rejected(place, String.valueOf(e.getMessage()))));
    }

    private static Mono<Event> event(@Nullable Object value) {
        return Mono.fromSupplier(() -> EventCodec.fromPlain(value));
    }

    private Mono<Void> deliverLines(Exchange exchange, Function<Event, Mono<Delivered>> delivery) {
        LineSplitter splitter = new LineSplitter(settings.maxBodyBytes());
        Flux<LineSplitter.Line> lines = exchange.stream(settings.maxStreamBytes())
                .concatMapIterable(piece -> splitter.feed(ByteBuffer.wrap(piece)), 1)
                .concatWith(Flux.defer(() -> Flux.fromIterable(splitter.end())));
        Intake intake = new Intake(metrics, false);
        return new EventIntake(delivery, settings.maxBodyBytes())
                .deliver(lines)
                .doOnNext(intake::add)
                .onErrorMap(intake::stopped)
                .then(Mono.defer(() -> exchange.answer(200, intake.shape())));
    }

    private Mono<Void> list(Exchange exchange) {
        return QueueState.all(mill)
                .map(Shapes::summary)
                .collectList()
                .flatMap(queues -> exchange.answer(200, Map.of("queues", queues)));
    }

    private Mono<Void> show(Exchange exchange) {
        String name = exchange.path("name");
        return QueueState.of(mill, name)
                .switchIfEmpty(Mono.error(() ->
                        Problem.of(404, "unknown_queue", "queue \"" + name + "\" is not registered and holds nothing")))
                .flatMap(state -> exchange.answer(200, Shapes.details(state)));
    }

    private Mono<Void> register(Exchange exchange) {
        String name = exchange.path("name");
        return exchange.object("pattern", "limit", "overflow", "partitions").flatMap(body -> {
            String pattern = Exchange.text(body, "pattern");
            if (pattern == null) {
                throw Problem.of(400, "bad_request", "the body must be {\"pattern\": \"...\"}");
            }
            QueueOptions.Builder options = QueueOptions.builder().admission(PolicyApi.admission(body));
            if (body.containsKey("partitions")) {
                options.partitions(
                        Exchange.number("partitions", body.get("partitions"), 1, QueueOptions.MAX_PARTITIONS));
            }
            return mill.queues()
                    .register(name, pattern, options.build())
                    .flatMap(registration -> exchange.answer(200, Shapes.registration(registration)));
        });
    }

    private Mono<Void> unregister(Exchange exchange) {
        String name = exchange.path("name");
        return mill.queues().unregister(name).flatMap(done -> {
            Map<String, Object> shape = new LinkedHashMap<>();
            shape.put("queue", name);
            shape.put("unregistered", done);
            return exchange.answer(200, shape);
        });
    }

    private Mono<Void> destroy(Exchange exchange) {
        String name = exchange.path("name");
        if (!name.equals(exchange.query("confirm"))) {
            throw Problem.of(
                    400,
                    "not_confirmed",
                    "destroying a queue cannot be undone; repeat its name as ?confirm=NAME to say that you mean it");
        }
        return mill.queue(name).destroy().flatMap(removed -> {
            Map<String, Object> shape = new LinkedHashMap<>();
            shape.put("queue", name);
            shape.put("removed", removed);
            return exchange.answer(200, shape);
        });
    }

    private Mono<Void> listen(Exchange exchange) {
        String pattern = exchange.query("pattern");
        if (pattern == null || pattern.isEmpty()) {
            throw Problem.of(400, "bad_request", "say what to listen to: ?pattern=*:page:*");
        }
        Flux<ByteBuf> signals = mill.listenSignals(pattern).map(signal -> serverSentEvent(signal, pattern));
        Flux<ByteBuf> heartbeats = Flux.interval(HEARTBEAT, mill.redis().worker())
                .onBackpressureDrop()
                .map(tick -> HEARTBEAT_COMMENT.duplicate());
        Flux<ByteBuf> all = Flux.merge(1, signals, heartbeats).takeUntilOther(stopping);
        exchange.response().sse();
        return exchange.response().send(all, each -> true).then();
    }

    private static ByteBuf serverSentEvent(LiveSignal signal, String pattern) {
        String text;
        if (signal instanceof LiveSignal.Heard heard) {
            text = "event: event\ndata: " + EventCodec.text(heard.event()) + "\n\n";
        } else if (signal instanceof LiveSignal.Gap gap) {
            text = "event: gap\ndata: " + Json.text(Map.of("lost", gap.lost())) + "\n\n";
        } else {
            text = "event: listening\ndata: " + Json.text(Map.of("pattern", pattern)) + "\n\n";
        }
        return Unpooled.wrappedBuffer(text.getBytes(StandardCharsets.UTF_8));
    }
}
