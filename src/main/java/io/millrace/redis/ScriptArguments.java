package io.millrace.redis;

import io.lettuce.core.codec.ByteArrayCodec;
import io.lettuce.core.protocol.CommandArgs;
import io.netty.buffer.ByteBuf;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The words of {@code EVALSHA} and {@code EVAL}, written straight from their bytes: Lettuce's own arguments cost two objects a word, and
 * a batch has hundreds of words.
 */
final class ScriptArguments extends CommandArgs<byte[], byte[]> {

    /** What a word takes besides its bytes: {@code $}, up to nine digits and two line ends. */
    private static final int FRAME = 14;

    private static final byte[][] HEADS = new byte[1_024][];

    static {
        Arrays.setAll(HEADS, ScriptArguments::head);
    }

    private final byte[] script;
    private final byte[] keyCount;
    private final List<byte[]> keys;
    private final List<byte[]> args;

    ScriptArguments(byte[] script, List<byte[]> keys, List<byte[]> args) {
        super(ByteArrayCodec.INSTANCE);
        this.script = script;
        this.keyCount = Integer.toString(keys.size()).getBytes(StandardCharsets.US_ASCII);
        this.keys = keys;
        this.args = args;
    }

    @Override
    public int count() {
        return 2 + keys.size() + args.size();
    }

    @Override
    public @Nullable ByteBuffer getFirstEncodedKey() {
        return keys.isEmpty() ? null : ByteBuffer.wrap(keys.get(0));
    }

    @Override
    public void encode(ByteBuf out) {
        int size = 2 * FRAME + script.length + keyCount.length;
        for (byte[] key : keys) {
            size += FRAME + key.length;
        }
        for (byte[] arg : args) {
            size += FRAME + arg.length;
        }
        out.ensureWritable(size);
        word(out, script);
        word(out, keyCount);
        for (byte[] key : keys) {
            word(out, key);
        }
        for (byte[] arg : args) {
            word(out, arg);
        }
    }

    private static void word(ByteBuf out, byte[] word) {
        out.writeBytes(word.length < HEADS.length ? HEADS[word.length] : head(word.length))
                .writeBytes(word)
                .writeShort('\r' << 8 | '\n');
    }

    /** What stands in front of a word of so many bytes. */
    private static byte[] head(int length) {
        return ("$" + length + "\r\n").getBytes(StandardCharsets.US_ASCII);
    }

    /** As Lettuce's; what is in the words is nobody's business in a log. */
    @Override
    public String toCommandString() {
        return keys.size() + " keys, " + args.size() + " arguments";
    }

    @Override
    public String toString() {
        return "ScriptArguments [" + toCommandString() + ']';
    }
}
