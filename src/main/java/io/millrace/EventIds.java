package io.millrace;

import java.security.SecureRandom;
import java.util.Base64;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Makes event ids that no other process makes: 96 random bits of this process, then a counter. A random number for each id would
 * cost more than everything else that is done to an event before it is sent.
 */
final class EventIds {

    private static final String PROCESS = process();

    private static final AtomicLong COUNTER = new AtomicLong();

    private EventIds() {}

    static String next() {
        return PROCESS + Long.toString(COUNTER.incrementAndGet(), Character.MAX_RADIX);
    }

    private static String process() {
        byte[] bits = new byte[12];
        new SecureRandom().nextBytes(bits);
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bits) + ".";
    }
}
