package io.millrace.json;

import io.millrace.Event;
import io.millrace.MalformedEventException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * Events as JSON objects, and back.
 *
 * <p>Written: {@code {"environment","type","name","id","time"[,"data"][, attributes…]}} in this order, {@code time} as ISO 8601 with
 * milliseconds. Read: in any order; {@code environment_id} stands for {@code environment} (a number is taken as its text) and
 * {@code payload} for {@code data}; {@code time} may also be epoch milliseconds; {@code id} and {@code time} are made up when
 * absent. Every other field is an attribute and stays as it came.
 *
 * <p>Thread safe.
 */
public final class EventCodec {

    /** How large one event may be as JSON, in bytes, unless set otherwise. */
    public static final int DEFAULT_MAX_BYTES = 1 << 20;

    /** The field that stored and published events bear in front: when they were delivered. Scripts rely on its place. */
    private static final String AT = "_at";

    /** How long {@code "_at":1790000000000,} is. */
    private static final int AT_BYTES = 20;

    private static final byte[] BEGIN = ascii("{\"" + AT + "\":");
    private static final byte[] ENVIRONMENT = ascii(",\"environment\":");
    private static final byte[] TYPE = ascii(",\"type\":");
    private static final byte[] NAME = ascii(",\"name\":");
    private static final byte[] ID = ascii(",\"id\":");
    private static final byte[] TIME = ascii(",\"time\":");
    private static final byte[] END = ascii("}");
    private static final byte[] DATA = ascii(",\"data\":");

    /** The latest time an event may bear: the last millisecond of the year 9999. */
    private static final long MAX_EPOCH_MS = 253_402_300_799_999L;

    private EventCodec() {}

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    /**
     * An event as it is stored and published: as {@link #write}, with the time of its delivery in front.
     *
     * @param at when it is delivered, 13 digits of epoch milliseconds
     * @param maxBytes how long the event's own JSON may be
     * @throws MalformedEventException if it is larger, or has no JSON form
     */
    public static byte[] writeStored(Event event, Instant at, int maxBytes) {
        return bytes(event, at, maxBytes);
    }

    /**
     * An event as JSON in UTF-8.
     *
     * @throws MalformedEventException if it has no JSON form
     */
    public static byte[] write(Event event) {
        return bytes(event, null, Integer.MAX_VALUE);
    }

    private static byte[] bytes(Event event, @Nullable Instant at, int maxBytes) {
        JsonWriter out = JsonWriter.ofThread();
        if (at == null) {
            out.ascii("{\"environment\":");
        } else {
            out.ascii(BEGIN).digits(at.toEpochMilli()).ascii(ENVIRONMENT);
        }
        out.string(event.environment())
                .ascii(TYPE)
                .string(event.type())
                .ascii(NAME)
                .string(event.name());
        out.ascii(ID)
                .string(event.id())
                .ascii(TIME)
                .ascii("\"")
                .time(event.time())
                .ascii("\"");
        Object data = event.data();
        if (data != null) {
            out.ascii(DATA).value(data);
        }
        for (Map.Entry<String, @Nullable Object> attribute : event.attributes().entrySet()) {
            out.ascii(",").name(attribute.getKey()).value(attribute.getValue());
        }
        byte[] json = out.ascii(END).take();
        int size = json.length - (at == null ? 0 : AT_BYTES);
        if (size > maxBytes) {
            throw new MalformedEventException("event " + event.id() + " has " + size + " bytes, more than the limit of "
                    + maxBytes + "; store the bulk elsewhere and send a reference");
        }
        return json;
    }

    /** An event as one line of JSON. */
    public static String text(Event event) {
        return new String(write(event), StandardCharsets.UTF_8);
    }

    /** An event as a plain value, in the order it is written. */
    public static Map<String, @Nullable Object> plain(Event event) {
        Map<String, @Nullable Object> fields = new LinkedHashMap<>();
        fields.put("environment", event.environment());
        fields.put("type", event.type());
        fields.put("name", event.name());
        fields.put("id", event.id());
        fields.put("time", Times.text(event.time()));
        if (event.data() != null) {
            fields.put("data", event.data());
        }
        fields.putAll(event.attributes());
        return fields;
    }

    /**
     * An event that was stored.
     *
     * @param at when it was delivered
     * @param event what was delivered
     */
    public record Stored(Instant at, Event event) {}

    /**
     * Reads what {@link #writeStored} wrote.
     *
     * @throws MalformedEventException if it is no event, or bears no time of delivery
     */
    public static Stored readStored(byte[] json) {
        Fields fields = asWritten(json);
        if (fields == null) {
            fields = fields(json);
        }
        Instant at = fields.at;
        if (at == null) {
            throw new MalformedEventException(AT + " is missing; this was not stored by Millrace");
        }
        return new Stored(at, fields.event());
    }

    /**
     * Reads one event. Where it bears the time of an earlier delivery, that is left out.
     *
     * @param json UTF-8
     * @throws MalformedEventException with the field and the value, if it is none
     */
    public static Event read(byte[] json) {
        return fields(json).event();
    }

    /**
     * Reads what is exactly as {@link #writeStored} writes it, without escapes, at a fraction of a general parser's cost; what
     * follows the fields of every event is left to that.
     *
     * @return {@code null} if it is anything else
     */
    private static @Nullable Fields asWritten(byte[] json) {
        AsciiScanner scanner = new AsciiScanner(json);
        Fields fields = new Fields();
        scanner.expect(BEGIN);
        fields.at = Instant.ofEpochMilli(scanner.digits(13));
        fields.environment = scanner.expect(ENVIRONMENT).string();
        fields.type = scanner.expect(TYPE).string();
        fields.name = scanner.expect(NAME).string();
        fields.id = scanner.expect(ID).string();
        String time = scanner.expect(TIME).string();
        if (!scanner.matches()) {
            return null;
        }
        try {
            fields.time = Fields.checked(Times.parse(time));
        } catch (DateTimeException | ArithmeticException e) {
            return null;
        }
        if (scanner.atEnd(END)) {
            return fields;
        }
        int rest = scanner.position();
        if (rest >= json.length || json[rest] != ',') {
            return null;
        }
        json[rest] = '{'; // what follows is read as an object of its own
        try (JsonParser parser = Json.parser(json, rest, json.length - rest)) {
            take(parser, fields);
            return fields;
        } catch (JacksonException e) {
            throw Json.malformed(e);
        } finally {
            json[rest] = ',';
        }
    }

    private static Fields fields(byte[] json) {
        try (JsonParser parser = Json.parser(json)) {
            Fields fields = new Fields();
            take(parser, fields);
            return fields;
        } catch (JacksonException e) {
            throw Json.malformed(e);
        }
    }

    private static void take(JsonParser parser, Fields fields) {
        JsonToken first = parser.nextToken();
        if (first != JsonToken.START_OBJECT) {
            throw new MalformedEventException(
                    "an event is a JSON object, this " + (first == null ? "is empty" : "begins with " + first));
        }
        for (String name = parser.nextName(); name != null; name = parser.nextName()) {
            parser.nextToken();
            fields.take(name, parser);
        }
        Json.end(parser);
    }

    /** As {@link #read(byte[])}, of text. */
    public static Event read(String json) {
        return read(json.getBytes(StandardCharsets.UTF_8));
    }

    /** An event from a plain value, as {@link Json#read(byte[])} gives it; the rules are those of {@link #read(byte[])}. */
    public static Event fromPlain(@Nullable Object value) {
        return read(Json.write(value));
    }

    /** The fields of one event while they are read. */
    private static final class Fields {

        private @Nullable String environment;
        private @Nullable String type;
        private @Nullable String name;
        private @Nullable String id;
        private @Nullable Instant time;
        private @Nullable Instant at;
        private boolean hasData;
        private @Nullable Object data;
        private Map<String, @Nullable Object> attributes = Map.of(); // most events have none

        void take(String field, JsonParser parser) {
            switch (field) {
                case "environment", "environment_id" ->
                    environment = once("environment (or its alias environment_id)", environment, text(field, parser));
                case "type" -> type = once(field, type, text(field, parser));
                case "name" -> name = once(field, name, text(field, parser));
                case "id" -> id = once(field, id, text(field, parser));
                case AT -> at = once(field, at, instant(field, parser));
                case "time" -> time = once(field, time, instant(field, parser));
                case "data", "payload" -> {
                    once("data (or its alias payload)", hasData ? field : null, field);
                    hasData = true;
                    data = Json.value(parser);
                }
                default -> {
                    if (attributes.containsKey(field)) {
                        throw twice(field);
                    }
                    if (attributes.isEmpty()) {
                        attributes = new LinkedHashMap<>();
                    }
                    attributes.put(field, Json.value(parser));
                }
            }
        }

        Event event() {
            return Event.of(
                    required("environment", environment),
                    required("type", type),
                    required("name", name),
                    id == null ? Event.newId() : id,
                    time == null ? Instant.ofEpochMilli(System.currentTimeMillis()) : time,
                    data,
                    attributes);
        }

        private static <T> T once(String field, @Nullable T before, T now) {
            if (before != null) {
                throw twice(field);
            }
            return now;
        }

        private static MalformedEventException twice(String field) {
            return new MalformedEventException(field + " is given twice");
        }

        private static String required(String field, @Nullable String value) {
            if (value == null) {
                throw new MalformedEventException(field + " is missing; an event has environment, type and name");
            }
            return value;
        }

        private static String text(String field, JsonParser parser) {
            JsonToken token = parser.currentToken();
            if (token == JsonToken.VALUE_STRING || token == JsonToken.VALUE_NUMBER_INT) {
                return parser.getString();
            }
            throw new MalformedEventException(field + " must be text or a whole number, was " + shown(parser));
        }

        private static Instant instant(String field, JsonParser parser) {
            JsonToken token = parser.currentToken();
            try {
                if (token == JsonToken.VALUE_STRING) {
                    return checked(Times.parse(parser.getString()));
                }
                if (token == JsonToken.VALUE_NUMBER_INT || token == JsonToken.VALUE_NUMBER_FLOAT) {
                    BigDecimal ms = Json.decimal(parser);
                    if (ms.signum() >= 0 && ms.compareTo(BigDecimal.valueOf(MAX_EPOCH_MS)) <= 0) {
                        return Instant.ofEpochMilli(ms.longValue());
                    }
                }
            } catch (DateTimeException | ArithmeticException e) {
                throw new MalformedEventException(badTime(field, parser), e);
            }
            throw new MalformedEventException(badTime(field, parser));
        }

        private static Instant checked(Instant time) {
            if (time.toEpochMilli() < 0 || time.toEpochMilli() > MAX_EPOCH_MS) {
                throw new DateTimeException("out of range");
            }
            return time;
        }

        private static String badTime(String field, JsonParser parser) {
            return field
                    + " must be ISO 8601 such as 2026-11-20T09:30:00Z, or epoch milliseconds, from 1970 to 9999; was "
                    + shown(parser);
        }

        private static String shown(JsonParser parser) {
            JsonToken token = parser.currentToken();
            if (token == JsonToken.START_OBJECT || token == JsonToken.START_ARRAY || token == JsonToken.VALUE_NULL) {
                return token == JsonToken.VALUE_NULL
                        ? "null"
                        : "an " + (token == JsonToken.START_ARRAY ? "array" : "object");
            }
            String text = parser.getString();
            return '"' + (text.length() > 40 ? text.substring(0, 40) + "…" : text) + '"';
        }
    }
}
