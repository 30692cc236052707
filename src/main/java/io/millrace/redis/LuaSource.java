package io.millrace.redis;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The text of a script as the server gets it: constant, from the resources, with its includes put in place.
 *
 * <p>A line {@code -- @include queue/unit.lua} stands for that file, each file at most once in a scope (an include inside a function
 * is a scope of its own). A header line {@code Flags allow-oom} lets the script run when memory is full.
 */
public final class LuaSource {

    private static final Pattern INCLUDE = Pattern.compile("(?m)^( *)-- @include (\\S+)$");
    private static final Pattern FLAGS = Pattern.compile("(?m)^ *Flags +(allow-oom)$");

    private final String path;
    private final String header;
    private final byte[] text;
    private final byte[] digest;

    private LuaSource(String path, String header, byte[] text, byte[] digest) {
        this.path = path;
        this.header = header;
        this.text = text;
        this.digest = digest;
    }

    /**
     * Reads a script of the resources.
     *
     * @param path below {@code lua/}
     * @throws IllegalArgumentException if there is none
     */
    public static LuaSource load(String path) {
        String raw = resource(path);
        int headerEnd = raw.indexOf("]]");
        if (!raw.startsWith("--[[") || headerEnd < 0) {
            throw new IllegalArgumentException("lua/" + path + " has no header comment");
        }
        String header = raw.substring(0, headerEnd);
        Matcher flags = FLAGS.matcher(header);
        String shebang = flags.find() ? "#!lua flags=" + flags.group(1) + "\n" : "";
        byte[] text = (shebang + expand(raw, new HashSet<>())).getBytes(StandardCharsets.UTF_8);
        return new LuaSource(path, header, text, sha1(text));
    }

    /** Where it comes from, below {@code lua/}. */
    public String path() {
        return path;
    }

    /** Its header comment: purpose, keys, arguments, answer, what a second run does. */
    public String header() {
        return header;
    }

    /** What the server runs. */
    public String text() {
        return new String(text, StandardCharsets.UTF_8);
    }

    byte[] textBytes() {
        return text;
    }

    byte[] digest() {
        return digest;
    }

    private static String expand(String raw, Set<String> included) {
        Matcher include = INCLUDE.matcher(raw);
        StringBuilder text = new StringBuilder();
        while (include.find()) {
            String nested = include.group(2);
            boolean inner = !include.group(1).isEmpty();
            Set<String> scope = inner ? new HashSet<>(included) : included;
            String replacement = "";
            if (scope.add(nested)) {
                replacement = expand(resource(nested), scope);
            }
            include.appendReplacement(text, Matcher.quoteReplacement(replacement));
        }
        include.appendTail(text);
        return text.toString();
    }

    private static String resource(String path) {
        try (InputStream in = LuaSource.class.getResourceAsStream("/lua/" + path)) {
            if (in == null) {
                throw new IllegalArgumentException("there is no script lua/" + path);
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static byte[] sha1(byte[] text) {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-1").digest(text);
            return HexFormat.of().formatHex(digest).getBytes(StandardCharsets.US_ASCII);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
