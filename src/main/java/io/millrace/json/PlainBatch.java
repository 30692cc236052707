package io.millrace.json;

import io.millrace.json.Notifications.Summary;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.core.sym.PropertyNameMatcher;
import tools.jackson.core.util.Named;

/**
 * Checks batches whose text hides nothing: printable ASCII without escapes, too short for any bound on texts to be passed. Nothing is made of
 * what they hold, which is most of the work of reading them. What is not as it should be is left to {@link Notifications} to name.
 */
final class PlainBatch {

    /** The names of fields as the parser compares them: by their bytes, without making strings of them. */
    private static final PropertyNameMatcher NAMES = new JsonFactory()
            .constructNameMatcher(
                    Stream.of("topic", "type", "url", "t", "data")
                            .map(Named::fromString)
                            .toList(),
                    false);

    private static final int TOPIC = 1;
    private static final int TYPE = 2;
    private static final int URL = 4;
    private static final int T = 8;
    private static final int DATA = 16;
    private static final int NEEDED = TOPIC | TYPE | URL | T;

    /** An object with more names than this keeps them in a set. */
    private static final int FEW = 8;

    private static final VarHandle EIGHT = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.nativeOrder());

    private static final long EACH = 0x0101010101010101L;

    private PlainBatch() {}

    /** Whether a body is of this kind. */
    static boolean is(byte[] json) {
        if (json.length > Notifications.MAX_TEXT) {
            return false;
        }
        int whole = json.length & -Long.BYTES;
        for (int i = 0; i < whole; i += Long.BYTES) {
            if (!isPlain((long) EIGHT.get(json, i))) {
                return false;
            }
        }
        for (int i = whole; i < json.length; i++) {
            if (!isPlain(json[i] * EACH)) {
                return false;
            }
        }
        return true;
    }

    /**
     * Whether eight bytes are printable ASCII and no backslash. After "Determine if a word has a byte less than n" and "a byte equal to
     * n" of Sean Eron Anderson's Bit Twiddling Hacks.
     */
    private static boolean isPlain(long eight) {
        long backslash = eight ^ 0x5c5c5c5c5c5c5c5cL;
        long delete = eight ^ 0x7f7f7f7f7f7f7f7fL;
        long found = eight | (eight - 0x2020202020202020L) | (backslash - EACH) | (delete - EACH);
        return (found & 0x8080808080808080L) == 0;
    }

    /** What is in the batch; {@code null} if something is wrong with it, or not usual. */
    static @Nullable Summary check(JsonParser parser, int most) {
        if (parser.nextToken() != JsonToken.START_ARRAY) {
            return null;
        }
        int count = 0;
        long latest = 0;
        for (JsonToken token = parser.nextToken(); token != JsonToken.END_ARRAY; token = parser.nextToken()) {
            long t = token == JsonToken.START_OBJECT && count < most ? event(parser) : -1;
            if (t < 0) {
                return null;
            }
            latest = Math.max(latest, t);
            count++;
        }
        return parser.nextToken() == null ? new Summary(count, latest) : null;
    }

    /** The time of the event that the parser stands on; negative if it is none. */
    private static long event(JsonParser parser) {
        int seen = 0;
        long t = -1;
        for (int name = parser.nextNameMatch(NAMES); name >= 0; name = parser.nextNameMatch(NAMES)) {
            JsonToken token = parser.nextToken();
            int field = switch (name) {
                case 0 -> isText(parser, token, Notifications.MAX_TOPIC) ? TOPIC : 0;
                case 1 -> token == JsonToken.VALUE_STRING && Notifications.isType(parser.getString()) ? TYPE : 0;
                case 2 -> isText(parser, token, Notifications.MAX_URL) ? URL : 0;
                case 3 -> {
                    t = token == JsonToken.VALUE_NUMBER_INT ? parser.getLongValue() : -1;
                    yield t >= 0 && t <= Notifications.MAX_T ? T : 0;
                }
                case 4 ->
                    token == JsonToken.VALUE_NULL || (token == JsonToken.START_OBJECT && isObject(parser)) ? DATA : 0;
                default -> 0;
            };
            if (field == 0 || (seen & field) != 0) {
                return -1;
            }
            seen |= field;
        }
        boolean whole = parser.currentToken() == JsonToken.END_OBJECT; // else the last name is none of ours
        return whole && (seen & NEEDED) == NEEDED ? t : -1;
    }

    private static boolean isText(JsonParser parser, JsonToken token, int most) {
        if (token != JsonToken.VALUE_STRING) {
            return false;
        }
        int length = parser.getStringLength();
        return length > 0 && length <= most;
    }

    /** Whether the object that the parser stands on has each of its names once, and so on within. */
    private static boolean isObject(JsonParser parser) {
        String[] few = new String[FEW];
        Set<String> many = null;
        int count = 0;
        for (String name = parser.nextName(); name != null; name = parser.nextName()) {
            if (count < FEW) {
                for (int i = 0; i < count; i++) {
                    if (few[i].equals(name)) {
                        return false;
                    }
                }
                few[count++] = name;
            } else {
                if (many == null) {
                    many = new HashSet<>(Arrays.asList(few));
                }
                if (!many.add(name)) {
                    return false;
                }
            }
            if (!isValue(parser, parser.nextToken())) {
                return false;
            }
        }
        return true;
    }

    private static boolean isValue(JsonParser parser, JsonToken token) {
        return switch (token) {
            case START_OBJECT -> isObject(parser);
            case START_ARRAY -> {
                for (JsonToken next = parser.nextToken(); next != JsonToken.END_ARRAY; next = parser.nextToken()) {
                    if (!isValue(parser, next)) {
                        yield false;
                    }
                }
                yield true;
            }
            case VALUE_STRING, VALUE_TRUE, VALUE_FALSE, VALUE_NULL -> true;
            case VALUE_NUMBER_INT -> parser.getStringLength() < 19;
            default -> false;
        };
    }
}
