package io.millrace.drain;

import io.millrace.redis.LuaScript;
import io.millrace.redis.Reply;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** The scripts of {@code lua/drain}; what they take and answer is said in their headers. */
final class DrainScripts {

    static final LuaScript<Reply> STORE = LuaScript.repeatable("drain/store.lua", DrainScripts::ok);
    static final LuaScript<Reply> TAKE = LuaScript.once("drain/take.lua", DrainScripts::ok);
    static final LuaScript<Reply> SETTLE = LuaScript.repeatable("drain/settle.lua", DrainScripts::ok);
    static final LuaScript<Reply> DECIDE = LuaScript.repeatable("drain/decide.lua", reply -> reply);
    static final LuaScript<Reply> STATE = LuaScript.repeatable("drain/state.lua", DrainScripts::ok);
    static final LuaScript<Reply> MARK = LuaScript.repeatable("drain/mark.lua", DrainScripts::ok);
    static final LuaScript<Reply> SWEEP = LuaScript.once("drain/sweep.lua", reply -> reply);
    static final LuaScript<Reply> CLEAN = LuaScript.repeatable("drain/clean.lua", reply -> reply);
    static final LuaScript<Reply> LIST = LuaScript.repeatable("drain/list.lua", DrainScripts::ok);
    static final LuaScript<Reply> INDEX = LuaScript.repeatable("drain/index.lua", DrainScripts::ok);

    private DrainScripts() {}

    /** Has them all read from the resources. */
    static void load() {
        all();
    }

    /** All of them, for tests that look at every script. */
    static List<LuaScript<?>> all() {
        return new ArrayList<>(List.of(STORE, TAKE, SETTLE, DECIDE, STATE, MARK, SWEEP, CLEAN, LIST, INDEX));
    }

    private enum Ok {
        OK
    }

    private static Reply ok(Reply reply) {
        reply.status(Ok.class);
        return reply;
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static byte[] bytes(long number) {
        return bytes(Long.toString(number));
    }

    static List<byte[]> args(Object... words) {
        List<byte[]> args = new ArrayList<>(words.length);
        for (Object word : words) {
            args.add(word instanceof byte[] bytes ? bytes : bytes(word.toString()));
        }
        return args;
    }
}
