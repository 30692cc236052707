package io.millrace.queue;

import java.time.Duration;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How many messages may be handed out in a time, by the generic cell rate algorithm: one every {@code period / count}, and up to
 * {@code burst} at once after a pause. In any period at most {@code count + burst} are handed out, over all consumers.
 *
 * @param count 1 to 1,000,000 a period; 0 for {@link #UNLIMITED}
 * @param period 1 ms to 1 day (resolution: ms)
 * @param burst 1 to {@code count}
 */
public record Rate(int count, Duration period, int burst) {

    /** No limit; takes one away. */
    public static final Rate UNLIMITED = new Rate(0, Duration.ofSeconds(1), 0);

    private static final Pattern TEXT = Pattern.compile("(\\d{1,7})(?:/(\\d{0,8})(ms|s|m|h|d))?(?: burst (\\d{1,7}))?");

    /** @throws IllegalArgumentException if out of range */
    public Rate {
        Check.between("rate", count, 0, 1_000_000);
        Check.between("period", period, Duration.ofMillis(1), Duration.ofDays(1));
        Check.between("burst", burst, count == 0 ? 0 : 1, count);
    }

    /** So many a period, with a burst of a tenth of them, at least one. */
    public static Rate of(int count, Duration period) {
        Check.between("rate", count, 1, 1_000_000);
        return new Rate(count, period, Math.max(1, count / 10));
    }

    /** So many a second. */
    public static Rate perSecond(int count) {
        return of(count, Duration.ofSeconds(1));
    }

    /** So many a minute. */
    public static Rate perMinute(int count) {
        return of(count, Duration.ofMinutes(1));
    }

    /** The same with another burst. */
    public Rate withBurst(int burst) {
        return new Rate(count, period, burst);
    }

    /**
     * Reads {@code 10}, {@code 10/s}, {@code 600/m}, {@code 5/h}, {@code 100/d}, {@code 10/5s}, {@code 600/m burst 20} or {@code none}; a
     * bare number is a second's.
     *
     * @throws IllegalArgumentException if it is none of these, or out of range
     */
    public static Rate parse(String text) {
        if (text.equals("none")) {
            return UNLIMITED;
        }
        Matcher parts = TEXT.matcher(text.toLowerCase(Locale.ROOT));
        if (!parts.matches()) {
            throw new IllegalArgumentException(
                    "\"" + text
                            + "\" is no rate; write 10/s, 600/m, 5/h, 100/d, 10/5s, \"600/m burst 20\", or none to take it away");
        }
        String length = parts.group(2);
        long units = length == null || length.isEmpty() ? 1 : Long.parseLong(length);
        Duration period = switch (parts.group(3) == null ? "s" : parts.group(3)) {
            case "ms" -> Duration.ofMillis(units);
            case "m" -> Duration.ofMinutes(units);
            case "h" -> Duration.ofHours(units);
            case "d" -> Duration.ofDays(units);
            default -> Duration.ofSeconds(units);
        };
        int count = Integer.parseInt(parts.group(1));
        if (count == 0) { // not "none": whoever says it wants nothing handed out, or everything
            throw new IllegalArgumentException(
                    "rate must be 1 or more, was \"" + text + "\"; pause hands out nothing, none takes a rate away");
        }
        String burst = parts.group(4);
        return burst == null ? of(count, period) : new Rate(count, period, Integer.parseInt(burst));
    }

    String stored() {
        return count == 0 ? "" : count + "/" + period.toMillis() + "/" + burst;
    }

    static Rate read(String stored) {
        String[] parts = stored.split("/", 3);
        return new Rate(
                Integer.parseInt(parts[0]), Duration.ofMillis(Long.parseLong(parts[1])), Integer.parseInt(parts[2]));
    }

    @Override
    public String toString() {
        return count == 0 ? "none" : count + " in " + period + ", burst " + burst;
    }
}
