package io.millrace.lock;

import io.millrace.redis.Keys;
import java.util.List;

/**
 * Where the members of a group are kept. Both keys are in one slot, and gone soon after the last member.
 *
 * @param name for messages
 * @param members key of who is alive until when; also the channel on which members hear that others came or went
 * @param order key of the order in which they joined
 */
public record GroupKeys(String name, byte[] members, byte[] order) {

    /** A group of its own, in its own slot. */
    public static GroupKeys of(Keys keys, String name) {
        if (name.isEmpty()) {
            throw new IllegalArgumentException("a group needs a name; it was empty");
        }
        return within(name, keys.unitText("group", name, 0));
    }

    /**
     * A group beside something else.
     *
     * @param unit what its keys begin with, with a hash tag
     */
    public static GroupKeys within(String name, String unit) {
        return new GroupKeys(name, LockKeys.bytes(unit + "members"), LockKeys.bytes(unit + "order"));
    }

    List<byte[]> both() {
        return List.of(members, order);
    }
}
