package io.millrace.redis;

import io.lettuce.core.codec.ByteArrayCodec;
import io.lettuce.core.output.CommandOutput;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Collects what {@code XREAD} answers for one stream, of each entry its id and the value of one field. Makes nothing else of the reply,
 * which as nested lists would be five objects an entry.
 *
 * <pre>
 * RESP2   [ [ name, [ [ id, [ field, value, … ] ], … ] ] ]      entries at depth 4
 * RESP3   { name: [ [ id, [ field, value, … ] ], … ] }          entries at depth 3
 * </pre>
 */
final class EntriesOutput<T> extends CommandOutput<byte[], byte[], List<T>> {

    private static final int UNKNOWN = Integer.MAX_VALUE;

    private final byte[] field;
    private final BlockingReader.EntryForm<T> form;

    private int depth;
    private int entryDepth = UNKNOWN;

    // The entry that is being read.
    private boolean hasId;
    private long ms;
    private long seq;
    private boolean isName = true;
    private boolean wanted;
    private byte @Nullable [] value;

    EntriesOutput(byte[] field, BlockingReader.EntryForm<T> form) {
        super(ByteArrayCodec.INSTANCE, null);
        this.field = field;
        this.form = form;
    }

    @Override
    public void multi(int count) {
        if (count < 0) { // a null array: nothing came, or the entry is gone
            return;
        }
        depth++;
        if (depth == entryDepth - 1) {
            output = new ArrayList<>(count);
        }
    }

    @Override
    public void complete(int unfinished) {
        depth = unfinished;
        if (hasId && unfinished < entryDepth) {
            output.add(form.of(ms, seq, value));
            hasId = false;
            isName = true;
            value = null;
        }
    }

    @Override
    public void set(@Nullable ByteBuffer bytes) {
        if (bytes == null) {
            return;
        }
        if (entryDepth == UNKNOWN) { // the name of the stream: the entries are two levels below it, in RESP2 and RESP3
            entryDepth = depth + 2;
        } else if (depth == entryDepth) {
            id(bytes);
        } else if (isName) {
            wanted = value == null && equal(bytes, field);
            isName = false;
        } else {
            if (wanted) {
                value = new byte[bytes.remaining()];
                bytes.get(value);
            }
            isName = true;
        }
    }

    private void id(ByteBuffer bytes) {
        long number = 0;
        boolean dash = false;
        for (int i = bytes.position(); i < bytes.limit(); i++) {
            byte digit = bytes.get(i);
            if (digit == '-') {
                ms = number;
                number = 0;
                dash = true;
            } else {
                number = 10 * number + (digit - '0'); // unsigned, up to 64 bits
            }
        }
        if (!dash) {
            throw new IllegalStateException("an entry's id has no \"-\"");
        }
        seq = number;
        hasId = true;
    }

    private static boolean equal(ByteBuffer bytes, byte[] other) {
        return bytes.remaining() == other.length && bytes.mismatch(ByteBuffer.wrap(other)) < 0;
    }
}
