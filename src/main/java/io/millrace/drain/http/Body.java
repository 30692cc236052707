package io.millrace.drain.http;

import io.millrace.drain.DrainSettings;
import io.netty.buffer.ByteBuf;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLong;

/** The bytes of one body as they come, within the bounds for one and for all of them together. Touched by one thread at a time. */
final class Body {

    /** What a sender is believed to send before it has. */
    private static final int BELIEVED = 32 << 10;

    private static final int WHEN_UNKNOWN = 4 << 10;

    private final AtomicLong all;
    private final int most;
    private final long mostOfAll;
    private byte[] bytes;
    private int size;

    /**
     * @param all how many bytes all bodies hold
     * @param length what the sender says it is; 0 if it does not
     */
    Body(AtomicLong all, int length, DrainSettings settings) {
        this.all = all;
        this.most = settings.maxBodyBytes();
        this.mostOfAll = settings.maxBufferedBytes();
        this.bytes = new byte[length > 0 ? Math.min(length, BELIEVED) : WHEN_UNKNOWN];
    }

    /** @throws Refusal if there is no room for it */
    void add(ByteBuf piece) {
        int more = piece.readableBytes();
        if (more > most - size) {
            throw Refusal.tooLarge(most);
        }
        long held = all.addAndGet(more);
        int before = size;
        size += more;
        if (held > mostOfAll && held > size) {
            throw Refusal.overloaded("requests under way hold " + mostOfAll + " bytes, which is the limit");
        }
        if (size > bytes.length) {
            bytes = Arrays.copyOf(bytes, Math.max(size, Math.min(most, 2 * bytes.length)));
        }
        piece.readBytes(bytes, before, more);
    }

    byte[] bytes() {
        if (size < bytes.length) {
            bytes = Arrays.copyOf(bytes, size);
        }
        return bytes;
    }

    void release() {
        all.addAndGet(-size);
    }
}
