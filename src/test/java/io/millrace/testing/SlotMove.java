package io.millrace.testing;

import io.lettuce.core.MigrateArgs;
import java.util.List;

/**
 * A slot of a cluster on its way from one master to another, as {@code redis-cli --cluster reshard} does it: both are told, the keys
 * move a few at a time while both serve, both are told again. Each step is one call, so that a test can look in between.
 */
public final class SlotMove {

    private static final long TIMEOUT_MS = 5_000;

    private final int slot;
    private final OwnRedis source;
    private final OwnRedis target;
    private final String sourceId;
    private final String targetId;

    SlotMove(int slot, OwnRedis source, OwnRedis target) {
        this.slot = slot;
        this.source = source;
        this.target = target;
        this.sourceId = RedisAdmin.ask(source.uri(), redis -> redis.clusterMyId());
        this.targetId = RedisAdmin.ask(target.uri(), redis -> redis.clusterMyId());
    }

    /** From now on the target imports the slot, and the source sends there who asks for keys it does not have. */
    public void begin() {
        RedisAdmin.ask(target.uri(), redis -> redis.clusterSetSlotImporting(slot, sourceId));
        RedisAdmin.ask(source.uri(), redis -> redis.clusterSetSlotMigrating(slot, targetId));
    }

    /** Moves up to so many keys. Answers whether there may be more. */
    public boolean some(int keys) {
        return RedisAdmin.ask(source.uri(), redis -> {
            List<String> next = redis.clusterGetKeysInSlot(slot, keys);
            if (!next.isEmpty()) {
                redis.migrate("127.0.0.1", target.port(), 0, TIMEOUT_MS, MigrateArgs.Builder.keys(next));
            }
            return next.size() == keys;
        });
    }

    /** The slot is the target's; the target hears of it first, as it must. */
    public void finish() {
        for (OwnRedis node : List.of(target, source)) {
            RedisAdmin.ask(node.uri(), redis -> redis.clusterSetSlotNode(slot, targetId));
        }
    }

    /** How many keys of the slot the source has. */
    public long atSource() {
        return count(source);
    }

    /** How many keys of the slot the target has. */
    public long atTarget() {
        return count(target);
    }

    private long count(OwnRedis node) {
        return RedisAdmin.ask(node.uri(), redis -> redis.clusterCountKeysInSlot(slot));
    }
}
