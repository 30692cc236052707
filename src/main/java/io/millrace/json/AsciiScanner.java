package io.millrace.json;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Walks over JSON of a known shape, printable ASCII without escapes; anything else makes it stop matching, and stay so. */
final class AsciiScanner {

    private static final VarHandle EIGHT = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.nativeOrder());

    private static final long EACH = 0x0101010101010101L;
    private static final long HIGHEST = 0x8080808080808080L;

    private final byte[] json;
    private int position;
    private boolean matches = true;

    AsciiScanner(byte[] json) {
        this.json = json;
    }

    /** Whether everything so far was as expected. */
    boolean matches() {
        return matches;
    }

    int position() {
        return position;
    }

    AsciiScanner expect(byte[] text) {
        int end = position + text.length;
        if (matches && end <= json.length && Arrays.equals(json, position, end, text, 0, text.length)) {
            position = end;
        } else {
            matches = false;
        }
        return this;
    }

    /** A number of exactly so many digits; 0 when it stops matching. */
    long digits(int count) {
        long number = 0;
        for (int i = 0; i < count; i++) {
            int digit = matches && position < json.length ? json[position] - '0' : -1;
            if (digit < 0 || digit > 9) {
                matches = false;
                return 0;
            }
            number = number * 10 + digit;
            position++;
        }
        return number;
    }

    /** A string; empty when it stops matching. */
    String string() {
        if (!matches || position >= json.length || json[position] != '"') {
            matches = false;
            return "";
        }
        int start = position + 1;
        for (int i = plain(start); i < json.length; i++) {
            byte b = json[i];
            if (b == '"') {
                position = i + 1;
                return new String(json, start, i - start, StandardCharsets.ISO_8859_1);
            }
            if (b < ' ' || b == '\\') { // bytes of other alphabets are negative
                break;
            }
        }
        matches = false;
        return "";
    }

    /** Goes on by eight bytes for as long as none of them ends a string, see <i>Bit Twiddling Hacks</i>: determine if a word has a byte less than n. */
    private int plain(int from) {
        int i = from;
        for (; i <= json.length - Long.BYTES; i += Long.BYTES) {
            long eight = (long) EIGHT.get(json, i);
            long quote = (eight ^ EACH * '"') - EACH;
            long escape = (eight ^ EACH * '\\') - EACH;
            long control = eight - EACH * ' ';
            if (((quote | escape | control | eight) & HIGHEST) != 0) { // perhaps: byte by byte from here on
                break;
            }
        }
        return i;
    }

    /** Whether this, and nothing more, is left. */
    boolean atEnd(byte[] text) {
        return matches && Arrays.equals(json, position, json.length, text, 0, text.length);
    }
}
