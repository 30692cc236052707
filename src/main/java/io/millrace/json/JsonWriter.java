package io.millrace.json;

import io.millrace.MalformedEventException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.time.Instant;
import java.time.temporal.ChronoField;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.io.JsonStringEncoder;

/**
 * Writes plain values as JSON into a buffer that its thread uses again and again. Jackson does what is not plain, and escapes; a
 * generator of its own for each event would cost five times what the writing does.
 */
final class JsonWriter {

    /** What a thread keeps; larger buffers are let go. */
    private static final int KEPT = 1 << 14;

    private static final ThreadLocal<JsonWriter> OF_THREAD = ThreadLocal.withInitial(JsonWriter::new);

    /** As long as Jackson reads. */
    private static final int MAX_NUMBER = 1_000;

    private static final int MAX_NAME = 50_000;

    private byte[] buffer = new byte[512];
    private int size;
    private int depth;
    private boolean busy;
    private long latest;
    private String latestDigits = "0";

    private JsonWriter() {}

    /** The thread's own, empty. */
    static JsonWriter ofThread() {
        JsonWriter writer = OF_THREAD.get();
        if (writer.busy) { // a getter of a value that is being written writes JSON itself
            writer = new JsonWriter();
        }
        writer.size = 0;
        writer.depth = 1; // a value inside an event is one level down
        writer.busy = true;
        return writer;
    }

    /** What was written, as bytes of their own. */
    byte[] take() {
        busy = false;
        byte[] taken = Arrays.copyOf(buffer, size);
        if (buffer.length > KEPT) {
            buffer = new byte[512];
        }
        return taken;
    }

    /** Text as it is: JSON already, ASCII only. */
    JsonWriter ascii(String text) {
        int length = text.length();
        room(length);
        for (int i = 0; i < length; i++) {
            buffer[size + i] = (byte) text.charAt(i);
        }
        size += length;
        return this;
    }

    JsonWriter ascii(byte[] text) {
        room(text.length);
        System.arraycopy(text, 0, buffer, size, text.length);
        size += text.length;
        return this;
    }

    /** A number that is not negative; the same again, as in a batch, costs next to nothing. */
    JsonWriter digits(long number) {
        if (number != latest) {
            latestDigits = Long.toString(number);
            latest = number;
        }
        return ascii(latestDigits);
    }

    /** A time as {@link Times#text} has it. */
    JsonWriter time(Instant time) {
        int ms = time.get(ChronoField.MILLI_OF_SECOND);
        ascii(Times.second(time));
        room(5);
        buffer[size++] = '.';
        buffer[size++] = (byte) ('0' + ms / 100);
        buffer[size++] = (byte) ('0' + ms / 10 % 10);
        buffer[size++] = (byte) ('0' + ms % 10);
        buffer[size++] = 'Z';
        return this;
    }

    /** A JSON string. */
    JsonWriter string(String text) {
        int length = text.length();
        room(length + 2);
        int start = size;
        buffer[size++] = '"';
        for (int i = 0; i < length; i++) {
            char c = text.charAt(i);
            if (c < ' ' || c > '~' || c == '"' || c == '\\') {
                size = start;
                return escaped(text);
            }
            buffer[size++] = (byte) c;
        }
        buffer[size++] = '"';
        return this;
    }

    /**
     * Any value.
     *
     * @throws MalformedEventException if it has no JSON form, or is nested too deeply
     */
    JsonWriter value(@Nullable Object value) {
        if (value == null) {
            return ascii("null");
        }
        if (value instanceof String text) {
            return string(text);
        }
        if (value instanceof Integer
                || value instanceof Long
                || value instanceof Boolean
                || value instanceof BigInteger
                || value instanceof BigDecimal) {
            String text = value.toString();
            if (text.length() > MAX_NUMBER) {
                throw new MalformedEventException("a number may have " + MAX_NUMBER + " digits, had " + text.length());
            }
            return ascii(text);
        }
        if (value instanceof Map<?, ?> map) {
            return object(map);
        }
        if (value instanceof List<?> list) {
            return array(list);
        }
        try {
            byte[] json = Json.MAPPER.writeValueAsBytes(value);
            Json.read(json); // what Jackson writes of a type may be more than it reads
            return bytes(json);
        } catch (JacksonException e) {
            throw new MalformedEventException(
                    "a value of " + value.getClass().getName() + " cannot be written as JSON: "
                            + e.getOriginalMessage(),
                    e);
        }
    }

    private JsonWriter object(Map<?, ?> map) {
        deeper();
        String separator = "{";
        Set<String> names = new HashSet<>();
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            String name = String.valueOf(entry.getKey());
            if (!names.add(name)) {
                throw unwelcome(name);
            }
            ascii(separator).name(name).value(entry.getValue());
            separator = ",";
        }
        depth--;
        return ascii(map.isEmpty() ? "{}" : "}");
    }

    /** A name and its colon. */
    JsonWriter name(String name) {
        if (name.length() > MAX_NAME) {
            throw unwelcome(name);
        }
        return string(name).ascii(":");
    }

    private static MalformedEventException unwelcome(String name) {
        return new MalformedEventException("a name in an object must be there once and have up to " + MAX_NAME
                + " characters, was \"" + (name.length() > 40 ? name.substring(0, 40) + "…" : name) + '"');
    }

    private JsonWriter array(List<?> list) {
        deeper();
        String separator = "[";
        for (Object element : list) {
            ascii(separator).value(element);
            separator = ",";
        }
        depth--;
        return ascii(list.isEmpty() ? "[]" : "]");
    }

    private void deeper() {
        if (++depth > Json.MAX_DEPTH) {
            throw new MalformedEventException("values may be nested " + Json.MAX_DEPTH + " deep at the most");
        }
    }

    private JsonWriter escaped(String text) {
        byte[] quoted;
        try {
            quoted = JsonStringEncoder.getInstance().quoteAsUTF8(text);
        } catch (IllegalArgumentException e) {
            throw new MalformedEventException("a text is not legal Unicode: " + e.getMessage(), e);
        }
        room(2);
        buffer[size++] = '"';
        bytes(quoted);
        room(1);
        buffer[size++] = '"';
        return this;
    }

    private JsonWriter bytes(byte[] bytes) {
        room(bytes.length);
        System.arraycopy(bytes, 0, buffer, size, bytes.length);
        size += bytes.length;
        return this;
    }

    private void room(int more) {
        if (buffer.length - size < more) {
            buffer = Arrays.copyOf(buffer, Math.max(buffer.length * 2, size + more));
        }
    }
}
