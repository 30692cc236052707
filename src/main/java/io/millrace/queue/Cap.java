package io.millrace.queue;

/**
 * How many messages may be in flight at a time, under leases that have not ended.
 *
 * @param messages 1 or more; 0 for {@link #NONE}
 * @param elastic whether it holds only while other facets below their caps want to be served; on an idle system an elastic cap costs
 *     nothing. For facets only
 */
public record Cap(int messages, boolean elastic) {

    /** No cap; takes one away. */
    public static final Cap NONE = new Cap(0, false);

    /** @throws IllegalArgumentException if out of range */
    public Cap {
        Check.between("cap", messages, 0, 1_000_000);
    }

    /** A cap that always holds. */
    public static Cap of(int messages) {
        return new Cap(Check.between("cap", messages, 1, 1_000_000), false);
    }

    /** The same, only while others wait. */
    public Cap whileOthersWait() {
        return new Cap(messages, true);
    }

    String stored() {
        return messages == 0 ? "" : messages + (elastic ? "e" : "");
    }

    static Cap read(String stored) {
        boolean elastic = stored.endsWith("e");
        return new Cap(Integer.parseInt(elastic ? stored.substring(0, stored.length() - 1) : stored), elastic);
    }

    @Override
    public String toString() {
        return messages == 0 ? "none" : messages + (elastic ? " elastic" : "");
    }
}
