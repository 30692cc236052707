package io.millrace.redis;

import io.lettuce.core.codec.StringCodec;
import io.lettuce.core.output.StatusOutput;
import io.lettuce.core.protocol.Command;
import io.lettuce.core.protocol.CommandType;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.timeout.IdleStateEvent;
import io.netty.handler.timeout.IdleStateHandler;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Closes a connection from which nothing comes any more, so that the driver makes a new one. A connection whose peer vanished
 * without a word looks open for minutes otherwise: unanswered data suspend TCP's own keep-alive.
 *
 * <p>After {@link #QUIET} without a byte it asks with a PING; after three such times it closes: 9 s in all. A read that blocks on
 * purpose must therefore stay below {@link #LONGEST_BLOCK}.
 */
final class DeadConnectionGuard extends IdleStateHandler {

    static final Duration QUIET = Duration.ofSeconds(3);

    static final Duration LONGEST_BLOCK = Duration.ofSeconds(5);

    private static final int CHANCES = 3;

    private static final Logger log = LoggerFactory.getLogger(DeadConnectionGuard.class);

    private int quiet;

    DeadConnectionGuard() {
        super(QUIET.toMillis(), 0, 0, TimeUnit.MILLISECONDS);
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) throws Exception {
        quiet = 0;
        super.channelRead(context, message);
    }

    @Override
    @SuppressWarnings("FutureReturnValueIgnored") // whether closing or asking works shows in what comes, or does not
    protected void channelIdle(ChannelHandlerContext context, IdleStateEvent event) {
        quiet++;
        if (quiet >= CHANCES) {
            log.warn(
                    "nothing came from Redis at {} for {} s; closing the connection to make a new one",
                    context.channel().remoteAddress(),
                    QUIET.multipliedBy(CHANCES).toSeconds());
            context.close();
        } else if (quiet == 1) {
            context.channel().writeAndFlush(new Command<>(CommandType.PING, new StatusOutput<>(StringCodec.UTF8)));
        }
    }
}
