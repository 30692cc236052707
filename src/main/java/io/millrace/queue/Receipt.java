package io.millrace.queue;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Proof of one lease: which kind it is and which entry of which partition. It ends with the lease; a later lease of the same message
 * has another one.
 *
 * @param profile lease time and allowed attempts, {@code <ms>.<attempts>}
 * @param entry id of the in-flight entry, {@code <ms>-<n>}
 * @param partition of the queue, from 0
 */
public record Receipt(String profile, String entry, int partition) {

    /** Of a lease that is not held any more. */
    static final Receipt GONE = new Receipt("", "");

    private static final Pattern FORM =
            Pattern.compile("(\\d{1,12}\\.\\d{1,9})\\.(\\d{1,15}-\\d{1,15})(?:\\.([1-9]\\d?))?");

    /**
     * Checks that all parts have their form.
     *
     * @throws IllegalArgumentException if one has not
     */
    public Receipt {
        boolean gone = profile.isEmpty() && entry.isEmpty();
        if (!gone && !(pair(profile, '.') && pair(entry, '-'))) {
            throw new IllegalArgumentException("\"" + profile + "\" and \"" + entry + "\" are no receipt");
        }
        Check.between("partition", partition, 0, QueueOptions.MAX_PARTITIONS - 1);
    }

    /** One of a queue with one partition. */
    public Receipt(String profile, String entry) {
        this(profile, entry, 0);
    }

    /**
     * Reads what {@link #toString()} wrote.
     *
     * @throws IllegalArgumentException if it is no receipt
     */
    public static Receipt parse(String text) {
        Matcher form = FORM.matcher(text);
        if (!form.matches()) {
            throw new IllegalArgumentException(
                    "\"" + text + "\" is no receipt; one looks like 30000.20.1790000000000-0");
        }
        String partition = form.group(3);
        return new Receipt(form.group(1), form.group(2), partition == null ? 0 : Integer.parseInt(partition));
    }

    int maxAttempts() {
        return Integer.parseInt(profile.substring(profile.indexOf('.') + 1));
    }

    /** Two whole numbers and what parts them; by hand, since it is done for every lease. */
    private static boolean pair(String text, char part) {
        int at = text.indexOf(part);
        if (at <= 0 || at == text.length() - 1 || text.length() > 31) {
            return false;
        }
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (i != at && (c < '0' || c > '9')) {
                return false;
            }
        }
        return true;
    }

    /** One word, for other processes; the first partition goes without saying. */
    @Override
    public String toString() {
        return partition == 0 ? profile + "." + entry : profile + "." + entry + "." + partition;
    }
}
