package io.millrace.drain;

import java.util.Locale;

/** What happened to a resource. */
public enum ChangeType {
    /** It is new. */
    CREATE,
    /** It is different. */
    UPDATE,
    /** It is gone. */
    DELETE,
    /** Nothing; told so that receivers learn of resources that have been there all along. */
    NOOP;

    private final String word = name().toLowerCase(Locale.ROOT);

    /** As it is written on the wire: {@code create}, {@code update}, {@code delete}, {@code noop}. */
    public String word() {
        return word;
    }

    static ChangeType of(String word) {
        return switch (word) {
            case "create" -> CREATE;
            case "update" -> UPDATE;
            case "delete" -> DELETE;
            case "noop" -> NOOP;
            default -> throw new IllegalArgumentException("\"" + word + "\" is no type of change");
        };
    }
}
