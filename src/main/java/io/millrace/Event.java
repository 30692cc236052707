package io.millrace;

import io.millrace.json.Json;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A fact about one environment (tenant, customer, account): what every part of Millrace delivers, matches and publishes.
 *
 * <p>Its topic is {@code environment:type:name}. Any text is legal in each of the three, as long as it is Unicode. Further data are
 * one value {@linkplain #data() data} and any number of named {@linkplain #attributes() attributes}, both plain JSON values: text,
 * numbers, booleans, {@code null}, lists and maps of those, or anything Jackson can write, such as records.
 *
 * <p>The id makes delivery idempotent: the same id twice within the deduplication window of a queue is one message. Give one where
 * the source has one; otherwise each event gets a new id when it is created.
 *
 * <p>Immutable, safe to share between threads.
 */
public final class Event {

    /** The longest legal id, in characters. */
    public static final int MAX_ID_LENGTH = 256;

    private static final Instant LATEST = Instant.parse("9999-12-31T23:59:59.999Z");

    private static final Set<String> RESERVED =
            Set.of("environment", "environment_id", "type", "name", "data", "payload", "id", "time", "_at");

    private final String environment;
    private final String type;
    private final String name;
    private final String id;
    private final Instant time;
    private final @Nullable Object data;
    private final Map<String, @Nullable Object> attributes;

    private Event(
            String environment,
            String type,
            String name,
            String id,
            Instant time,
            @Nullable Object data,
            Map<String, @Nullable Object> attributes) {
        this.environment = environment;
        this.type = type;
        this.name = name;
        this.id = id;
        this.time = time;
        this.data = data;
        this.attributes = attributes;
    }

    /**
     * An event with a new id and the present time.
     *
     * @param environment whose fact it is; the facet it waits in
     * @param type what kind of fact
     * @param name what it is about
     * @throws MalformedEventException if one of them is not legal Unicode (an unpaired surrogate)
     */
    public static Event of(String environment, String type, String name) {
        return new Event(
                text("environment", environment),
                text("type", type),
                text("name", name),
                EventIds.next(),
                now(),
                null,
                Map.of());
    }

    /**
     * An event with all its parts, as it is read back from somewhere.
     *
     * @throws MalformedEventException if a text is not legal Unicode, the id is empty or longer than {@value #MAX_ID_LENGTH}
     *     characters, or an attribute bears the name of one of the event's own fields
     */
    public static Event of(
            String environment,
            String type,
            String name,
            String id,
            Instant time,
            @Nullable Object data,
            Map<String, ?> attributes) {
        Event event = new Event(
                text("environment", environment),
                text("type", type),
                text("name", name),
                id(id),
                time(time),
                data,
                Map.of());
        return event.withAll(attributes);
    }

    /**
     * The same event with one attribute more, or another value for it.
     *
     * @param attribute a name that is not one of the event's own fields
     * @param value a plain JSON value, or anything Jackson can write
     * @throws MalformedEventException if the name is one of the event's own fields
     */
    public Event with(String attribute, @Nullable Object value) {
        return withAll(Collections.singletonMap(attribute, value));
    }

    /**
     * The same event with these attributes more, in their order.
     *
     * @throws MalformedEventException if a name is one of the event's own fields
     */
    public Event withAll(Map<String, ?> more) {
        if (more.isEmpty()) {
            return this;
        }
        Map<String, @Nullable Object> all = new LinkedHashMap<>(attributes);
        more.forEach((attribute, value) -> all.put(attributeName(attribute), value));
        return new Event(environment, type, name, id, time, data, Collections.unmodifiableMap(all));
    }

    /** The same event with these data in place of its own. */
    public Event withData(@Nullable Object newData) {
        return new Event(environment, type, name, id, time, newData, attributes);
    }

    /**
     * The same event under an id of the caller's: delivering it again within the deduplication window does nothing.
     *
     * @throws MalformedEventException if it is empty, longer than {@value #MAX_ID_LENGTH} characters or not legal Unicode
     */
    public Event withId(String newId) {
        return new Event(environment, type, name, id(newId), time, data, attributes);
    }

    /** The same event at another time, kept to the millisecond; from 1970 to 9999. */
    public Event withTime(Instant newTime) {
        return new Event(environment, type, name, id, time(newTime), data, attributes);
    }

    /** Whose fact it is; the facet it waits in. */
    public String environment() {
        return environment;
    }

    /** What kind of fact. */
    public String type() {
        return type;
    }

    /** What it is about. */
    public String name() {
        return name;
    }

    /** What makes it this event and no other; the key of deduplication. */
    public String id() {
        return id;
    }

    /** When it happened, to the millisecond. */
    public Instant time() {
        return time;
    }

    /** Its data, {@code null} if it has none. Read back from Redis: text, numbers, booleans, lists and maps. */
    public @Nullable Object data() {
        return data;
    }

    /**
     * Its data as a type of the caller's.
     *
     * @throws MalformedEventException if they do not fit
     */
    public <T> @Nullable T data(Class<T> as) {
        return Json.convert(data, as);
    }

    /** Further named values, in the order they were given. */
    public Map<String, @Nullable Object> attributes() {
        return attributes;
    }

    /** {@code environment:type:name}: what registrations match and listeners listen for. */
    public String topic() {
        return environment + ':' + type + ':' + name;
    }

    /** Equal are events with the same id. */
    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof Event event && id.equals(event.id);
    }

    @Override
    public int hashCode() {
        return id.hashCode();
    }

    /** Id and topic; never the data, which may be private. */
    @Override
    public String toString() {
        return "Event[" + id + ' ' + topic() + ']';
    }

    private static String id(String id) {
        text("id", id);
        if (id.isEmpty() || id.length() > MAX_ID_LENGTH) {
            throw new MalformedEventException("id must have 1 to " + MAX_ID_LENGTH + " characters, had " + id.length());
        }
        return id;
    }

    /** A new id, as {@link #of(String, String, String)} gives. */
    public static String newId() {
        return EventIds.next();
    }

    private static Instant time(Instant time) {
        if (time.isBefore(Instant.EPOCH) || time.isAfter(LATEST)) {
            throw new MalformedEventException("time must be from 1970 to 9999, was " + time);
        }
        return time.truncatedTo(ChronoUnit.MILLIS);
    }

    private static String attributeName(String attribute) {
        if (RESERVED.contains(attribute)) {
            throw new MalformedEventException(
                    "attribute \"" + attribute + "\" is a field of the event itself; use another name");
        }
        return text("attribute", attribute);
    }

    private static Instant now() {
        return Instant.ofEpochMilli(System.currentTimeMillis());
    }

    /** UTF-8 has no form for an unpaired surrogate: two different names would become one. */
    private static String text(String field, String value) {
        Objects.requireNonNull(value, field);
        for (int i = 0; i < value.length(); i++) {
            char c = value.charAt(i);
            if (Character.isSurrogate(c)) {
                boolean pair = Character.isHighSurrogate(c)
                        && i + 1 < value.length()
                        && Character.isLowSurrogate(value.charAt(i + 1));
                if (!pair) {
                    throw new MalformedEventException(
                            field + " is not legal Unicode: unpaired surrogate at position " + i);
                }
                i++;
            }
        }
        return value;
    }
}
