package io.millrace.queue;

import java.util.Locale;

/**
 * How many messages a facet may have waiting in a queue, and what happens to one more. Counted when a message is delivered; what comes
 * back from a consumer always finds its place.
 *
 * <p>A delayed delivery takes up room from the moment it is asked for, so that none is missing when it is due: where there is none it is
 * refused then, or its producer waits. With {@link Overflow#OLDEST} it takes up none before it is due, and then the oldest makes room for
 * it and becomes a dead letter, since no producer is there to be told; a facet may have as many delayed deliveries as its limit allows
 * messages, more are refused.
 *
 * @param limit 1 to {@value #MAX_LIMIT}, 1,000 with {@link Overflow#NEWEST}; 0 for {@link #UNLIMITED}
 * @param overflow what happens at the limit
 */
public record Admission(int limit, Overflow overflow) {

    /** The highest limit. */
    public static final int MAX_LIMIT = 100_000_000;

    /** The highest limit where waiting messages have to be looked through. */
    public static final int MAX_NEWEST = 1_000;

    /** No limit. */
    public static final Admission UNLIMITED = new Admission(0, Overflow.REJECT);

    /** What happens to a message that would be one too many. */
    public enum Overflow {
        /** It is refused, and its producer told: {@link Delivered#refusedBy()}. */
        REJECT,
        /** The oldest waiting message of its facet is dropped for it, and the producer told: {@link Delivered#displaced()}. */
        OLDEST,
        /**
         * It takes the place of a waiting message of the same type and name, also below the limit, and the producer is told; at the
         * limit one of a new type and name is refused.
         */
        NEWEST,
        /**
         * Its producer waits until there is room, for 30 s; after that the delivery fails with {@link io.millrace.OverloadedException}
         * and may be asked for again. What one publisher delivers keeps its order inside a facet, at one round trip each;
         * deliveries that are asked for one by one at the same time may overtake each other.
         */
        WAIT
    }

    /** @throws IllegalArgumentException if out of range */
    public Admission {
        Check.between("limit", limit, 0, overflow == Overflow.NEWEST ? MAX_NEWEST : MAX_LIMIT);
    }

    /** So many waiting messages a facet. */
    public static Admission of(int limit, Overflow overflow) {
        Check.between("limit", limit, 1, MAX_LIMIT);
        return new Admission(limit, overflow);
    }

    String stored() {
        return limit == 0 ? "" : limit + "/" + overflow.name().toLowerCase(Locale.ROOT);
    }

    static Admission read(String stored) {
        if (stored.isEmpty()) {
            return UNLIMITED;
        }
        int slash = stored.indexOf('/');
        return new Admission(
                Integer.parseInt(stored.substring(0, slash)),
                Overflow.valueOf(stored.substring(slash + 1).toUpperCase(Locale.ROOT)));
    }

    /** The word the script knows it by: who waits is refused for now. */
    String script() {
        return overflow == Overflow.WAIT ? "reject" : overflow.name().toLowerCase(Locale.ROOT);
    }
}
