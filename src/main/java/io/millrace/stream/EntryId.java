package io.millrace.stream;

import java.time.Instant;

/**
 * Where an entry stands in its stream: the server's time when it was added, and a number within that millisecond. Compared as numbers,
 * never as text. Both are unsigned 64 bit numbers.
 *
 * @param ms epoch milliseconds, by the server
 * @param seq number within the millisecond
 */
public record EntryId(long ms, long seq) implements Comparable<EntryId> {

    /** Before every entry. */
    public static final EntryId ZERO = new EntryId(0, 0);

    /**
     * Reads {@code 1790000000000-3}, or {@code 1790000000000} for its first.
     *
     * @throws IllegalArgumentException if it is neither
     */
    public static EntryId parse(String text) {
        int dash = text.indexOf('-');
        try {
            return dash < 0
                    ? new EntryId(Long.parseUnsignedLong(text), 0)
                    : new EntryId(
                            Long.parseUnsignedLong(text.substring(0, dash)),
                            Long.parseUnsignedLong(text.substring(dash + 1)));
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException("\"" + text + "\" is no entry id; one looks like 1790000000000-0", e);
        }
    }

    /** The id before the first entry that can have been added at this time. */
    public static EntryId before(Instant time) {
        long ms = time.toEpochMilli();
        return ms <= 0 ? ZERO : new EntryId(ms - 1, -1);
    }

    /** The one so many places on, in the same millisecond. */
    EntryId plus(long places) {
        return new EntryId(ms, seq + places);
    }

    /** Whether this one comes after another. */
    public boolean isAfter(EntryId other) {
        return compareTo(other) > 0;
    }

    /** When it was added, by the server's clock. */
    public Instant time() {
        return Instant.ofEpochMilli(ms);
    }

    @Override
    public int compareTo(EntryId other) {
        int byMs = Long.compareUnsigned(ms, other.ms);
        return byMs != 0 ? byMs : Long.compareUnsigned(seq, other.seq);
    }

    @Override
    public String toString() {
        return Long.toUnsignedString(ms) + "-" + Long.toUnsignedString(seq);
    }
}
