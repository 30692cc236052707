package io.millrace.redis;

import java.util.function.BiFunction;
import java.util.function.Function;

/**
 * One script of {@code lua/}, with its typed answer. It is sent by its digest, and as a whole once when the server does not know it.
 *
 * @param <T> what its reply is decoded to
 */
public final class LuaScript<T> {

    private final LuaSource source;
    private final boolean repeatable;
    private final BiFunction<Reply, Boolean, T> decoder;

    private LuaScript(LuaSource source, boolean repeatable, BiFunction<Reply, Boolean, T> decoder) {
        this.source = source;
        this.repeatable = repeatable;
        this.decoder = decoder;
    }

    /**
     * A script that may run twice without harm to its caller: repeated by itself when its answer was lost.
     *
     * @param path below {@code lua/}, such as {@code queue/ack.lua}
     * @param decoder reads the reply; what it throws reaches the caller
     */
    public static <T> LuaScript<T> repeatable(String path, Function<Reply, T> decoder) {
        return new LuaScript<>(LuaSource.load(path), true, (reply, again) -> decoder.apply(reply));
    }

    /**
     * As {@link #repeatable}, for a script whose second run changes nothing but answers otherwise.
     *
     * @param decoder is told, too, whether an earlier try may have been carried out, whose answer was lost
     */
    public static <T> LuaScript<T> retold(String path, BiFunction<Reply, Boolean, T> decoder) {
        return new LuaScript<>(LuaSource.load(path), true, decoder);
    }

    /** A script of which a repeat takes more than was asked for: only its caller may decide to run it again. */
    public static <T> LuaScript<T> once(String path, Function<Reply, T> decoder) {
        return new LuaScript<>(LuaSource.load(path), false, (reply, again) -> decoder.apply(reply));
    }

    /** Where it comes from, below {@code lua/}. */
    public String path() {
        return source.path();
    }

    /** What is sent to the server. */
    public LuaSource source() {
        return source;
    }

    boolean isRepeatable() {
        return repeatable;
    }

    /** @param again whether an earlier try may have been carried out */
    T decode(Reply reply, boolean again) {
        return decoder.apply(reply, again);
    }
}
