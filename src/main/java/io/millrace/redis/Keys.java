package io.millrace.redis;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * The names of everything Millrace keeps in one Redis: {@code <namespace>:<kind>:{<name>/<partition>}:<part>}. What is in braces
 * decides the slot, so that the keys of one unit stay together in a cluster.
 *
 * <p>Any text is a legal name: what could be read as a brace, a slash, a colon or a percent sign is written as {@code %xx}.
 *
 * @param namespace what all keys and channels begin with; empty for none
 */
public record Keys(String namespace) {

    /** The prefix of all keys of one unit, UTF-8, ending in a colon. */
    public byte[] unit(String kind, String name, int partition) {
        return bytes(unitText(kind, name, partition));
    }

    /** As {@link #unit}, as text. */
    public String unitText(String kind, String name, int partition) {
        return prefix() + kind + ":{" + escape(name) + "/" + partition + "}:";
    }

    /**
     * The KEYS of a script in a cluster. A script that takes a unit composes the names of its keys, which the server cannot see before
     * they are used: while the slot moves to another master it would run on those that are there. So a second name is declared that, like
     * the prefix itself, no key ever has. A server asked for several keys of which it lacks one runs nothing while their slot moves, and
     * sends the caller on (ASK) or away (TRYAGAIN).
     */
    static List<byte[]> guarded(List<byte[]> keys) {
        byte[] first = keys.get(0);
        if (keys.size() > 1 || first[first.length - 1] != ':') {
            return keys; // all that is used is declared, or there is a second one already
        }
        byte[] guard = Arrays.copyOf(first, first.length + 1);
        guard[first.length] = '-';
        return List.of(first, guard);
    }

    /** A key that is there once, such as {@code <namespace>:{registry}:queues}. */
    public byte[] single(String tag, String part) {
        return bytes(prefix() + "{" + tag + "}:" + part);
    }

    /** The channel of an event's topic: {@code [namespace:]environment:type:name}. */
    public byte[] topicChannel(String topic) {
        return bytes(prefix() + topic);
    }

    /** A glob pattern over topics as one over channels; the namespace matches only itself. */
    public byte[] topicPattern(String glob) {
        return bytes(escapeGlob(prefix()) + glob);
    }

    /** The channel for Millrace's own signals about one unit. */
    public byte[] signalChannel(String kind, String name) {
        return bytes(prefix() + "signal:" + kind + ":" + escape(name));
    }

    private String prefix() {
        return namespace.isEmpty() ? "" : namespace + ":";
    }

    private static String escape(String name) {
        StringBuilder escaped = new StringBuilder(name.length());
        for (int i = 0; i < name.length(); i++) {
            char c = name.charAt(i);
            if (Character.isSurrogate(c) && !isPair(name, i) && !(i > 0 && isPair(name, i - 1))) {
                throw new IllegalArgumentException("a name is not legal Unicode: unpaired surrogate at position " + i);
            }
            if (c <= ' ' || c == 0x7f || "{}/:%".indexOf(c) >= 0) {
                escaped.append('%').append(String.format(Locale.ROOT, "%02x", (int) c));
            } else {
                escaped.append(c);
            }
        }
        return escaped.toString();
    }

    private static boolean isPair(String name, int i) {
        return i + 1 < name.length() && Character.isSurrogatePair(name.charAt(i), name.charAt(i + 1));
    }

    private static String escapeGlob(String text) {
        StringBuilder escaped = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if ("*?[]\\^".indexOf(c) >= 0) {
                escaped.append('\\');
            }
            escaped.append(c);
        }
        return escaped.toString();
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
