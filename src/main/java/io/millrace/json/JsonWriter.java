package io.millrace.json;

import io.millrace.MalformedEventException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
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

    private byte[] buffer = new byte[512];
    private int size;
    private int depth;

    private JsonWriter() {}

    /** The thread's own, empty. */
    static JsonWriter ofThread() {
        JsonWriter writer = OF_THREAD.get();
        writer.size = 0;
        writer.depth = 0;
        return writer;
    }

    /** What was written, as bytes of their own. */
    byte[] take() {
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
            return ascii(value.toString());
        }
        if (value instanceof Map<?, ?> map) {
            return object(map);
        }
        if (value instanceof List<?> list) {
            return array(list);
        }
        try {
            return bytes(Json.MAPPER.writeValueAsBytes(value));
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
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            ascii(separator).string(String.valueOf(entry.getKey())).ascii(":").value(entry.getValue());
            separator = ",";
        }
        depth--;
        return ascii(map.isEmpty() ? "{}" : "}");
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
        byte[] quoted = JsonStringEncoder.getInstance().quoteAsUTF8(text);
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
