package io.millrace.server;

import io.millrace.Event;
import io.millrace.MalformedEventException;
import io.millrace.Millrace;
import io.millrace.json.EventCodec;
import io.millrace.json.Json;
import io.millrace.queue.Delivered;
import io.millrace.queue.FacetQueue;
import io.millrace.queue.LeaseOptions;
import io.millrace.queue.LiveSignal;
import io.millrace.queue.QueueOptions;
import io.millrace.queue.Queues;
import io.millrace.queue.Receipt;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Events, queues and live listening over HTTP; {@code openapi.json} describes it. */
final class OperationsApi {

    /** How many rejected lines one answer lists; the others are counted. */
    static final int MAX_REJECTED = 1_000;

    /** How many receipts one request may acknowledge. */
    static final int MAX_RECEIPTS = 1_000;

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
                .route("POST", "/api/queues/{name}/unregister", Router.Kind.GUARDED, this::unregister)
                .route("GET", "/api/queues/{name}/peek", Router.Kind.GUARDED, this::peek)
                .route("POST", "/api/queues/{name}/pull", Router.Kind.GUARDED, this::pull)
                .route("POST", "/api/queues/{name}/ack", Router.Kind.GUARDED, this::acknowledge);
    }

    private Mono<Void> deliver(Exchange exchange) {
        return switch (exchange.mediaType()) {
            case Exchange.JSON -> exchange.json().flatMap(body -> deliverJson(exchange, body.value()));
            case NDJSON, "application/ndjson", "application/jsonl" -> deliverLines(exchange);
            default -> Mono.error(exchange.unsupported(Exchange.JSON + " or " + NDJSON));
        };
    }

    private Mono<Void> deliverJson(Exchange exchange, @Nullable Object body) {
        if (body instanceof List<?> list) {
            Intake intake = new Intake(true);
            return Flux.fromIterable(list)
                    .index()
                    .flatMapSequential(
                            item -> deliverItem(item.getT1() + 1, item.getT2()), Queues.DELIVER_CONCURRENCY, 1)
                    .doOnNext(intake::add)
                    .onErrorMap(intake::stopped)
                    .then(Mono.defer(() -> exchange.answer(200, intake.shape())));
        }
        return event(body).flatMap(mill::deliver).flatMap(delivered -> {
            Intake intake = new Intake(true);
            intake.add(new EventIntake.Accepted(1, delivered));
            return exchange.answer(200, intake.shape());
        });
    }

    private Mono<EventIntake.Outcome> deliverItem(long place, @Nullable Object item) {
        return event(item)
                .flatMap(mill::deliver)
                .<EventIntake.Outcome>map(delivered -> new EventIntake.Accepted(place, delivered))
                .onErrorResume(
                        MalformedEventException.class,
                        e -> Mono.just(new EventIntake.Rejected(place, String.valueOf(e.getMessage()))));
    }

    private static Mono<Event> event(@Nullable Object value) {
        return Mono.fromSupplier(() -> EventCodec.fromPlain(value));
    }

    private Mono<Void> deliverLines(Exchange exchange) {
        LineSplitter splitter = new LineSplitter(settings.maxBodyBytes());
        Flux<LineSplitter.Line> lines = exchange.stream(settings.maxStreamBytes())
                .concatMapIterable(piece -> splitter.feed(ByteBuffer.wrap(piece)), 1)
                .concatWith(Flux.defer(() -> Flux.fromIterable(splitter.end())));
        Intake intake = new Intake(false);
        return new EventIntake(mill, settings.maxBodyBytes())
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
        return exchange.object("n", "lease").flatMap(body -> {
            int n = body.containsKey("n") ? Exchange.number("n", body.get("n"), 1, LeaseOptions.MAX_BATCH_SIZE) : 1;
            String lease = Exchange.text(body, "lease");
            Flux<Map<String, @Nullable Object>> messages = lease == null
                    ? queue.pull(n).map(Shapes::message)
                    : queue.lease(
                                    n,
                                    LeaseOptions.builder()
                                            .lease(Durations.parse(lease))
                                            .build())
                            .map(Shapes::delivery);
            List<Map<String, @Nullable Object>> taken = new ArrayList<>();
            return messages.doOnNext(taken::add)
                    .then()
                    // What one partition did not give must not lose what others gave; the trouble shows again with the
                    // next call.
                    .onErrorResume(error -> taken.isEmpty() ? Mono.error(error) : Mono.empty())
                    .then(Mono.defer(() -> {
                        metrics.pulled(taken.size());
                        return exchange.answer(200, Map.of("messages", taken));
                    }));
        });
    }

    private Mono<Void> acknowledge(Exchange exchange) {
        FacetQueue queue = mill.queue(exchange.path("name"));
        return exchange.object("receipts").flatMap(body -> {
            if (!(body.get("receipts") instanceof List<?> receipts)
                    || receipts.size() > MAX_RECEIPTS
                    || !receipts.stream().allMatch(String.class::isInstance)) {
                throw Problem.of(
                        400,
                        "bad_request",
                        "the body must be {\"receipts\": [\"...\"]} with " + MAX_RECEIPTS + " receipts at most");
            }
            List<String> held = new ArrayList<>();
            List<String> gone = new ArrayList<>();
            return Flux.fromIterable(receipts)
                    .cast(String.class)
                    .flatMapSequential(receipt -> acknowledge(queue, receipt).map(done -> Map.entry(receipt, done)))
                    .doOnNext(one -> (one.getValue() ? held : gone).add(one.getKey())) // one after another
                    .then(Mono.defer(() -> {
                        metrics.acknowledged(held.size(), gone.size());
                        Map<String, Object> shape = new LinkedHashMap<>();
                        shape.put("acknowledged", held);
                        shape.put("refused", gone);
                        return exchange.answer(200, shape);
                    }));
        });
    }

    /** What is no receipt was never held. */
    private static Mono<Boolean> acknowledge(FacetQueue queue, String text) {
        try {
            return queue.acknowledge(Receipt.parse(text));
        } catch (IllegalArgumentException e) {
            return Mono.just(false);
        }
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

    /** What became of the events of one request. */
    private final class Intake {

        private final boolean listEvents;
        private final List<Map<String, @Nullable Object>> events = new ArrayList<>();
        private final List<Map<String, @Nullable Object>> rejected = new ArrayList<>();
        private long delivered;
        private long duplicates;
        private long bad;

        Intake(boolean listEvents) {
            this.listEvents = listEvents;
        }

        void add(EventIntake.Outcome outcome) {
            if (outcome instanceof EventIntake.Accepted accepted) {
                Delivered event = accepted.delivered();
                delivered++;
                duplicates += event.duplicateIn().isEmpty() ? 0 : 1;
                metrics.delivered(!event.duplicateIn().isEmpty());
                if (listEvents) {
                    events.add(Shapes.delivered(event));
                }
            } else if (outcome instanceof EventIntake.Rejected no) {
                bad++;
                metrics.rejected();
                if (rejected.size() < MAX_REJECTED) {
                    rejected.add(Shapes.rejected(no.line(), no.problem()));
                }
            }
        }

        Map<String, @Nullable Object> shape() {
            Map<String, @Nullable Object> shape = new LinkedHashMap<>();
            shape.put("delivered", delivered);
            shape.put("duplicates", duplicates);
            shape.put("rejected", rejected);
            if (bad > rejected.size()) {
                shape.put("rejectedInAll", bad);
            }
            if (listEvents) {
                shape.put("events", events);
            }
            return shape;
        }

        /** The failure that ended it, with what had been done. Events with ids may all be sent again. */
        Problem stopped(Throwable failure) {
            return Problem.from(failure).with("delivered", delivered).with("rejected", rejected);
        }
    }
}
