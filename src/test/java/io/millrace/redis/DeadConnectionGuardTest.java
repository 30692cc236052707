package io.millrace.redis;

import static org.assertj.core.api.Assertions.assertThat;

import io.lettuce.core.protocol.RedisCommand;
import io.netty.buffer.Unpooled;
import io.netty.channel.embedded.EmbeddedChannel;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class DeadConnectionGuardTest {

    private final EmbeddedChannel channel = new EmbeddedChannel();

    @BeforeEach
    void connect() {
        channel.freezeTime();
        channel.pipeline().addFirst(new DeadConnectionGuard());
    }

    private void pass(long millis) {
        channel.advanceTimeBy(millis, TimeUnit.MILLISECONDS);
        channel.runScheduledPendingTasks();
    }

    private void read() {
        channel.writeInbound(Unpooled.copyInt(1));
        channel.releaseInbound();
    }

    private boolean asked() {
        Object sent = channel.readOutbound();
        return sent instanceof RedisCommand<?, ?, ?> command
                && command.getType().toString().equals("PING");
    }

    @Test
    @DisplayName("F11 3 s without a byte: a PING, one only; 9 s: the connection is closed, not sooner")
    void silent() {
        pass(2_990);
        assertThat(asked()).isFalse();
        pass(20);
        assertThat(asked()).isTrue();
        pass(3_000);
        assertThat(asked()).isFalse();
        pass(2_900);
        assertThat(channel.isOpen()).isTrue();
        pass(100);
        assertThat(channel.isOpen()).isFalse();
    }

    @Test
    @DisplayName("any byte is a sign of life: all begins anew")
    void alive() {
        for (int i = 0; i < 5; i++) {
            pass(3_010);
            assertThat(asked()).isTrue();
            pass(3_000);
            read();
        }
        assertThat(channel.isOpen()).isTrue();
        pass(9_010);
        pass(9_010);
        pass(9_010);
        assertThat(channel.isOpen()).isFalse();
    }
}
