package io.millrace.drain;

import io.millrace.MalformedEventException;
import io.millrace.OverloadedException;
import io.millrace.json.Notifications;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/**
 * The way into a drain, without sockets, in the order a server asks: {@link #authenticate} on the head, {@link #understands} the type,
 * {@link #authenticate(Head, byte[])} and {@link #read} with the body, {@link #store}. Thread safe.
 *
 * <p>Understood are Routemaster's batches, CloudEvents (binary, structured, batch) and Standard Webhooks; the headers tell which.
 */
public final class Intake {

    private static final Logger log = LoggerFactory.getLogger(Intake.class);

    private static final String JSON = "application/json";

    private enum Form {
        ROUTEMASTER,
        WEBHOOK,
        BINARY,
        STRUCTURED,
        BATCH
    }

    /** What became of a batch. */
    public enum Stored {
        /** It is safe now. */
        NEW,
        /** It has been safe already, or there is nothing in it. */
        KNOWN
    }

    private final Authenticator authenticator;
    private final DrainSettings settings;
    private final Store store;
    private final Sinks.Many<Authentication> outcomes = Sinks.many().multicast().directBestEffort();

    Intake(Authenticator authenticator, DrainSettings settings, Store store) {
        this.authenticator = authenticator;
        this.settings = settings;
        this.store = store;
    }

    /** Bounds for whoever reads the body. */
    public DrainSettings settings() {
        return settings;
    }

    /** Whether anybody can send at all. */
    public boolean isOpen() {
        return authenticator.hasTokens() || authenticator.hasSecrets();
    }

    /**
     * Judges the sender by the head of its request.
     *
     * @return {@code null} if that takes the body: {@link #authenticate(Head, byte[])}
     */
    public @Nullable Authentication authenticate(Head head) {
        Authentication outcome = isSigned(head)
                ? authenticator.beforeBody(
                        head.get("webhook-id"),
                        head.get("webhook-timestamp"),
                        head.get("webhook-signature"),
                        System.currentTimeMillis())
                : authenticator.basic(head.get("authorization"));
        return outcome == null ? null : told(outcome);
    }

    /** Judges the sender of a signed request. */
    public Authentication authenticate(Head head, byte[] body) {
        return told(authenticator.signed(
                required(head, "webhook-id"),
                required(head, "webhook-timestamp"),
                required(head, "webhook-signature"),
                body));
    }

    /** Whether there is a reader for this type of content. */
    public boolean understands(Head head) {
        return form(head) != null;
    }

    /**
     * Reads a body that {@link #understands} said yes to.
     *
     * @throws MalformedEventException with the reason, if it is not what it says it is; the whole batch is refused
     */
    public Incoming read(Head head, byte[] body) {
        Form form = Objects.requireNonNull(form(head), "ask understands first");
        if (form == Form.ROUTEMASTER && isSigned(head) && isObject(body)) {
            form = Form.WEBHOOK;
        }
        byte[] signedId = isSigned(head) ? bytes("w", required(head, "webhook-id")) : null;
        if (form == Form.ROUTEMASTER) {
            return incoming(signedId == null ? digest(body) : Digests.of(16, signedId), body);
        }
        List<CloudEvents.Read> events = switch (form) {
            case BINARY -> List.of(CloudEvents.binary(head, body));
            case STRUCTURED -> List.of(CloudEvents.structured(Notifications.readValue(body)));
            case BATCH -> CloudEvents.batch(Notifications.readValue(body), settings.maxEvents());
            default -> List.of(CloudEvents.webhook(Notifications.readValue(body)));
        };
        byte[] wire =
                Notifications.write(events.stream().map(CloudEvents.Read::event).toList());
        if (signedId != null) {
            return incoming(Digests.of(16, signedId), wire);
        }
        return incoming(
                form == Form.BATCH
                        ? digest(body)
                        : Digests.of(16, bytes("c", events.get(0).identity())),
                wire);
    }

    /** Of what was sent, not of what was made of it: events without a time were given that of their arrival. */
    private static byte[] digest(byte[] body) {
        return Digests.of(16, bytes("b", ""), body);
    }

    /**
     * Makes a batch safe. Callers at the same time share round trips. A repeat, after an error that says the outcome is not known, does
     * no harm.
     *
     * @return when it is safe; fails with {@link io.millrace.OverloadedException} when as many batches are stored as may be
     */
    public Mono<Stored> store(Incoming batch) {
        return batch.events() == 0 ? Mono.just(Stored.KNOWN) : store.store(batch);
    }

    /** Whether the drain held as many batches as it may a moment ago: not worth reading a body for. */
    public boolean isFull() {
        return store.isFull();
    }

    /** What {@link #store} would fail with now. */
    public OverloadedException overloaded() {
        return store.overloaded();
    }

    /** Outcomes of authentication as they happen, for whoever counts or watches them; those that come too fast are dropped. */
    Flux<Authentication> authentications() {
        return outcomes.asFlux();
    }

    private Incoming incoming(byte[] digest, byte[] wire) {
        Notifications.Summary summary = Notifications.check(wire, settings.maxEvents());
        long ahead = summary.latest() - System.currentTimeMillis();
        if (ahead > settings.maxAhead().toMillis()) {
            throw new MalformedEventException(
                    "an event is " + ahead / 1000 + " s ahead of this server's clock, more than "
                            + settings.maxAhead().toSeconds() + " s");
        }
        return new Incoming(digest, wire, summary.count());
    }

    private @Nullable Form form(Head head) {
        String type = mediaType(head.get("content-type"));
        boolean binary = head.get("ce-specversion") != null;
        return switch (type) {
            case JSON -> binary ? Form.BINARY : Form.ROUTEMASTER;
            case "application/cloudevents+json" -> Form.STRUCTURED;
            case "application/cloudevents-batch+json" -> Form.BATCH;
            case "" -> binary ? Form.BINARY : null;
            default -> null;
        };
    }

    private static String mediaType(@Nullable String type) {
        if (type == null || type.equals(JSON)) {
            return type == null ? "" : JSON;
        }
        int semicolon = type.indexOf(';');
        return (semicolon < 0 ? type : type.substring(0, semicolon)).trim().toLowerCase(Locale.ROOT);
    }

    private boolean isSigned(Head head) {
        return authenticator.hasSecrets()
                && (head.get("webhook-signature") != null
                        || (head.get("webhook-id") != null && !authenticator.hasTokens()));
    }

    private static boolean isObject(byte[] body) {
        for (byte b : body) {
            if (b > ' ') {
                return b == '{';
            }
        }
        return false;
    }

    private Authentication told(Authentication outcome) {
        if (outcome.outcome() != Authentication.Outcome.ACCEPTED) {
            log.debug("a sender was not let in: {}", outcome.reason());
        }
        if (outcomes.currentSubscriberCount() > 0) {
            synchronized (outcomes) {
                var unused = outcomes.tryEmitNext(outcome);
            }
        }
        return outcome;
    }

    private static String required(Head head, String name) {
        return Objects.requireNonNull(head.get(name), name);
    }

    private static byte[] bytes(String kind, String text) {
        return (kind + '\0' + text).getBytes(StandardCharsets.UTF_8);
    }
}
