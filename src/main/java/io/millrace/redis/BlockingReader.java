package io.millrace.redis;

import io.lettuce.core.RedisChannelHandler;
import io.lettuce.core.RedisConnectionStateListener;
import io.lettuce.core.protocol.CommandType;
import java.util.List;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;

/**
 * A connection for one loop that blocks on purpose, {@code XREADGROUP … BLOCK} for example. Its commands may take as long as the
 * longest block it was made for and 2 s more; a command given up on earlier could still take something from the server.
 *
 * <p>Reconnects by itself. Not for destructive reads ({@code BLPOP}): an answer that is lost on the way is lost for good.
 */
public final class BlockingReader {

    private final Driver.Connection connection;
    private final Scheduler worker;
    private final Consumer<Throwable> trouble;
    private final AtomicLong line = new AtomicLong();

    /** @param trouble is told why a script failed, and does what helps it to pass */
    BlockingReader(Driver.Connection connection, Scheduler worker, Consumer<Throwable> trouble) {
        this.connection = connection;
        this.worker = worker;
        this.trouble = trouble;
        connection.control().addListener(new RedisConnectionStateListener() {
            @Override
            public void onRedisDisconnected(RedisChannelHandler<?, ?> lost) {
                line.incrementAndGet();
            }
        });
    }

    /**
     * The number of the line to the server, another one once it was lost: what was sent after one look and answered before the next
     * one, of the same number, ran on one line and in its order.
     */
    public long line() {
        return line.get();
    }

    /** Runs one command; empty when it answers null, as a block that timed out does. A cancel does not free the connection. */
    public Mono<Object> call(String name, Object... args) {
        return Commands.dispatch(connection.commands(), Commands.keyword(name), Commands.arguments(args))
                .onErrorMap(RedisErrors::translate)
                .publishOn(worker);
    }

    /** What an entry of a stream becomes. */
    @FunctionalInterface
    public interface EntryForm<T> {

        /**
         * Makes it.
         *
         * @param value {@code null} if the entry lacks the field
         */
        T of(long ms, long seq, byte @Nullable [] value);
    }

    /**
     * Reads entries of one stream with {@code XREAD}.
     *
     * @param field whose value is wanted
     * @param args of the command, from COUNT on
     * @return empty when nothing came
     */
    public <T> Mono<List<T>> xread(byte[] field, EntryForm<T> form, Object... args) {
        return connection
                .commands()
                .<List<T>>dispatch(CommandType.XREAD, new EntriesOutput<>(field, form), Commands.arguments(args))
                .next()
                .onErrorMap(RedisErrors::translate)
                .publishOn(worker);
    }

    /** Runs a script on this very connection, once: for those who {@code WAIT} for what it wrote. */
    public <T> Mono<T> run(LuaScript<T> script, List<byte[]> keys, List<byte[]> args) {
        return Commands.eval(connection.commands(), script, keys, args)
                .doOnError(trouble)
                .map(answer -> script.decode(Reply.of(answer), false))
                .onErrorMap(RedisErrors::translate)
                .publishOn(worker);
    }

    /** Closes the connection, which nobody has used. */
    @SuppressWarnings("FutureReturnValueIgnored") // nobody waits for it, and what fails ends with the client
    void abandon() {
        connection.control().closeAsync();
    }

    /** Closes the connection. */
    public Mono<Void> close() {
        return Mono.fromCompletionStage(
                (CompletionStage<Void>) connection.control().closeAsync());
    }
}
