package io.millrace.lock;

import io.millrace.redis.LuaScript;
import io.millrace.redis.Reply;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The scripts of {@code lua/lock}; what they take and answer is said in their headers. */
final class LockScripts {

    /** Who has the lock now: {@code fence} if we do, else ms until its owner's lease ends. */
    record Answer(boolean held, long number) {}

    /** Who is there: how many, how many of them joined before us, ms until the next of the others counts as dead or -1. */
    record Group(int members, int rank, long nextDeadMs) {}

    private enum Ok {
        OK
    }

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

    static final LuaScript<Group> MEMBER = LuaScript.repeatable("lock/member.lua", LockScripts::group);

    static final LuaScript<List<Membership.Member>> MEMBERS =
            LuaScript.repeatable("lock/members.lua", LockScripts::members);

    private LockScripts() {}

    /** Has them all read from the resources, where that may block. */
    static void load() {}

    private static Answer answer(Reply reply) {
        return new Answer(reply.status(Acquired.class) == Acquired.HELD, reply.number(1));
    }

    private static Group group(Reply reply) {
        reply.status(Ok.class);
        return new Group((int) reply.number(1), (int) reply.number(2), reply.number(3));
    }

    /** Who is there; what each holds is not said here. */
    private static List<Membership.Member> members(Reply reply) {
        reply.status(Ok.class);
        List<Membership.Member> members = new ArrayList<>();
        for (int i = 2; i < reply.size(); i += 2) {
            Duration left = Duration.ofMillis(reply.number(i + 1) - reply.number(1));
            members.add(new Membership.Member(reply.text(i), List.of(), left));
        }
        return members;
    }

    /** Arguments; how long numbers are remembered is the last one if it is not for ever. */
    static List<byte[]> words(@Nullable Duration memory, Object... words) {
        List<byte[]> args = new ArrayList<>();
        for (Object word : words) {
            args.add(LockKeys.bytes(word.toString()));
        }
        if (memory != null) {
            args.add(LockKeys.bytes(Long.toString(memory.toMillis())));
        }
        return args;
    }
}
