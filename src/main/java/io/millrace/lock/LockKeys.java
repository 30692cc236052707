package io.millrace.lock;

import io.millrace.redis.Keys;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Where a lock is kept. Whoever checks its fence inside a script of its own puts it into the same slot.
 *
 * @param name for messages
 * @param lock key of the owner's token; also the channel on which waiting ones are woken
 * @param fence key of the last number given
 * @param waiting a list that gets an element with each release, for clients that wait with BRPOP; usually {@code null}
 */
public record LockKeys(String name, byte[] lock, byte[] fence, byte @Nullable [] waiting) {

    /** A lock of its own, in its own slot. */
    public static LockKeys of(Keys keys, String name) {
        if (name.isEmpty()) {
            throw new IllegalArgumentException("a lock needs a name; it was empty");
        }
        String unit = keys.unitText("lock", name, 0);
        return new LockKeys(name, bytes(unit + "owner"), bytes(unit + "fence"), null);
    }

    List<byte[]> lockAndFence() {
        return List.of(lock, fence);
    }

    List<byte[]> lockAndWaiting() {
        return waiting == null ? List.of(lock) : List.of(lock, waiting);
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
