package io.millrace.server;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Cuts bytes into lines as they come. Of a line that is too long only its beginning is kept, until its end has passed by. Blank lines
 * are left out but counted. Not thread safe.
 */
public final class LineSplitter {

    /**
     * One line that is not blank.
     *
     * @param number from 1
     * @param bytes its text without the line end; cut if it was too long
     * @param tooLong whether it was longer than allowed
     */
    public record Line(long number, byte[] bytes, boolean tooLong) {}

    private final int maxBytes;
    private final ByteArrayOutputStream line = new ByteArrayOutputStream(512);
    private boolean tooLong;
    private long number = 1;

    /** @param maxBytes how long a line may be */
    public LineSplitter(int maxBytes) {
        this.maxBytes = maxBytes;
    }

    /** The lines that end in these bytes. */
    public List<Line> feed(ByteBuffer bytes) {
        List<Line> lines = new ArrayList<>();
        while (bytes.hasRemaining()) {
            int end = indexOfLineFeed(bytes);
            int length = (end < 0 ? bytes.limit() : end) - bytes.position();
            keep(bytes, length);
            if (end >= 0) {
                bytes.position(end + 1);
                finish(lines);
            }
        }
        return lines;
    }

    /** The last line, if it had no line feed. */
    public List<Line> end() {
        List<Line> lines = new ArrayList<>(1);
        finish(lines);
        return lines;
    }

    private void keep(ByteBuffer bytes, int length) {
        int room = Math.min(length, maxBytes + 1 - line.size()); // one more, for a carriage return
        if (room > 0) {
            byte[] piece = new byte[room];
            bytes.get(piece);
            line.write(piece, 0, room);
        } else {
            room = 0;
        }
        tooLong |= room < length;
        bytes.position(bytes.position() + length - room);
    }

    private void finish(List<Line> lines) {
        byte[] text = line.toByteArray();
        int length = text.length > 0 && text[text.length - 1] == '\r' && !tooLong ? text.length - 1 : text.length;
        int start = number == 1 && hasByteOrderMark(text) ? 3 : 0;
        boolean overlong = tooLong || length - start > maxBytes;
        if (overlong || !blank(text, start, length)) {
            lines.add(new Line(
                    number, Arrays.copyOfRange(text, start, overlong ? Math.min(length, 64) : length), overlong));
        }
        line.reset();
        tooLong = false;
        number++;
    }

    private static boolean hasByteOrderMark(byte[] text) {
        return text.length >= 3 && (text[0] & 0xff) == 0xef && (text[1] & 0xff) == 0xbb && (text[2] & 0xff) == 0xbf;
    }

    private static boolean blank(byte[] text, int from, int to) {
        for (int i = from; i < to; i++) {
            if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r') {
                return false;
            }
        }
        return true;
    }

    private static int indexOfLineFeed(ByteBuffer bytes) {
        for (int i = bytes.position(); i < bytes.limit(); i++) {
            if (bytes.get(i) == '\n') {
                return i;
            }
        }
        return -1;
    }
}
