package io.millrace.json;

import java.nio.charset.StandardCharsets;

/** Walks over JSON of a known shape, printable ASCII without escapes; anything else makes it stop matching, and stay so. */
final class AsciiScanner {

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

    AsciiScanner expect(String text) {
        int length = text.length();
        if (!matches || json.length - position < length) {
            matches = false;
            return this;
        }
        for (int i = 0; i < length; i++) {
            if (json[position + i] != text.charAt(i)) {
                matches = false;
                return this;
            }
        }
        position += length;
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
        for (int i = start; i < json.length; i++) {
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

    /** Whether this, and nothing more, is left. */
    boolean atEnd(String text) {
        if (matches && json.length - position == text.length()) {
            AsciiScanner ahead = new AsciiScanner(json);
            ahead.position = position;
            return ahead.expect(text).matches();
        }
        return false;
    }
}
