package io.millrace.server;

import io.millrace.queue.Cap;
import io.millrace.queue.Cost;
import io.millrace.queue.Order;
import io.millrace.queue.Policies;
import io.millrace.queue.Rate;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** What the body of a request wants changed of a queue's policies. All of it is checked before any of it is done. */
final class PolicyChange {

    /** What a body may say. */
    static final String[] FIELDS = {"facet", "each", "weight", "paused", "cap", "rate", "order", "cost", "limitWaiting"
    };

    private static final List<String> NOT_OF_A_FACET = List.of("order", "cost");
    private static final List<String> NOT_OF_EACH = List.of("weight", "paused", "order", "cost", "limitWaiting");
    private static final List<String> CAP_FIELDS = List.of("messages", "elastic");
    private static final Set<String> RATE_FIELDS = new TreeSet<>(List.of("count", "periodMs", "burst"));

    private final Map<String, @Nullable Object> body;
    private final @Nullable String facet;
    private final boolean each;
    private final Policies policies;
    private final List<Mono<Void>> steps = new ArrayList<>();

    private PolicyChange(Policies policies, Map<String, @Nullable Object> body) {
        this.policies = policies;
        this.body = body;
        this.facet = Exchange.text(body, "facet");
        this.each = flag(body, "each");
    }

    /** @throws IllegalArgumentException if it makes no sense, with what was wrong */
    static PolicyChange of(Policies policies, Map<String, @Nullable Object> body) {
        PolicyChange change = new PolicyChange(policies, body);
        change.check();
        change.read();
        return change;
    }

    /** Whom it is for; null: the whole queue, or each facet. */
    @Nullable
    String facet() {
        return facet;
    }

    /** Makes the changes; none if the queue cannot have one of them. */
    Mono<Void> apply() {
        Mono<Void> check = facet == null && !each
                ? policies.check(
                        body.containsKey("cap") ? cap() : Cap.NONE, body.containsKey("rate") ? rate() : Rate.UNLIMITED)
                : Mono.empty();
        return check.thenMany(Flux.concat(steps)).then();
    }

    private void check() {
        if (facet == null && body.containsKey("facet")) {
            throw new IllegalArgumentException("facet must be text, was null: leave it out for the whole queue");
        }
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
    }

    private void read() {
        if (body.containsKey("weight")) {
            steps.add(policies.weight(named("weight"), weight()));
        }
        if (body.containsKey("limitWaiting")) {
            steps.add(policies.limitWaiting(named("limitWaiting"), limitWaiting()));
        }
        if (body.containsKey("cap")) {
            steps.add(
                    each ? policies.capEach(cap()) : facet != null ? policies.cap(facet, cap()) : policies.cap(cap()));
        }
        if (body.containsKey("rate")) {
            steps.add(
                    each
                            ? policies.rateEach(rate())
                            : facet != null ? policies.rate(facet, rate()) : policies.rate(rate()));
        }
        if (body.containsKey("paused")) {
            boolean paused = flag(body, "paused");
            steps.add(
                    facet == null
                            ? paused ? policies.pause() : policies.resume()
                            : paused ? policies.pause(facet) : policies.resume(facet));
        }
        if (body.containsKey("order")) {
            steps.add(policies.order(word(Order.class, "order", Exchange.text(body, "order"))));
        }
        if (body.containsKey("cost")) {
            steps.add(policies.cost(word(Cost.class, "cost", Exchange.text(body, "cost"))));
        }
        if (steps.isEmpty()) {
            throw new IllegalArgumentException(
                    "the body must have at least one of weight, paused, cap, rate, order, cost,"
                            + " limitWaiting; and facet, or each, for what is not of the whole queue");
        }
    }

    private String named(String field) {
        if (facet == null) {
            throw new IllegalArgumentException(field + " is a facet's: say which in \"facet\"");
        }
        return facet;
    }

    private double weight() {
        if (!(body.get("weight") instanceof Number number)) {
            throw new IllegalArgumentException("weight must be a number, was " + body.get("weight"));
        }
        if (number.doubleValue() == 0 && Boolean.FALSE.equals(body.get("paused"))) {
            throw new IllegalArgumentException(
                    "a weight of 0 pauses the facet, and paused says that it is not: give one or the other");
        }
        return number.doubleValue();
    }

    private int limitWaiting() {
        Object limit = body.get("limitWaiting");
        return limit == null ? -1 : Exchange.number("limitWaiting", limit, 0, Integer.MAX_VALUE);
    }

    private Cap cap() {
        Object value = body.get("cap");
        if (value == null) {
            return Cap.NONE;
        }
        if (!(value instanceof Map<?, ?> map)) {
            return Cap.of(Exchange.number("cap", value, 1, Integer.MAX_VALUE));
        }
        if (!CAP_FIELDS.containsAll(map.keySet())) {
            throw new IllegalArgumentException("cap has the fields " + map.keySet() + "; known are " + CAP_FIELDS);
        }
        Cap cap = Cap.of(Exchange.number("cap.messages", map.get("messages"), 1, Integer.MAX_VALUE));
        return flag("cap.elastic", map.containsKey("elastic") ? map.get("elastic") : false)
                ? cap.whileOthersWait()
                : cap;
    }

    private Rate rate() {
        Object value = body.get("rate");
        if (value == null) {
            return Rate.UNLIMITED;
        }
        if (!(value instanceof Map<?, ?> map)) {
            return Rate.parse(String.valueOf(value));
        }
        if (!RATE_FIELDS.equals(map.keySet())) {
            throw new IllegalArgumentException(
                    "rate has the fields " + map.keySet() + "; these must be " + RATE_FIELDS);
        }
        return new Rate(
                Exchange.number("rate.count", map.get("count"), 1, Integer.MAX_VALUE),
                Duration.ofMillis(Exchange.number("rate.periodMs", map.get("periodMs"), 1, Integer.MAX_VALUE)),
                Exchange.number("rate.burst", map.get("burst"), 1, Integer.MAX_VALUE));
    }

    private static boolean flag(Map<String, @Nullable Object> body, String field) {
        return flag(field, body.getOrDefault(field, false));
    }

    private static boolean flag(String field, @Nullable Object value) {
        if (value instanceof Boolean flag) {
            return flag;
        }
        throw new IllegalArgumentException(field + " must be true or false, was " + value);
    }

    /** One of an enum's words, in any case. */
    static <E extends Enum<E>> E word(Class<E> words, String field, @Nullable String text) {
        for (E word : words.getEnumConstants()) {
            if (word.name().equalsIgnoreCase(text)) {
                return word;
            }
        }
        throw new IllegalArgumentException(field + " must be one of "
                + List.of(words.getEnumConstants()).toString().toLowerCase(Locale.ROOT) + ", was "
                + (text == null ? "null" : "\"" + text + "\""));
    }
}
