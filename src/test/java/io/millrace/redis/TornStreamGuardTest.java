package io.millrace.redis;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.embedded.EmbeddedChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class TornStreamGuardTest {

    /** As the driver's: reads into a buffer of its own, keeps errors to itself. */
    private static final class Reader extends ChannelInboundHandlerAdapter {

        private final List<String> read = new ArrayList<>();

        @Override
        public void channelRead(ChannelHandlerContext context, Object message) {
            ByteBuf bytes = (ByteBuf) message;
            try {
                if (bytes.readableBytes() > 5) {
                    throw new OutOfMemoryError("for a larger buffer");
                }
                read.add(bytes.readCharSequence(bytes.readableBytes(), StandardCharsets.US_ASCII)
                        .toString());
            } finally {
                bytes.release();
            }
        }

        @Override
        @SuppressWarnings("deprecation") // of handlers that are none of a channel's inbound side
        public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {}
    }

    private final Reader reader = new Reader();
    private final EmbeddedChannel channel = new EmbeddedChannel(new TornStreamGuard(), reader);

    private static ByteBuf bytes(String text) {
        return Unpooled.copiedBuffer(text, StandardCharsets.US_ASCII);
    }

    @Test
    @DisplayName("what could not be read closes the connection, and nothing behind it is read")
    void unread() {
        ByteBuf tooLong = bytes("too long");
        ByteBuf next = bytes("next");
        channel.writeInbound(bytes("ok"), tooLong, next);
        assertThat(channel.isOpen()).isFalse();
        assertThat(reader.read).containsExactly("ok");
        assertThat(List.of(tooLong.refCnt(), next.refCnt())).containsOnly(0);
    }

    @Test
    @DisplayName("an error while reading from the socket closes the connection")
    void errorBefore() {
        channel.pipeline().fireExceptionCaught(new OutOfMemoryError("for a buffer to read into"));
        assertThat(channel.isOpen()).isFalse();
    }

    @Test
    @DisplayName("what is read passes, and is released once")
    void passes() {
        ByteBuf one = bytes("one");
        channel.writeInbound(one, bytes("two"));
        assertThat(reader.read).containsExactly("one", "two");
        assertThat(one.refCnt()).isZero();
        assertThat(channel.isOpen()).isTrue();
    }
}
