package io.millrace.json;

import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.temporal.ChronoField;
import org.jspecify.annotations.Nullable;

/**
 * Instants as ISO 8601 with milliseconds, {@code 2026-11-20T09:30:00.000Z}, and back. Every event bears one: the general formatter
 * of the JDK costs more than writing all the rest of an event.
 */
final class Times {

    private static final int LENGTH = 24;

    /** The text of a whole second, up to the dot; events of one second share it. */
    private record Second(long epochSecond, String text) {}

    private static volatile Second last = new Second(0, "1970-01-01T00:00:00");

    private Times() {}

    /** With milliseconds, always {@value #LENGTH} characters for years from 0 to 9999. */
    static String text(Instant time) {
        int ms = time.get(ChronoField.MILLI_OF_SECOND);
        return second(time)
                + '.'
                + (char) ('0' + ms / 100)
                + (char) ('0' + ms / 10 % 10)
                + (char) ('0' + ms % 10)
                + 'Z';
    }

    /** The text of its whole second, up to the dot. */
    static String second(Instant time) {
        long seconds = time.getEpochSecond();
        Second known = last;
        if (known.epochSecond() != seconds) {
            String second =
                    time.atOffset(ZoneOffset.UTC).toLocalDateTime().withNano(0).toString();
            known = new Second(seconds, second.length() == 16 ? second + ":00" : second); // the JDK leaves out :00
            last = known;
        }
        return known.text();
    }

    /**
     * Reads any ISO 8601 instant; the form that {@link #text} writes fastest.
     *
     * @throws java.time.DateTimeException if it is none
     */
    static Instant parse(String text) {
        Instant canonical = canonical(text);
        return canonical != null ? canonical : Instant.parse(text);
    }

    private static @Nullable Instant canonical(String text) {
        if (text.length() != LENGTH || text.charAt(19) != '.' || text.charAt(23) != 'Z') {
            return null;
        }
        int ms = number(text, 20, 23);
        if (ms < 0) {
            return null;
        }
        Second known = last;
        if (text.startsWith(known.text())) {
            return Instant.ofEpochSecond(known.epochSecond(), ms * 1_000_000L);
        }
        long second = LocalDateTime.parse(text.substring(0, 19)).toEpochSecond(ZoneOffset.UTC);
        last = new Second(second, text.substring(0, 19));
        return Instant.ofEpochSecond(second, ms * 1_000_000L);
    }

    private static int number(String text, int from, int to) {
        int number = 0;
        for (int i = from; i < to; i++) {
            int digit = text.charAt(i) - '0';
            if (digit < 0 || digit > 9) {
                return -1;
            }
            number = number * 10 + digit;
        }
        return number;
    }
}
