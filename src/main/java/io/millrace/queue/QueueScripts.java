package io.millrace.queue;

import io.millrace.redis.LuaScript;
import io.millrace.redis.Reply;
import java.util.ArrayList;
import java.util.List;

/** The scripts of {@code lua/queue}; what they take and answer is said in their headers. */
final class QueueScripts {

    static final LuaScript<Reply> DELIVER = LuaScript.repeatable("queue/deliver.lua", reply -> reply);
    static final LuaScript<Reply> PULL = LuaScript.once("queue/pull.lua", QueueScripts::ok);
    static final LuaScript<Told> ACK = LuaScript.retold("queue/ack.lua", QueueScripts::told);
    static final LuaScript<Told> RETURN = LuaScript.retold("queue/return.lua", QueueScripts::told);
    static final LuaScript<Reply> EXTEND = LuaScript.repeatable("queue/extend.lua", QueueScripts::ok);
    static final LuaScript<Reply> PEEK = LuaScript.repeatable("queue/peek.lua", QueueScripts::ok);
    static final LuaScript<Reply> FACETS = LuaScript.repeatable("queue/facets.lua", QueueScripts::ok);
    static final LuaScript<Reply> IN_FLIGHT = LuaScript.repeatable("queue/inflight.lua", QueueScripts::ok);
    static final LuaScript<Reply> DEAD = LuaScript.repeatable("queue/dead.lua", QueueScripts::ok);
    static final LuaScript<Reply> DOCTOR = LuaScript.repeatable("queue/doctor.lua", QueueScripts::ok);
    static final LuaScript<Reply> JUDGE = LuaScript.repeatable("queue/judge.lua", QueueScripts::ok);
    static final LuaScript<Reply> DESTROY = LuaScript.repeatable("queue/destroy.lua", QueueScripts::ok);

    static final LuaScript<Reply> POLICY = LuaScript.repeatable("queue/policy.lua", QueueScripts::ok);
    static final LuaScript<Reply> REDRIVE = LuaScript.repeatable("queue/redrive.lua", QueueScripts::ok);
    static final LuaScript<Reply> ADMIT = LuaScript.repeatable("queue/admit.lua", reply -> reply);
    static final LuaScript<Reply> SCHEDULE = LuaScript.repeatable("queue/schedule.lua", reply -> reply);
    static final LuaScript<Reply> DWELL = LuaScript.once("queue/dwell.lua", QueueScripts::ok);
    static final LuaScript<Reply> CANCEL = LuaScript.repeatable("queue/cancel.lua", QueueScripts::ok);

    static final LuaScript<Reply> BURY = LuaScript.once("queue/bury.lua", QueueScripts::ok);

    private QueueScripts() {}

    /**
     * An answer.
     *
     * @param again whether an earlier try may have been carried out: then this may tell of the second run
     */
    record Told(Reply reply, boolean again) {}

    /** Has them all read from the resources. */
    static void load() {
        all();
    }

    /** All of them, for tests that look at every script. */
    static List<LuaScript<?>> all() {
        return new ArrayList<>(List.of(
                DELIVER, PULL, ACK, RETURN, EXTEND, PEEK, FACETS, IN_FLIGHT, DEAD, DOCTOR, DESTROY, POLICY, REDRIVE,
                ADMIT, SCHEDULE, CANCEL, DWELL, BURY));
    }

    private enum Ok {
        OK
    }

    /** What {@code queue/admit.lua} has to say of an event. */
    enum Admitted {
        DUPLICATE,
        REFUSED,
        DISPLACED,
        UNTRIED
    }

    private enum DeliverStatus {
        OK,
        HOLDING,
        STALE
    }

    /** Whether a batch was delivered; else its routing was outdated. {@code 1}: and none of it was a duplicate. */
    static boolean delivered(Reply reply) {
        return isOne(reply) || reply.status(DeliverStatus.class) != DeliverStatus.STALE;
    }

    /** Whether a queue of a batch that was delivered has delayed deliveries. */
    static boolean holding(Reply reply) {
        return !isOne(reply) && reply.status(DeliverStatus.class) == DeliverStatus.HOLDING;
    }

    private static boolean isOne(Reply reply) {
        return reply.size() == 1 && reply.values().get(0) instanceof Long;
    }

    private static Told told(Reply reply, boolean again) {
        return new Told(ok(reply), again);
    }

    private static Reply ok(Reply reply) {
        reply.status(Ok.class);
        return reply;
    }
}
