package io.millrace.redis;

import java.nio.charset.StandardCharsets;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A list that Redis answered, read by position. A value of another kind than asked for is a defect of the script and says so.
 *
 * @param values bytes, {@link Long}, nested lists, or {@code null}
 */
public record Reply(List<@Nullable Object> values) {

    /** Reads what a command answered as a list; anything else becomes a list of one. */
    @SuppressWarnings("unchecked")
    public static Reply of(Object answer) {
        return answer instanceof List<?> list ? new Reply((List<@Nullable Object>) list) : new Reply(List.of(answer));
    }

    /** How many values there are. */
    public int size() {
        return values.size();
    }

    /** The bytes at a position. */
    public byte[] bytes(int position) {
        if (at(position) instanceof byte[] bytes) {
            return bytes;
        }
        throw unexpected(position, "bytes");
    }

    /** The text at a position, UTF-8. */
    public String text(int position) {
        return new String(bytes(position), StandardCharsets.UTF_8);
    }

    /** The number at a position, also if it came as text. */
    public long number(int position) {
        Object value = at(position);
        if (value instanceof Long number) {
            return number;
        }
        if (value instanceof byte[] bytes) {
            try {
                return Long.parseLong(new String(bytes, StandardCharsets.US_ASCII));
            } catch (NumberFormatException e) {
                throw new IllegalStateException(
                        "reply has \"" + text(position) + "\" at " + position + ", not a number", e);
            }
        }
        throw unexpected(position, "a number");
    }

    /** Whether the value at a position is a list. */
    public boolean isList(int position) {
        return at(position) instanceof List<?>;
    }

    /** Whether there is nothing at a position. */
    public boolean isNull(int position) {
        return at(position) == null;
    }

    /** The list at a position. */
    public Reply list(int position) {
        if (at(position) instanceof List<?> list) {
            return of(list);
        }
        throw unexpected(position, "a list");
    }

    /** The values behind a position. */
    public Reply from(int position) {
        return new Reply(values.subList(position, values.size()));
    }

    /**
     * The first value as a word of an enum.
     *
     * @throws IllegalStateException if the enum does not know it
     */
    public <E extends Enum<E>> E status(Class<E> words) {
        return word(0, words);
    }

    /** The value at a position as a word of an enum. */
    public <E extends Enum<E>> E word(int position, Class<E> words) {
        String word = text(position);
        for (E known : words.getEnumConstants()) {
            if (known.name().equals(word)) {
                return known;
            }
        }
        throw new IllegalStateException("unknown word \"" + word + "\" for " + words.getSimpleName());
    }

    private @Nullable Object at(int position) {
        if (position >= values.size()) {
            throw new IllegalStateException("reply has " + values.size() + " values, none at " + position);
        }
        return values.get(position);
    }

    private IllegalStateException unexpected(int position, String wanted) {
        Object value = at(position);
        return new IllegalStateException(
                "reply has " + (value == null ? "nothing" : value.getClass().getSimpleName()) + " at " + position
                        + ", not " + wanted);
    }
}
