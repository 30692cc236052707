package io.millrace.redis;

import io.lettuce.core.codec.ByteArrayCodec;
import io.lettuce.core.output.CommandOutput;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Collects one whole reply of any shape: bytes, numbers and nested lists. Not streaming on purpose: a reply that is taken piece by
 * piece stops the whole connection when the taker is slow.
 */
final class ReplyOutput extends CommandOutput<byte[], byte[], Object> {

    private final Deque<List<@Nullable Object>> open = new ArrayDeque<>();

    ReplyOutput() {
        super(ByteArrayCodec.INSTANCE, null);
    }

    @Override
    public void set(@Nullable ByteBuffer bytes) {
        add(bytes == null ? null : copy(bytes));
    }

    @Override
    public void setSingle(@Nullable ByteBuffer bytes) {
        set(bytes);
    }

    @Override
    public void setBigNumber(@Nullable ByteBuffer bytes) {
        set(bytes);
    }

    @Override
    public void set(long integer) {
        add(integer);
    }

    @Override
    public void set(double number) {
        add(Double.toString(number).getBytes(StandardCharsets.US_ASCII));
    }

    @Override
    public void set(boolean value) {
        add(value ? 1L : 0L);
    }

    @Override
    public void multi(int count) {
        if (count < 0) { // a null array
            add(null);
            return;
        }
        List<@Nullable Object> list = new ArrayList<>(count);
        add(list);
        open.push(list);
    }

    @Override
    public void complete(int depth) {
        while (open.size() > depth) { // depth: how many arrays are still unfinished
            open.pop();
        }
    }

    private void add(@Nullable Object value) {
        List<@Nullable Object> list = open.peek();
        if (list != null) {
            list.add(value);
        } else if (value != null) {
            output = value;
        }
    }

    private static byte[] copy(ByteBuffer bytes) {
        byte[] array = new byte[bytes.remaining()];
        bytes.get(array);
        return array;
    }
}
