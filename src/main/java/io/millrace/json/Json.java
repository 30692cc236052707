package io.millrace.json;

import io.millrace.MalformedEventException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.core.util.JsonRecyclerPools;
import tools.jackson.databind.json.JsonMapper;

/**
 * Reads and writes plain JSON values: {@code null}, {@link Boolean}, {@link String}, {@link Integer}, {@link Long},
 * {@link BigInteger}, {@link BigDecimal} (so that {@code 1.10} stays {@code 1.10}), unmodifiable {@link List} and {@link Map} in
 * the order of the text. A name that occurs twice in one object is refused, so is anything behind the value.
 *
 * <p>Bounds: nesting {@value #MAX_DEPTH}, a text {@value #MAX_STRING} characters; the size of a document is its caller's to bound.
 * Thread safe.
 */
public final class Json {

    /** How deep values may be nested. */
    public static final int MAX_DEPTH = 128;

    /** How long one text may be, in characters: whatever fits into the largest event. */
    public static final int MAX_STRING = 64 << 20;

    // A thread keeps its buffers: the pool of all threads costs as much as reading a small event.
    private static final JsonFactory FACTORY = JsonFactory.builder()
            .recyclerPool(JsonRecyclerPools.threadLocalPool())
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxNestingDepth(MAX_DEPTH)
                    .maxStringLength(MAX_STRING)
                    .build())
            .build();

    static final JsonMapper MAPPER = JsonMapper.builder(FACTORY).build();

    private Json() {}

    /** A parser of a part of a text, within the bounds of this class; without what binding to types would need. */
    static JsonParser parser(byte[] text, int from, int length) {
        return FACTORY.createParser(ObjectReadContext.empty(), text, from, length);
    }

    static JsonParser parser(byte[] text) {
        return parser(text, 0, text.length);
    }

    /**
     * The value a JSON text stands for.
     *
     * @throws MalformedEventException if it is not exactly one JSON value, or out of bounds
     */
    public static @Nullable Object read(byte[] text) {
        try (JsonParser parser = parser(text)) {
            parser.nextToken();
            Object value = value(parser);
            end(parser);
            return value;
        } catch (JacksonException e) {
            throw malformed(e);
        }
    }

    /**
     * One field of a JSON object. The text is checked as {@link #read(byte[])} checks it, but the rest of it is not kept.
     *
     * @return {@code null} if the text is no object, has no such field, or the field is {@code null}
     * @throws MalformedEventException if it is not exactly one JSON value, or out of bounds
     */
    public static @Nullable Object field(byte[] text, String name) {
        try (JsonParser parser = parser(text)) {
            Object field = null;
            if (parser.nextToken() == JsonToken.START_OBJECT) {
                Names names = new Names();
                for (String next = parser.nextName(); next != null; next = parser.nextName()) {
                    if (!names.add(next)) {
                        throw duplicate(next, parser);
                    }
                    if (next.equals(name)) {
                        parser.nextToken();
                        field = value(parser);
                    } else if (parser.nextToken() != JsonToken.VALUE_STRING) {
                        value(parser); // has bounds that the parser does not know
                    }
                }
            } else {
                value(parser);
            }
            end(parser);
            return field;
        } catch (JacksonException e) {
            throw malformed(e);
        }
    }

    /** Names of one object; most have few, for which a set would cost more than all the rest. */
    private static final class Names {

        private static final int FEW = 8;

        private final String[] first = new String[FEW];
        private int count;
        private @Nullable Set<String> more;

        /** False: it is there already. */
        boolean add(String name) {
            for (int i = 0; i < count; i++) {
                if (first[i].equals(name)) {
                    return false;
                }
            }
            if (count < FEW) {
                first[count++] = name;
                return true;
            }
            if (more == null) {
                more = new HashSet<>();
            }
            return more.add(name);
        }
    }

    /** As {@link #read(byte[])}, of text. */
    public static @Nullable Object read(String text) {
        return read(text.getBytes(StandardCharsets.UTF_8));
    }

    /**
     * A value as JSON text on one line, UTF-8.
     *
     * @throws MalformedEventException if there is something in it that has no JSON form
     */
    public static byte[] write(@Nullable Object value) {
        return JsonWriter.ofThread().value(value).take();
    }

    /** As {@link #write(Object)}, as text. */
    public static String text(@Nullable Object value) {
        return new String(write(value), StandardCharsets.UTF_8);
    }

    /**
     * A plain value as a type of the caller's.
     *
     * @throws MalformedEventException if it does not fit
     */
    public static <T> @Nullable T convert(@Nullable Object value, Class<T> type) {
        if (value == null || type.isInstance(value)) {
            return type.cast(value);
        }
        try {
            return MAPPER.convertValue(value, type);
        } catch (JacksonException e) {
            throw new MalformedEventException(
                    "these data do not fit " + type.getName() + ": " + e.getOriginalMessage(), e);
        }
    }

    /** Reads the value the parser stands on; afterwards it stands on the value's last token. */
    static @Nullable Object value(JsonParser parser) {
        JsonToken token = parser.currentToken();
        if (token == null) {
            throw new MalformedEventException("there is no JSON here: the text is empty");
        }
        return switch (token) {
            case VALUE_NULL -> null;
            case VALUE_TRUE, VALUE_FALSE -> parser.getBooleanValue();
            case VALUE_STRING -> parser.getString();
            case VALUE_NUMBER_INT -> number(parser);
            case VALUE_NUMBER_FLOAT -> decimal(parser);
            case START_ARRAY -> array(parser);
            case START_OBJECT -> object(parser);
            default -> throw new MalformedEventException("unexpected JSON token " + token);
        };
    }

    /** Jackson tells of an exponent beyond {@link BigDecimal} with the JDK's exception. */
    static BigDecimal decimal(JsonParser parser) {
        try {
            return parser.getDecimalValue();
        } catch (NumberFormatException e) {
            throw new MalformedEventException("a number is out of range, at " + where(parser), e);
        }
    }

    private static Number number(JsonParser parser) {
        try {
            return parser.getNumberValue();
        } catch (NumberFormatException e) {
            throw new MalformedEventException("a number is out of range, at " + where(parser), e);
        }
    }

    static void end(JsonParser parser) {
        if (parser.nextToken() != null) {
            throw new MalformedEventException("there is more behind the JSON value, at " + where(parser));
        }
    }

    static MalformedEventException malformed(JacksonException e) {
        String where = e.getLocation() == null
                ? ""
                : " at line " + e.getLocation().getLineNr() + ", column "
                        + e.getLocation().getColumnNr();
        return new MalformedEventException("not JSON" + where + ": " + legal(e.getOriginalMessage()), e);
    }

    /**
     * The same text, with question marks for halves of surrogate pairs, which no JSON can carry: what quotes a part of something that was
     * refused may have them.
     */
    public static String legal(String text) {
        return new String(text.getBytes(StandardCharsets.UTF_8), StandardCharsets.UTF_8);
    }

    private static List<@Nullable Object> array(JsonParser parser) {
        List<@Nullable Object> list = new ArrayList<>();
        while (parser.nextToken() != JsonToken.END_ARRAY) {
            list.add(value(parser));
        }
        return Collections.unmodifiableList(list);
    }

    private static Map<String, @Nullable Object> object(JsonParser parser) {
        Map<String, @Nullable Object> map = new LinkedHashMap<>();
        for (String name = parser.nextName(); name != null; name = parser.nextName()) {
            parser.nextToken();
            if (map.containsKey(name)) {
                throw duplicate(name, parser);
            }
            map.put(name, value(parser));
        }
        return Collections.unmodifiableMap(map);
    }

    private static MalformedEventException duplicate(String name, JsonParser parser) {
        return new MalformedEventException("the name \"" + name + "\" occurs twice in one object, at " + where(parser));
    }

    private static String where(JsonParser parser) {
        return "line " + parser.currentLocation().getLineNr() + ", column "
                + parser.currentLocation().getColumnNr();
    }
}
