package io.millrace.redis;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.util.ReferenceCountUtil;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Closes a connection in whose stream of answers bytes are missing. Stands right before the driver's command handler, which takes an
 * error while reading (no memory for a larger buffer, above all) for the answer to the oldest command and goes on: from then on every
 * command would get the answer of the one before it. Closed, all that are out fail as lost answers, and a new connection is made.
 */
final class TornStreamGuard extends ChannelInboundHandlerAdapter {

    private static final Logger log = LoggerFactory.getLogger(TornStreamGuard.class);

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        if (!context.channel().isOpen()) { // the rest of what was read at once
            ReferenceCountUtil.release(message);
            return;
        }
        if (!(message instanceof ByteBuf bytes)) {
            context.fireChannelRead(message);
            return;
        }
        bytes.retain();
        try {
            context.fireChannelRead(bytes);
            if (bytes.isReadable()) {
                giveUp(context, "bytes were left unread");
            }
        } finally {
            bytes.release();
        }
    }

    /** From handlers before this one: what they read is lost. */
    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
        giveUp(context, cause.toString());
        context.fireExceptionCaught(cause);
    }

    @SuppressWarnings("FutureReturnValueIgnored") // nothing depends on how closing ends
    private static void giveUp(ChannelHandlerContext context, String why) {
        if (context.channel().isOpen()) {
            log.debug("closing the connection to {}: {}", context.channel().remoteAddress(), why);
            context.close();
        }
    }
}
