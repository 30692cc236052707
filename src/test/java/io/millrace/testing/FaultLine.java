package io.millrace.testing;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/**
 *  One direction of a {@link FaultProxy}: its settings, and a pump for each connection. Used on the proxy's event loop
 * only.
 */
final class FaultLine {

    enum Mode {
        PASS,
        STALL,
        SWALLOW
    }

    /** Beyond this a pump stops reading, so the sender meets a full window, as on a slow network. */
    private static final int MAX_QUEUED_BYTES = 1 << 20;

    private static final long NANOS_PER_SECOND = TimeUnit.SECONDS.toNanos(1);

    private final Set<Pump> pumps = new LinkedHashSet<>();
    private Mode mode = Mode.PASS;
    private Runnable onLoss = () -> {};
    private long latencyNanos;
    private long jitterNanos;
    private int bytesPerSecond;
    private long swallowed;

    void latency(Duration delay, Duration jitter) {
        latencyNanos = delay.toNanos();
        jitterNanos = jitter.toNanos();
    }

    void bandwidth(int limit) {
        bytesPerSecond = limit;
    }

    void mode(Mode mode) {
        this.mode = mode;
    }

    /** Called once, at the next byte that is dropped. */
    void onLoss(Runnable action) {
        onLoss = action;
    }

    long swallowed() {
        return swallowed;
    }

    /** Passes bytes again; returns the connections that have lost some and must not go on. */
    List<Channel> heal() {
        mode = Mode.PASS;
        onLoss = () -> {};
        List<Channel> harmed = new ArrayList<>();
        for (Pump pump : List.copyOf(pumps)) {
            if (pump.lost) {
                harmed.add(pump.from);
            } else {
                pump.drain();
                pump.read();
            }
        }
        return harmed;
    }

    /** Carries bytes from one channel to the other until either closes. */
    void connect(Channel from, Channel to) {
        Pump pump = new Pump(from, to);
        pumps.add(pump);
        from.closeFuture().addListener(closed -> pumps.remove(pump));
        from.pipeline().addLast(pump);
        pump.read();
    }

    /** Bytes on their way, and when they arrive. */
    private record Chunk(ByteBuf bytes, long due) {}

    private final class Pump extends ChannelInboundHandlerAdapter {

        private final Channel from;
        private final Channel to;
        private final Deque<Chunk> queue = new ArrayDeque<>();
        private long queuedBytes;
        private long lineFree = System.nanoTime();
        private long lastDue = lineFree;
        private boolean scheduled;
        private boolean senderClosed;
        private boolean lost;

        Pump(Channel from, Channel to) {
            this.from = from;
            this.to = to;
            to.closeFuture().addListener(closed -> discard());
        }

        void read() {
            if (mode != Mode.STALL && queuedBytes < MAX_QUEUED_BYTES) {
                from.read();
            }
        }

        @Override
        public void channelRead(ChannelHandlerContext context, Object message) {
            ByteBuf bytes = (ByteBuf) message;
            if (mode == Mode.SWALLOW || lost) {
                lose(bytes);
            } else {
                enqueue(bytes);
                drain();
            }
            read();
        }

        private void lose(ByteBuf bytes) {
            swallowed += bytes.readableBytes();
            bytes.release();
            lost = true;
            Runnable action = onLoss;
            onLoss = () -> {};
            action.run();
        }

        /**
         *  Cut into pieces worth 20 ms when there is a limit: a slow line delivers bit by bit, not in one lump at the
         * end.
         */
        private void enqueue(ByteBuf bytes) {
            int piece = bytesPerSecond == 0 ? bytes.readableBytes() : Math.max(1, bytesPerSecond / 50);
            long jitter = jitterNanos == 0 ? 0 : ThreadLocalRandom.current().nextLong(jitterNanos + 1);
            while (bytes.isReadable()) {
                ByteBuf next = bytes.readRetainedSlice(Math.min(piece, bytes.readableBytes()));
                long sending = bytesPerSecond == 0 ? 0 : NANOS_PER_SECOND * next.readableBytes() / bytesPerSecond;
                lineFree = Math.max(lineFree, System.nanoTime()) + sending;
                lastDue = Math.max(lastDue, lineFree + latencyNanos + jitter);
                queue.add(new Chunk(next, lastDue));
                queuedBytes += next.readableBytes();
            }
            bytes.release();
        }

        private void drain() {
            while (mode != Mode.STALL && !queue.isEmpty()) {
                long wait = queue.element().due - System.nanoTime();
                if (wait > 0) {
                    wakeAfter(wait);
                    return;
                }
                ByteBuf bytes = queue.remove().bytes;
                int length = bytes.readableBytes();
                to.writeAndFlush(bytes).addListener(written -> written(length));
            }
            if (queue.isEmpty() && senderClosed) {
                // Behind what was written before: closing at once would cut that off.
                to.writeAndFlush(Unpooled.EMPTY_BUFFER).addListener(ChannelFutureListener.CLOSE);
            }
        }

        private void written(int length) {
            queuedBytes -= length;
            read();
        }

        private void discard() {
            queue.forEach(chunk -> chunk.bytes.release());
            queue.clear();
        }

        private void wakeAfter(long nanos) {
            if (!scheduled) {
                scheduled = true;
                var unused = to.eventLoop().schedule(this::wake, nanos, TimeUnit.NANOSECONDS);
            }
        }

        private void wake() {
            scheduled = false;
            drain();
            read();
        }

        @Override
        public void channelInactive(ChannelHandlerContext context) {
            senderClosed = true;
            drain();
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext context, Throwable failure) {
            var unused = context.close(); // a reset by a peer: what it is here for
        }
    }
}
