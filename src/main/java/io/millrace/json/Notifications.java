package io.millrace.json;

import io.millrace.MalformedEventException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.json.JsonMapper;

/**
 * Batches of change notifications as JSON: an array of {@code {"topic","type","url","t"[,"data"]}}. Strangers send them, so the bounds
 * are tight: nesting {@value #MAX_DEPTH}, a text {@value #MAX_TEXT} characters, a number 100 digits; a field of a notification or a
 * name within its data that occurs twice is refused. Unknown fields are passed over. Thread safe.
 */
public final class Notifications {

    /** How deep values may be nested, the array itself included. */
    public static final int MAX_DEPTH = 32;

    /** How long one text may be, in characters. */
    public static final int MAX_TEXT = 1 << 16;

    /** How long a URL may be, in characters. */
    public static final int MAX_URL = 8_192;

    /** How long a topic may be, in characters. */
    public static final int MAX_TOPIC = 255;

    /** The last millisecond of the year 9999. */
    static final long MAX_T = 253_402_300_799_999L;

    private static final int TOPIC = 1;
    private static final int TYPE = 2;
    private static final int URL = 4;
    private static final int T = 8;
    private static final int DATA = 16;

    private static final JsonMapper MAPPER = JsonMapper.builder(JsonFactory.builder()
                    .streamReadConstraints(StreamReadConstraints.builder()
                            .maxNestingDepth(MAX_DEPTH)
                            .maxStringLength(MAX_TEXT)
                            .maxNameLength(MAX_TOPIC)
                            .maxNumberLength(100)
                            .build())
                    .build())
            .build();

    private Notifications() {}

    /**
     * One notification.
     *
     * @param topic what kind of thing changed
     * @param type {@code create}, {@code update}, {@code delete} or {@code noop}
     * @param url the thing that changed
     * @param t when, epoch milliseconds
     * @param data what came along; {@code null} if nothing did
     */
    public record Notification(
            String topic,
            String type,
            String url,
            long t,
            @Nullable Map<String, @Nullable Object> data) {}

    /**
     * Reads a batch.
     *
     * @param json UTF-8
     * @param most how many notifications it may have
     * @throws MalformedEventException if it is anything else; the message names the place and the field
     */
    public static List<Notification> read(byte[] json, int most) {
        List<Notification> batch = new ArrayList<>();
        walk(json, most, batch);
        return batch;
    }

    /**
     * Checks that {@link #read} will read a batch, without keeping what it reads.
     *
     * @return how many notifications it has, and the latest of their times
     * @throws MalformedEventException as {@link #read} does
     */
    public static Summary check(byte[] json, int most) {
        if (PlainBatch.is(json)) {
            try (JsonParser parser = MAPPER.createParser(json)) {
                Summary summary = PlainBatch.check(parser, most);
                if (summary != null) {
                    return summary;
                }
            } catch (JacksonException e) {
                throw Json.malformed(e);
            }
        }
        return walk(json, most, null);
    }

    static boolean isType(String type) {
        return switch (type) {
            case "create", "update", "delete", "noop" -> true;
            default -> false;
        };
    }

    /** How many notifications a batch has, and the latest of their times; 0 if it has none. */
    public record Summary(int count, long latest) {}

    /** A batch as JSON, for {@link #read}. */
    public static byte[] write(List<Notification> batch) {
        List<Map<String, @Nullable Object>> array = new ArrayList<>(batch.size());
        for (Notification one : batch) {
            Map<String, @Nullable Object> fields = new LinkedHashMap<>();
            fields.put("topic", one.topic());
            fields.put("type", one.type());
            fields.put("url", one.url());
            fields.put("t", one.t());
            if (one.data() != null) {
                fields.put("data", one.data());
            }
            array.add(fields);
        }
        return Json.write(array);
    }

    /**
     * As {@link Json#read(byte[])}, within the bounds of notifications: for what strangers send in other forms.
     *
     * @throws MalformedEventException if it is not exactly one JSON value, or out of bounds
     */
    public static @Nullable Object readValue(byte[] json) {
        try (JsonParser parser = MAPPER.createParser(json)) {
            parser.nextToken();
            Object value = Json.value(parser);
            Json.end(parser);
            return value;
        } catch (JacksonException e) {
            throw Json.malformed(e);
        }
    }

    private static Summary walk(byte[] json, int most, @Nullable List<Notification> keep) {
        try (JsonParser parser = MAPPER.createParser(json)) {
            JsonToken first = parser.nextToken();
            if (first != JsonToken.START_ARRAY) {
                throw new MalformedEventException("a batch is a JSON array of events, this "
                        + (first == null ? "is empty" : "begins with " + first));
            }
            int count = 0;
            long latest = 0;
            for (JsonToken token = parser.nextToken(); token != JsonToken.END_ARRAY; token = parser.nextToken()) {
                if (token != JsonToken.START_OBJECT) {
                    throw new MalformedEventException("event " + count + " is no JSON object but " + token);
                }
                if (count == most) {
                    throw new MalformedEventException("a batch may have " + most + " events; send several");
                }
                latest = Math.max(latest, one(parser, count, keep));
                count++;
            }
            Json.end(parser);
            return new Summary(count, latest);
        } catch (JacksonException e) {
            throw Json.malformed(e);
        }
    }

    /** Reads the object the parser stands on; answers its time. */
    private static long one(JsonParser parser, int index, @Nullable List<Notification> keep) {
        int seen = 0;
        String topic = "";
        String type = "";
        String url = "";
        long t = 0;
        Map<String, @Nullable Object> data = null;
        for (String name = parser.nextName(); name != null; name = parser.nextName()) {
            JsonToken token = parser.nextToken();
            switch (name) {
                case "topic" -> {
                    seen = once(seen, TOPIC, name, index);
                    topic = text(parser, token, name, MAX_TOPIC, index);
                }
                case "type" -> {
                    seen = once(seen, TYPE, name, index);
                    type = type(parser, token, index);
                }
                case "url" -> {
                    seen = once(seen, URL, name, index);
                    url = text(parser, token, name, MAX_URL, index);
                }
                case "t" -> {
                    seen = once(seen, T, name, index);
                    t = time(parser, token, index);
                }
                case "data" -> {
                    seen = once(seen, DATA, name, index);
                    data = data(parser, token, index);
                }
                default -> parser.skipChildren();
            }
        }
        if ((seen & (TOPIC | TYPE | URL | T)) != (TOPIC | TYPE | URL | T)) {
            throw bad(index, "needs topic, type, url and t");
        }
        if (keep != null) {
            keep.add(new Notification(topic, type, url, t, data));
        }
        return t;
    }

    private static int once(int seen, int field, String name, int index) {
        if ((seen & field) != 0) {
            throw bad(index, "has " + name + " twice");
        }
        return seen | field;
    }

    private static String text(JsonParser parser, JsonToken token, String name, int most, int index) {
        if (token != JsonToken.VALUE_STRING) {
            throw bad(index, "must have text as " + name + ", had " + token);
        }
        String text = parser.getString();
        if (text.isEmpty() || text.length() > most) {
            throw bad(index, "must have 1 to " + most + " characters as " + name + ", had " + text.length());
        }
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c < ' ' || c == 0x7f || (Character.isSurrogate(c) && !isPair(text, i))) {
                throw bad(index, "has a character in its " + name + " that is not allowed, at " + i);
            }
        }
        return text;
    }

    private static boolean isPair(String text, int i) {
        return Character.isHighSurrogate(text.charAt(i))
                ? i + 1 < text.length() && Character.isLowSurrogate(text.charAt(i + 1))
                : i > 0 && Character.isHighSurrogate(text.charAt(i - 1));
    }

    private static String type(JsonParser parser, JsonToken token, int index) {
        String type = token == JsonToken.VALUE_STRING ? parser.getString() : "";
        if (isType(type)) {
            return type;
        }
        throw bad(index, "must be of type create, update, delete or noop");
    }

    private static long time(JsonParser parser, JsonToken token, int index) {
        double t;
        if (token == JsonToken.VALUE_NUMBER_INT) {
            long whole = parser.getLongValue();
            if (whole >= 0 && whole <= MAX_T) {
                return whole;
            }
            t = -1;
        } else if (token == JsonToken.VALUE_NUMBER_FLOAT) {
            t = parser.getDoubleValue();
        } else {
            throw bad(index, "must have a number as t, had " + token);
        }
        if (t >= 0 && t <= MAX_T) { // and not a number is neither
            return (long) t;
        }
        throw bad(index, "must have milliseconds since 1970 as t, up to the year 9999");
    }

    @SuppressWarnings("unchecked")
    private static @Nullable Map<String, @Nullable Object> data(JsonParser parser, JsonToken token, int index) {
        if (token == JsonToken.VALUE_NULL) {
            return null;
        }
        if (token != JsonToken.START_OBJECT) {
            throw bad(index, "must have an object as data, had " + token);
        }
        Map<String, @Nullable Object> data = (Map<String, @Nullable Object>) Json.value(parser);
        mustBeUnicode(data, index);
        return data;
    }

    /** What cannot be written again must not be accepted: an escape may stand for half a character. */
    private static void mustBeUnicode(@Nullable Object value, int index) {
        if (value instanceof String text) {
            for (int i = 0; i < text.length(); i++) {
                if (Character.isSurrogate(text.charAt(i)) && !isPair(text, i)) {
                    throw bad(index, "has a text in its data that is not legal Unicode");
                }
            }
        } else if (value instanceof List<?> list) {
            list.forEach(element -> mustBeUnicode(element, index));
        } else if (value instanceof Map<?, ?> map) {
            map.forEach((name, field) -> {
                mustBeUnicode(name, index);
                mustBeUnicode(field, index);
            });
        }
    }

    private static MalformedEventException bad(int index, String what) {
        return new MalformedEventException("event " + index + " " + what);
    }
}
