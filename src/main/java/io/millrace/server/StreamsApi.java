package io.millrace.server;

import io.millrace.Millrace;
import io.millrace.MillraceException;
import io.millrace.stream.ChangeStream;
import io.millrace.stream.DeadLetter;
import io.millrace.stream.EntryId;
import io.millrace.stream.StreamConsumer;
import io.millrace.stream.Streams;
import io.millrace.stream.Trimmer;
import io.millrace.stream.UnregisteredConsumerException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Change streams over HTTP; {@code openapi.json} describes it. */
final class StreamsApi {

    /** How many records one request may produce, and how many entries or dead letters one answer lists. */
    static final int MAX_LISTED = 1_000;

    private static final String STREAM = "/api/streams/{name}";
    private static final String CONSUMER = STREAM + "/consumers/{consumer}";

    private final Millrace mill;

    StreamsApi(Millrace mill) {
        this.mill = mill;
    }

    void addTo(Router router) {
        router.route("GET", "/api/streams", Router.Kind.GUARDED, this::list)
                .route("GET", STREAM, Router.Kind.GUARDED, this::show)
                .route("PUT", STREAM, Router.Kind.GUARDED, this::create)
                .route("GET", STREAM + "/entries", Router.Kind.GUARDED, this::entries)
                .route("POST", STREAM + "/entries", Router.Kind.GUARDED, this::produce)
                .route("POST", STREAM + "/trim", Router.Kind.GUARDED, this::trim)
                .route("GET", STREAM + "/backfills", Router.Kind.GUARDED, this::backfills)
                .route("POST", STREAM + "/backfills/{backfill}/cancel", Router.Kind.GUARDED, this::cancelBackfill)
                .route("PUT", CONSUMER, Router.Kind.GUARDED, this::register)
                .route("DELETE", CONSUMER, Router.Kind.GUARDED, this::unregister)
                .route("GET", CONSUMER + "/members", Router.Kind.GUARDED, this::members)
                .route("POST", CONSUMER + "/seek", Router.Kind.GUARDED, this::seek)
                .route("POST", CONSUMER + "/pause", Router.Kind.GUARDED, exchange -> pause(exchange, true))
                .route("POST", CONSUMER + "/resume", Router.Kind.GUARDED, exchange -> pause(exchange, false))
                .route("GET", CONSUMER + "/dead-letters", Router.Kind.GUARDED, this::deadLetters)
                .route("POST", CONSUMER + "/dead-letters/retry", Router.Kind.GUARDED, ex -> settle(ex, true))
                .route("POST", CONSUMER + "/dead-letters/drop", Router.Kind.GUARDED, ex -> settle(ex, false));
    }

    private Mono<Void> list(Exchange exchange) {
        return mill.streams()
                .names()
                .concatMap(name -> mill.streams().stream(name).state())
                .map(StreamShapes::state)
                .collectList()
                .flatMap(states -> exchange.answer(200, Map.of("streams", states)));
    }

    private Mono<Void> show(Exchange exchange) {
        return stream(exchange)
                .state()
                .map(StreamShapes::state)
                .collectList()
                .flatMap(states -> exchange.answer(200, Map.of("shards", states)));
    }

    private Mono<Void> create(Exchange exchange) {
        return exchange.object("shards").flatMap(body -> {
            if (!(body.get("shards") instanceof Integer shards) || shards < 1 || shards > Streams.MAX_SHARDS) {
                throw Problem.of(400, "bad_request", "the body must be {\"shards\": 1 to " + Streams.MAX_SHARDS + "}");
            }
            String name = exchange.path("name");
            return mill.streams()
                    .create(name, shards)
                    .onErrorMap(
                            error -> error instanceof MillraceException failure && !failure.retryable(),
                            error -> Problem.of(409, "other_shards", String.valueOf(error.getMessage())))
                    .flatMap(created -> exchange.answer(200, Map.of("shards", shards, "created", created)));
        });
    }

    private Mono<Void> members(Exchange exchange) {
        String consumer = exchange.path("consumer");
        return stream(exchange)
                .members(consumer)
                .map(member -> StreamShapes.member(exchange.path("name"), consumer, member))
                .collectList()
                .flatMap(members -> exchange.answer(200, Map.of("members", members)));
    }

    private Mono<Void> entries(Exchange exchange) {
        int n = exchange.number("n", 10, 1, MAX_LISTED);
        EntryId after = id(Objects.requireNonNullElse(exchange.query("after"), EntryId.ZERO.toString()));
        return stream(exchange)
                .entries(after)
                .take(n)
                .map(entry -> StreamShapes.entry(exchange.path("name"), entry))
                .collectList()
                .flatMap(entries -> exchange.answer(200, Map.of("entries", entries)));
    }

    private Mono<Void> produce(Exchange exchange) {
        return exchange.object("records", "delay").flatMap(body -> {
            if (!(body.get("records") instanceof List<?> records)
                    || records.size() > MAX_LISTED
                    || records.contains(null)) {
                throw Problem.of(
                        400,
                        "bad_request",
                        "the body must be {\"records\": [...]} with " + MAX_LISTED
                                + " records at most, none of them null");
            }
            var producer = mill.streams().producer(exchange.path("name"));
            if (Boolean.TRUE.equals(body.get("delay"))) {
                return producer.delayAll(records)
                        .then(Mono.defer(() -> exchange.answer(200, Map.of("noted", records.size()))));
            }
            return producer.queueAll(records)
                    .map(ids -> ids.stream().map(EntryId::toString).toList())
                    .flatMap(ids -> exchange.answer(200, Map.of("ids", ids)));
        });
    }

    private Mono<Void> trim(Exchange exchange) {
        return exchange.object("before").flatMap(body -> {
            String before = Exchange.text(body, "before");
            Trimmer trimmer = mill.streams().trimmer(exchange.path("name"));
            return before == null
                    ? trimmer.runOnce().flatMap(report -> exchange.answer(200, StreamShapes.trimmed(report)))
                    : trimmer.before(id(before)).flatMap(removed -> exchange.answer(200, Map.of("removed", removed)));
        });
    }

    private Mono<Void> backfills(Exchange exchange) {
        return stream(exchange)
                .backfills()
                .map(StreamShapes::backfill)
                .collectList()
                .flatMap(all -> exchange.answer(200, Map.of("backfills", all)));
    }

    private Mono<Void> cancelBackfill(Exchange exchange) {
        return mill.streams()
                .backfill(exchange.path("name"), exchange.path("backfill"))
                .cancel()
                .flatMap(changed -> exchange.answer(200, Map.of("cancelled", true, "changed", changed)));
    }

    private Mono<Void> register(Exchange exchange) {
        String consumer = exchange.path("consumer");
        return exchange.object("after").flatMap(body -> {
            String after = Exchange.text(body, "after");
            ChangeStream stream = stream(exchange);
            Mono<Void> registered = after == null
                    ? stream.register(consumer)
                    : after.equals("end") ? stream.registerAtEnd(consumer) : stream.register(consumer, id(after));
            return registered.then(answerOffset(exchange));
        });
    }

    private Mono<Void> unregister(Exchange exchange) {
        return stream(exchange)
                .unregister(exchange.path("consumer"))
                .flatMap(known -> exchange.answer(200, Map.of("unregistered", known)));
    }

    private Mono<Void> seek(Exchange exchange) {
        return exchange.object("to").flatMap(body -> {
            String to = Exchange.text(body, "to");
            if (to == null) {
                throw Problem.of(400, "bad_request", "the body must be {\"to\": \"begin\", \"end\" or an entry id}");
            }
            StreamConsumer consumer = consumer(exchange);
            Mono<Void> moved = switch (to) {
                case "begin" -> consumer.seekToBeginning();
                case "end" -> consumer.seekToEnd();
                default -> consumer.seek(id(to));
            };
            return moved.onErrorMap(
                            UnregisteredConsumerException.class,
                            unknown -> Problem.of(404, "not_found", String.valueOf(unknown.getMessage())))
                    .then(answerOffset(exchange));
        });
    }

    private Mono<Void> answerOffset(Exchange exchange) {
        return Mono.defer(() -> stream(exchange).maxCommittedId(exchange.path("consumer")))
                .flatMap(offset -> exchange.answer(200, Map.of("offset", offset.toString())));
    }

    private Mono<Void> pause(Exchange exchange, boolean paused) {
        StreamConsumer consumer = consumer(exchange);
        return (paused ? consumer.pause() : consumer.resume())
                .flatMap(changed -> exchange.answer(200, Map.of("paused", paused, "changed", changed)));
    }

    private Mono<Void> deadLetters(Exchange exchange) {
        int n = exchange.number("n", 10, 1, MAX_LISTED);
        String consumer = exchange.path("consumer");
        Place after = place(Objects.requireNonNullElse(exchange.query("after"), EntryId.ZERO.toString()));
        return stream(exchange)
                .deadLetters(consumer, Objects.requireNonNullElse(after.shard(), 0), after.id())
                .take(n)
                .collectList()
                .flatMap(letters -> {
                    Map<String, @Nullable Object> answer = new LinkedHashMap<>();
                    answer.put(
                            "deadLetters",
                            letters.stream()
                                    .map(letter -> StreamShapes.deadLetter(exchange.path("name"), consumer, letter))
                                    .toList());
                    DeadLetter last = letters.isEmpty() ? null : letters.get(letters.size() - 1);
                    answer.put("next", last == null || letters.size() < n ? null : last.shard() + "/" + last.id());
                    return exchange.answer(200, answer);
                });
    }

    /**
     * Where a dead letter stands.
     *
     * @param shard {@code null}: the only one where there is such a letter
     */
    private record Place(@Nullable Integer shard, EntryId id) {}

    private Mono<Void> settle(Exchange exchange, boolean again) {
        ChangeStream stream = stream(exchange);
        String consumer = exchange.path("consumer");
        return exchange.object("letters")
                .flatMap(body -> Flux.fromIterable(letters(body))
                        .concatMap(place -> found(stream, consumer, place))
                        .collectList() // all of them are known before the first is settled
                        .flatMapMany(Flux::fromIterable)
                        .concatMap(place -> {
                            int shard = Objects.requireNonNull(place.shard());
                            return again
                                    ? stream.retry(consumer, shard, place.id())
                                    : stream.drop(consumer, shard, place.id());
                        })
                        .filter(done -> done)
                        .count()
                        .flatMap(done -> exchange.answer(200, Map.of(again ? "retried" : "dropped", done))));
    }

    private static Mono<Place> found(ChangeStream stream, String consumer, Place place) {
        if (place.shard() != null) {
            return Mono.just(place);
        }
        return stream.shardsOfDeadLetter(consumer, place.id()).collectList().mapNotNull(shards -> {
            if (shards.size() > 1) {
                throw Problem.of(
                        400,
                        "bad_request",
                        "there is a letter " + place.id() + " in shards " + shards + "; say which, such as \""
                                + shards.get(0) + "/" + place.id() + "\"");
            }
            return shards.isEmpty() ? null : new Place(shards.get(0), place.id());
        });
    }

    private static List<Place> letters(Map<String, @Nullable Object> body) {
        if (!(body.get("letters") instanceof List<?> letters)
                || letters.size() > MAX_LISTED
                || !letters.stream().allMatch(StreamsApi::isLetter)) {
            throw Problem.of(
                    400,
                    "bad_request",
                    "the body must be {\"letters\": [\"SHARD/LETTER\" or {\"letter\": \"...\", \"shard\": 0}]} with "
                            + MAX_LISTED + " letters at most");
        }
        return letters.stream()
                .map(letter -> letter instanceof Map<?, ?> shown
                        ? new Place(
                                (Integer) shown.get("shard"), id((String) Objects.requireNonNull(shown.get("letter"))))
                        : place((String) letter))
                .toList();
    }

    private static boolean isLetter(@Nullable Object letter) {
        return letter instanceof String
                || (letter instanceof Map<?, ?> shown
                        && shown.get("letter") instanceof String
                        && shown.get("shard") instanceof Integer);
    }

    /** Reads {@code SHARD/ID}, or an id alone. */
    private static Place place(String text) {
        int slash = text.indexOf('/');
        try {
            return new Place(
                    slash < 0 ? null : Integer.valueOf(text.substring(0, slash)), id(text.substring(slash + 1)));
        } catch (NumberFormatException e) {
            throw Problem.of(
                    400,
                    "bad_request",
                    "\"" + text + "\" names no letter; it is SHARD/ID, such as \"0/1790000000000-0\"");
        }
    }

    private ChangeStream stream(Exchange exchange) {
        return mill.streams().stream(exchange.path("name"));
    }

    private StreamConsumer consumer(Exchange exchange) {
        return mill.streams().consumer(exchange.path("name"), exchange.path("consumer"));
    }

    private static EntryId id(String text) {
        try {
            return EntryId.parse(text);
        } catch (IllegalArgumentException e) {
            throw Problem.of(400, "bad_request", String.valueOf(e.getMessage()));
        }
    }
}
