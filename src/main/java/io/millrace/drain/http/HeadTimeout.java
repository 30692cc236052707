package io.millrace.drain.http;

import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.util.concurrent.Future;
import java.net.SocketAddress;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import reactor.netty.ChannelPipelineConfigurer;
import reactor.netty.ConnectionObserver;
import reactor.netty.NettyPipeline;

/**
 * Closes a connection whose request line and headers do not arrive within a time, however steadily they trickle: Reactor Netty's own
 * limits count from byte to byte there. For {@code HttpServer.doOnChannelInit}. What arrives in one piece costs nothing.
 */
public final class HeadTimeout implements ChannelPipelineConfigurer {

    private final Duration atMost;

    /** @param atMost from the first byte of a head to its last one */
    public HeadTimeout(Duration atMost) {
        this.atMost = atMost;
    }

    @Override
    public void onChannelInit(ConnectionObserver observer, Channel channel, @Nullable SocketAddress remote) {
        if (channel.pipeline().get(NettyPipeline.HttpCodec) != null) {
            Guard guard = new Guard(atMost);
            channel.pipeline().addBefore(NettyPipeline.HttpCodec, "millrace.head.bytes", guard);
            channel.pipeline().addAfter(NettyPipeline.HttpCodec, "millrace.head.requests", guard.decoded());
        }
    }

    /** In front of the decoder, where bytes arrive. One connection's, touched by its event loop only. */
    private static final class Guard extends ChannelInboundHandlerAdapter {

        private final Duration atMost;
        private boolean inBody;
        private boolean gotOn; // the decoder made something of the bytes at hand
        private @Nullable Future<?> timer;

        Guard(Duration atMost) {
            this.atMost = atMost;
        }

        @Override
        public void channelRead(ChannelHandlerContext context, Object bytes) {
            gotOn = false;
            context.fireChannelRead(bytes);
            if (!gotOn && !inBody && timer == null) { // a head has begun, and these bytes did not end it
                timer = context.executor()
                        .schedule(
                                () -> {
                                    var unused = context.close();
                                },
                                atMost.toNanos(),
                                TimeUnit.NANOSECONDS);
            }
        }

        @Override
        public void channelInactive(ChannelHandlerContext context) {
            arrived();
            context.fireChannelInactive();
        }

        private void arrived() {
            if (timer != null) {
                timer.cancel(false);
                timer = null;
            }
        }

        /** Behind the decoder, where requests do. */
        ChannelInboundHandlerAdapter decoded() {
            return new ChannelInboundHandlerAdapter() {
                @Override
                public void channelRead(ChannelHandlerContext context, Object message) {
                    gotOn = true;
                    if (message instanceof HttpRequest) {
                        inBody = true;
                        arrived();
                    }
                    if (message instanceof LastHttpContent) {
                        inBody = false;
                    }
                    context.fireChannelRead(message);
                }
            };
        }
    }
}
