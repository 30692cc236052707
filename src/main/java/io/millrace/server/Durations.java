package io.millrace.server;

import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Durations as people write them: {@code 500ms}, {@code 30s}, {@code 5m}, {@code 2h}, or ISO 8601 such as {@code PT30S}. */
public final class Durations {

    private static final Pattern SHORT = Pattern.compile("(\\d{1,12})(ms|s|m|h)");

    private Durations() {}

    /**
     * Reads a duration.
     *
     * @throws IllegalArgumentException if it is none, with what was expected
     */
    public static Duration parse(String text) {
        Matcher matcher = SHORT.matcher(text);
        if (matcher.matches()) {
            long amount = Long.parseLong(matcher.group(1));
            return switch (matcher.group(2)) {
                case "ms" -> Duration.ofMillis(amount);
                case "s" -> Duration.ofSeconds(amount);
                case "m" -> Duration.ofMinutes(amount);
                default -> Duration.ofHours(amount);
            };
        }
        try {
            if (text.toUpperCase(Locale.ROOT).startsWith("P")) {
                return Duration.parse(text);
            }
        } catch (DateTimeParseException e) {
            // told below
        }
        throw new IllegalArgumentException(
                "\"" + text + "\" is no duration; write it like 500ms, 30s, 5m, 2h or PT30S");
    }

    /**
     * Reads a time that has been: an instant, or how long ago it is.
     *
     * @throws IllegalArgumentException if it is neither, or still to come; with what was expected
     */
    public static Instant past(String text, Instant now) {
        Instant when;
        try {
            when = text.indexOf(':') >= 0 ? Instant.parse(text) : now.minus(parse(text));
        } catch (DateTimeException | ArithmeticException | IllegalArgumentException e) {
            throw new IllegalArgumentException("\"" + text + "\" is neither an age such as 30m, 168h or P7D"
                    + " nor an instant such as 2026-01-01T08:00:00Z");
        }
        if (when.isAfter(now)) {
            throw new IllegalArgumentException("\"" + text + "\" is still to come; it is " + now + " now");
        }
        return when.isBefore(Instant.EPOCH) ? Instant.EPOCH : when;
    }
}
