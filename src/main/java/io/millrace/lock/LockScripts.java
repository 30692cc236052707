package io.millrace.lock;

import io.millrace.redis.LuaScript;
import io.millrace.redis.Reply;

/** The scripts of {@code lua/lock}; what they take and answer is said in their headers. */
final class LockScripts {

    /** Who has the lock now: {@code fence} if we do, else ms until its owner's lease ends. */
    record Answer(boolean held, long number) {}

    private enum Acquired {
        HELD,
        BUSY
    }

    private enum Renewed {
        HELD,
        LOST
    }

    private enum Released {
        RELEASED,
        LOST
    }

    static final LuaScript<Answer> ACQUIRE = LuaScript.repeatable("lock/acquire.lua", LockScripts::answer);
    static final LuaScript<Boolean> RENEW =
            LuaScript.repeatable("lock/renew.lua", reply -> reply.status(Renewed.class) == Renewed.HELD);
    static final LuaScript<Boolean> RELEASE =
            LuaScript.repeatable("lock/release.lua", reply -> reply.status(Released.class) == Released.RELEASED);

    private LockScripts() {}

    /** Has them all read from the resources, where that may block. */
    static void load() {}

    private static Answer answer(Reply reply) {
        return new Answer(reply.status(Acquired.class) == Acquired.HELD, reply.number(1));
    }
}
