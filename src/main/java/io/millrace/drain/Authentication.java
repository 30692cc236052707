package io.millrace.drain;

import java.time.Instant;

/**
 * How a sender's proof of identity turned out.
 *
 * @param outcome whether it may send
 * @param method {@code basic}, {@code signature} or {@code none}
 * @param key which of the drain's tokens or secrets it had, in the order they were given, from 0; -1 if none
 * @param reason why it was refused, without anything secret; empty if it was not
 * @param at when, by this machine's clock
 */
public record Authentication(Outcome outcome, String method, int key, String reason, Instant at) {

    /** Whether a sender may send. */
    public enum Outcome {
        /** It may. */
        ACCEPTED,
        /** It gave no proof. */
        MISSING,
        /** Its proof is wrong. */
        REFUSED
    }

    static Authentication accepted(String method, int key) {
        return new Authentication(Outcome.ACCEPTED, method, key, "", now());
    }

    static Authentication missing(String reason) {
        return new Authentication(Outcome.MISSING, "none", -1, reason, now());
    }

    static Authentication refused(String method, String reason) {
        return new Authentication(Outcome.REFUSED, method, -1, reason, now());
    }

    private static Instant now() {
        return Instant.ofEpochMilli(System.currentTimeMillis());
    }
}
